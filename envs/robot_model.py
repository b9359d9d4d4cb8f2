"""What an arm is made of, as plain data: the tables from which ``envs.robot_builder`` builds it.

Units: m, rad, kg, N, N m, s. A link's frame sits on its joint; positions are in that frame.
A new arm is a new table, registered in ``envs.robots``; no code changes.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from envs.arm import REFERENCE, ArmSpec, Workspace

Vec3 = tuple[float, float, float]
Quat = tuple[float, float, float, float]
Rgba = tuple[float, float, float, float]
ZERO: Vec3 = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Shape:
    """One primitive of a link.

    Attributes:
        kind: ``box`` (half sizes at a centre) or ``cylinder``/``capsule`` (radius, two ends).
        size: half sizes (3,) of a box, or the radius (1,).
        at: centre (3,) of a box, or both ends (6,).
        rgba: colour.
        use: ``both`` collides and is seen; ``seen`` is for the eye only; ``solid`` collides and is
            hidden, where finer shapes are seen in its place.
        turn: rotation of a box about the link's z, rad.
    """

    kind: Literal["box", "cylinder", "capsule"]
    size: tuple[float, ...]
    at: tuple[float, ...]
    rgba: Rgba
    use: Literal["both", "seen", "solid"] = "both"
    turn: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that do not fit the kind."""
        wanted = (3, 3) if self.kind == "box" else (1, 6)
        if (len(self.size), len(self.at)) != wanted:
            raise ValueError(f"size and at of a {self.kind} must have {wanted} numbers")


@dataclass(frozen=True)
class Inertia:
    """Mass, centre of mass and moments about it along the link's axes (cross terms left out)."""

    mass: float
    com: Vec3
    moments: Vec3


@dataclass(frozen=True)
class Servo:
    """Drive of a joint: a PD position servo with its gearbox.

    Attributes:
        torque: largest torque, N m (force, N, for a slide).
        kp: stiffness, N m/rad (N/m).
        kv: damping of the controller, N m s/rad.
        armature: reflected inertia of the rotor, kg m^2 (kg).
        damping: viscous friction, N m s/rad.
        friction: dry friction, N m.
    """

    torque: float
    kp: float
    kv: float
    armature: float
    damping: float
    friction: float


@dataclass(frozen=True)
class Joint:
    """A revolute joint and the link that follows it; ``offset`` is from the parent link's frame."""

    name: str
    offset: Vec3
    axis: Vec3
    limits: tuple[float, float]
    velocity: float
    servo: Servo
    inertia: Inertia
    shapes: tuple[Shape, ...] = ()


@dataclass(frozen=True)
class Finger:
    """A moving finger; its joint grows as the gripper opens and is 0 where the pads are parallel.

    Pads on a rail are parallel everywhere: there 0 is where they meet.
    """

    name: str
    axis: Vec3
    inertia: Inertia
    shapes: tuple[Shape, ...]
    pad: Shape


@dataclass(frozen=True)
class Gripper:
    """Fingers on the last link.

    Attributes:
        kind: ``slide`` (both fingers on a rail, coupled) or ``hinge`` (one moving jaw).
        offset: frame of the fingers in the last link.
        travel: range of a finger joint, m or rad.
        command: joint positions that mean opening 0 and opening 1.
        velocity: largest rate of the opening, 1/s.
        servo: drive of the gripper.
        fingers: moving fingers, left first.
        fixed_pad: pad of a finger that does not move (hinge), in the last link.
    """

    kind: Literal["slide", "hinge"]
    offset: Vec3
    travel: tuple[float, float]
    command: tuple[float, float]
    velocity: float
    servo: Servo
    fingers: tuple[Finger, ...]
    fixed_pad: Shape | None = None


@dataclass(frozen=True)
class WristCamera:
    """Camera on the last link: position, the point it looks at, what is up, field of view (deg)."""

    pos: Vec3
    target: Vec3
    up: Vec3
    fovy: float


@dataclass(frozen=True)
class View:
    """Where a camera of the scene stands, and the point it looks at; the arm's base is 0."""

    eye: Vec3
    target: Vec3


