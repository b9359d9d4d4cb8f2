"""Builds an arm's MuJoCo model from its table."""

from collections.abc import Sequence

import mujoco
import numpy as np

from envs.robot_model import Finger, Gripper, Inertia, Joint, RobotModel, Servo, Shape

PHYSICS_DT = 0.002
"""Physics time step, s."""

PAD_CONTACT = {
    "friction": [1.2, 0.01, 0.0001],
    "condim": 4,
    # Slip of a held object under acceleration grows with the time constant, whatever the
    # friction: two time steps is the stiffest that is stable.
    "solref": [2 * PHYSICS_DT, 1.0],
    "solimp": [0.95, 0.99, 0.001, 0.5, 2.0],
    "priority": 1,
}
"""Contact of a finger pad; it prevails over the object's own settings."""

_GROUPS = {"both": 0, "seen": 1, "solid": 3}
"""Geom groups by use; MuJoCo draws 0 to 2."""

_KINDS = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
}


def build_arm(robot: RobotModel) -> mujoco.MjSpec:
    """Return a model of the arm alone, its base at the origin."""
    spec = mujoco.MjSpec()
    spec.modelname = robot.name
    add_arm(spec, robot)
    return spec


def add_arm(
    spec: mujoco.MjSpec,
    robot: RobotModel,
    prefix: str = "",
    pos: Sequence[float] = (0.0, 0.0, 0.0),
    yaw: float = 0.0,
) -> None:
    """Add the arm to ``spec`` with its base at ``pos`` (m), turned by ``yaw`` (rad).

    Names, each with ``prefix`` before it: body ``base``; for every joint the joint, its actuator
    and its body ``<joint>_link``; bodies and joints ``left_finger``/``right_finger`` with the
    geoms ``left_pad``/``right_pad``; actuator ``gripper``; site ``tcp``; camera ``wrist``.
    """
    spec.compiler.degree = False
    spec.compiler.autolimits = True
    quat = [np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
    link = spec.worldbody.add_body(name=f"{prefix}base", pos=list(pos), quat=quat)
    _add_inertia(link, robot.base)
    _add_shapes(link, robot.base_shapes)
    for joint in robot.joints:
        link = _add_link(spec, link, joint, prefix)
        link.gravcomp = robot.gravity_compensation
    _add_gripper(spec, link, robot.gripper, prefix)
    tcp = link.add_site(name=f"{prefix}tcp", pos=list(robot.tcp), size=[0.004] * 3, group=4)
    tcp.quat = list(robot.tcp_quat)
    _add_wrist_camera(link, robot, prefix)
    _exclude_neighbours(spec, robot, prefix)


def _add_link(
    spec: mujoco.MjSpec, parent: mujoco.MjsBody, joint: Joint, prefix: str
) -> mujoco.MjsBody:
    """Add a hinge, its link and its position actuator; return the link."""
    name = f"{prefix}{joint.name}"
    link = parent.add_body(name=f"{name}_link", pos=list(joint.offset))
    _add_inertia(link, joint.inertia)
    _add_shapes(link, joint.shapes)
    _add_joint(link, name, mujoco.mjtJoint.mjJNT_HINGE, joint.axis, joint.limits, joint.servo)
    _add_servo(spec, name, name, mujoco.mjtTrn.mjTRN_JOINT, joint.limits, joint.servo)
    return link


def _add_joint(
    link: mujoco.MjsBody,
    name: str,
    kind: mujoco.mjtJoint,
    axis: Sequence[float],
    limits: tuple[float, float],
    servo: Servo,
) -> None:
    link.add_joint(
        name=name,
        type=kind,
        axis=list(axis),
        range=list(limits),
        armature=servo.armature,
        damping=[servo.damping, 0.0, 0.0],
        frictionloss=servo.friction,
    )


def _add_servo(
    spec: mujoco.MjSpec,
    name: str,
    target: str,
    transmission: mujoco.mjtTrn,
    limits: tuple[float, float],
    servo: Servo,
) -> None:
    actuator = spec.add_actuator(
        name=name,
        target=target,
        trntype=transmission,
        ctrlrange=list(limits),
        forcerange=[-servo.torque, servo.torque],
    )
    actuator.set_to_position(kp=servo.kp, kv=servo.kv)


def _add_gripper(spec: mujoco.MjSpec, link: mujoco.MjsBody, gripper: Gripper, prefix: str) -> None:
    kind = mujoco.mjtJoint.mjJNT_SLIDE if gripper.kind == "slide" else mujoco.mjtJoint.mjJNT_HINGE
    for finger in gripper.fingers:
        _add_finger(link, gripper, finger, kind, prefix)
        spec.add_exclude(bodyname1=link.name, bodyname2=f"{prefix}{finger.name}")
    if gripper.fixed_pad is not None:
        _add_shape(link, gripper.fixed_pad, name=f"{prefix}right_pad", **PAD_CONTACT)
    names = [f"{prefix}{finger.name}" for finger in gripper.fingers]
    trn = mujoco.mjtTrn.mjTRN_JOINT
    target = names[0]
    if len(names) == 2:  # one motor moves both: it acts on the mean, an equality keeps them equal
        target, trn = f"{prefix}gripper", mujoco.mjtTrn.mjTRN_TENDON
        tendon = spec.add_tendon(name=target)
        for name in names:
            tendon.wrap_joint(name, 0.5)
        equality = spec.add_equality(
            type=mujoco.mjtEq.mjEQ_JOINT, name1=names[0], name2=names[1], solref=[0.005, 1.0]
        )
        equality.data[:5] = [0.0, 1.0, 0.0, 0.0, 0.0]
        spec.add_exclude(bodyname1=names[0], bodyname2=names[1])
    _add_servo(spec, f"{prefix}gripper", target, trn, gripper.command, gripper.servo)


def _add_finger(
    link: mujoco.MjsBody, gripper: Gripper, finger: Finger, kind: mujoco.mjtJoint, prefix: str
) -> None:
    name = f"{prefix}{finger.name}"
    body = link.add_body(name=name, pos=list(gripper.offset), gravcomp=link.gravcomp)
    _add_inertia(body, finger.inertia)
    _add_joint(body, name, kind, finger.axis, gripper.travel, gripper.servo)
    _add_shapes(body, finger.shapes)
    pad = f"{prefix}{finger.name.removesuffix('_finger')}_pad"
    _add_shape(body, finger.pad, name=pad, **PAD_CONTACT)


def _add_inertia(body: mujoco.MjsBody, inertia: Inertia) -> None:
    body.explicitinertial = True
    body.mass = inertia.mass
    body.ipos = list(inertia.com)
    body.inertia = list(inertia.moments)


def _add_shapes(body: mujoco.MjsBody, shapes: Sequence[Shape]) -> None:
    for shape in shapes:
        _add_shape(body, shape)


def _add_shape(body: mujoco.MjsBody, shape: Shape, **settings: object) -> None:
    """Add one primitive without mass (links carry explicit inertia)."""
    settings["group"] = _GROUPS[shape.use]
    if shape.use == "seen":
        settings |= {"contype": 0, "conaffinity": 0}
    size = list(shape.size)
    if shape.kind == "box":
        settings |= {"size": size, "pos": list(shape.at)}
        settings["quat"] = [np.cos(shape.turn / 2), 0.0, 0.0, np.sin(shape.turn / 2)]
    else:
        settings |= {"size": [*size, 0.0, 0.0], "fromto": list(shape.at)}
    body.add_geom(type=_KINDS[shape.kind], rgba=list(shape.rgba), density=0.0, **settings)


def _add_wrist_camera(link: mujoco.MjsBody, robot: RobotModel, prefix: str) -> None:
    camera = robot.wrist_camera
    link.add_camera(
        name=f"{prefix}wrist",
        pos=list(camera.pos),
        quat=list(look_at(camera.pos, camera.target, camera.up)),
        fovy=camera.fovy,
    )


def look_at(
    pos: Sequence[float], target: Sequence[float], up: Sequence[float] = (0.0, 0.0, 1.0)
) -> tuple[float, ...]:
    """Return the quaternion wxyz of a camera at ``pos`` that looks at ``target`` (m)."""
    back = np.subtract(pos, target)
    back = back / np.linalg.norm(back)
    right = np.cross(up, back)
    right = right / np.linalg.norm(right)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.stack([right, np.cross(back, right), back], axis=1).ravel())
    return tuple(quat.tolist())


def _exclude_neighbours(spec: mujoco.MjSpec, robot: RobotModel, prefix: str) -> None:
    """Exclude contact between bodies one and two joints apart, whose shapes overlap by design.

    MuJoCo itself leaves out parent and child only where the parent moves, so the pairs with the
    base are needed: without them the waist is blocked by its own base.
    """
    chain = [f"{prefix}base", *(f"{prefix}{joint.name}_link" for joint in robot.joints)]
    spec.add_exclude(bodyname1=chain[0], bodyname2=chain[1])
    for first, second in zip(chain, chain[2:], strict=False):
        spec.add_exclude(bodyname1=first, bodyname2=second)