@dataclass(frozen=True)
class Table:
    """The table that a robot stands on; its top is z = 0.

    Attributes:
        half: half extents [m].
        centre: x and y of its centre [m].
        shadows: half the width of the area in which pictures may have shadows [m].
        aside: y of the floor beside it that no camera sees, where distractors wait [m].
    """

    half: Vec3 = (0.45, 0.6, 0.02)
    centre: tuple[float, float] = (0.3, 0.0)
    shadows: float = 0.8
    aside: float = 1.2


@dataclass(frozen=True)
class Mount:
    """One arm of a robot: where its base stands, and what its names begin with."""

    arm: "RobotModel"
    prefix: str = ""
    pos: Vec3 = ZERO
    yaw: float = 0.0


class Robot(Protocol):
    """One arm or several at one table: what the scene is built for."""

    @property
    def name(self) -> str:
        """Registered name."""

    @property
    def title(self) -> str:
        """Name for people."""

    @property
    def overhead(self) -> View:
        """The camera that sees the workspace from above."""

    @property
    def view(self) -> View:
        """The camera for people."""

    @property
    def table(self) -> Table:
        """What it stands on."""

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """The arms, in the order of their joints in a command."""

    def spec(self) -> ArmSpec:
        """Return the specification of all arms together."""


@dataclass(frozen=True)
class RobotModel:
    """Everything about one type of arm.

    Attributes:
        name: registered name.
        title: name for people.
        base: inertia of the base, which does not move.
        base_shapes: its shapes.
        joints: from the base to the last link.
        gripper: the gripper on the last link.
        tcp: the point between the pads, in the last link.
        wrist_camera: camera on the last link.
        home: start pose of the joints, rad.
        sleep: pose in which the arm rests without torque, rad.
        gravity_compensation: share of gravity that the links do not feel, 0..1.
        tcp_quat: orientation wxyz of the tool in the last link: its x is the direction of
            approach, the fingers move along its y.
        workspace: where on the table the arm can do a task.
        leans: angles by which a demonstrator may lean the gripper outwards from straight down,
            rad; more than one where a grasp from above is not possible everywhere.
        overhead: the camera that sees the workspace from above its far edge.
        view: the camera for people.
        table: what the arm stands on.
    """

    name: str
    title: str
    base: Inertia
    base_shapes: tuple[Shape, ...]
    joints: tuple[Joint, ...]
    gripper: Gripper
    tcp: Vec3
    wrist_camera: WristCamera
    home: tuple[float, ...]
    sleep: tuple[float, ...]
    gravity_compensation: float = 0.0
    tcp_quat: Quat = (1.0, 0.0, 0.0, 0.0)
    workspace: Workspace = REFERENCE
    leans: tuple[float, ...] = (0.0,)
    overhead: View = View((0.72, 0.0, 0.84), (0.31, 0.0, 0.0))
    view: View = View((0.98, -0.68, 0.55), (0.18, 0.0, 0.17))
    table: Table = Table()
    _spec: ArmSpec = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the specification; refuse poses that do not fit the joints."""
        for what, pose in (("home", self.home), ("sleep", self.sleep)):
            if len(pose) != len(self.joints):
                raise ValueError(f"{what} must have {len(self.joints)} angles, got {len(pose)}")
            for joint, angle in zip(self.joints, pose, strict=True):
                if not joint.limits[0] <= angle <= joint.limits[1]:
                    raise ValueError(f"{what} of {joint.name} must be in its limits, got {angle}")
        object.__setattr__(self, "_spec", self._make_spec())

    def spec(self) -> ArmSpec:
        """Return the specification: joints, then the gripper as an opening 0..1, closed to open."""
        return self._spec

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Return this arm alone, its base at the origin and its names as they are."""
        return (Mount(self),)

    @property
    def gripper_range(self) -> tuple[float, float]:
        """Return the gripper actuator's ctrl (m or rad) at opening 0 and at opening 1."""
        return self.gripper.command

    def _make_spec(self) -> ArmSpec:
        joints, grip = self.joints, self.gripper
        return ArmSpec(
            name=self.name,
            joints=(*(j.name for j in joints), "gripper"),
            lower=(*(j.limits[0] for j in joints), 0.0),
            upper=(*(j.limits[1] for j in joints), 1.0),
            velocity=(*(j.velocity for j in joints), grip.velocity),
            effort=(*(j.servo.torque for j in joints), grip.servo.torque),
            home=(*self.home, 1.0),
            grippers=(len(joints),),
            workspace=self.workspace,
        )
