"""A robot standing still: how far a pose is from harm, and the torque that gravity asks for.

Nothing but the arms and their table is in the model, so no task is needed; a real arm's safety
chain and its gravity compensation use it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from envs.arm import Array
from envs.robot_model import Mount
from envs.robots import ROBOTS
from envs.scene import build_scene

TOUCH = 0.001
"""Overlap of two links that is not yet a collision: primitives stand for rounder bodies [m]."""


@dataclass(frozen=True)
class Box:
    """Where the tool centre points may be, in the world's axes [m]."""

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]

    def __post_init__(self) -> None:
        """Refuse an empty box."""
        if not all(a < b for a, b in zip(self.lower, self.upper, strict=True)):
            raise ValueError(f"lower must be below upper in a box, got {self}")


class Statics:
    """Forward kinematics and gravity of a registered robot, on a model of its own.

    Attributes:
        spec: the robot's specification.
        box: where the tool centre points may be; by default above the table, up to 1.2 m.
    """

    def __init__(self, robot: str, box: Box | None = None) -> None:
        """Build the model.

        Raises:
            UsageError: an unknown robot.
        """
        chosen = ROBOTS[robot]
        self.spec = chosen.spec()
        half, centre = chosen.table.half, chosen.table.centre
        low = (centre[0] - half[0], centre[1] - half[1], 0.0)
        self.box = box or Box(low, (centre[0] + half[0], centre[1] + half[1], 1.2))
        self.model = build_scene(chosen).compile()
        self.model.body_gravcomp[:] = 0.0  # ``gravity`` tells what compensation must bring
        self.data = mujoco.MjData(self.model)
        self._find_joints(chosen.mounts)
        self._find_geoms(chosen.mounts)

    def _find_joints(self, mounts: Sequence[Mount]) -> None:
        """Note which column of a command drives which joint, as raw = command * scale + offset."""
        columns, qpos, scale, offset, dofs, hinges = [], [], [], [], [], []
        first = 0
        for mount in mounts:
            arm = mount.arm
            for index, joint in enumerate(arm.joints):
                columns.append(first + index)
                qpos.append(int(self.model.joint(f"{mount.prefix}{joint.name}").qposadr[0]))
                dofs.append(int(self.model.joint(f"{mount.prefix}{joint.name}").dofadr[0]))
                hinges.append(first + index)
                scale.append(1.0)
                offset.append(0.0)
            shut, full = arm.gripper_range
            for finger in arm.gripper.fingers:
                columns.append(first + len(arm.joints))
                qpos.append(int(self.model.joint(f"{mount.prefix}{finger.name}").qposadr[0]))
                scale.append(full - shut)
                offset.append(shut)
            first += len(arm.joints) + 1
        self._columns, self._qpos = np.array(columns), np.array(qpos)
        self._scale, self._offset = np.array(scale), np.array(offset)
        self._dofs, self._hinges = np.array(dofs), np.array(hinges)

    def _find_geoms(self, mounts: Sequence[Mount]) -> None:
        """Note the solid geoms of the arms, and those that can come down onto the table."""
        model = self.model
        bodies = [
            model.body(f"{mount.prefix}{name}").id
            for mount in mounts
            for name in ("base", f"{mount.arm.joints[0].name}_link")
        ]
        roots = {model.body(f"{mount.prefix}base").id for mount in mounts}
        body = model.geom_bodyid
        solid = np.array([g for g in range(model.ngeom) if model.geom_contype[g]])
        self._of_arm = np.zeros(model.ngeom, bool)
        for geom in solid:
            self._of_arm[geom] = self._ancestor(int(body[geom]), roots)
        self._low = np.array([g for g in solid if self._of_arm[g] and body[g] not in bodies])
        sizes, boxes = model.geom_size, model.geom_type == mujoco.mjtGeom.mjGEOM_BOX
        capsules = model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE
        # Half extents along each geom's own axes; what is round about its z counts apart.
        half = sizes.copy()
        half[~boxes, 0], half[~boxes, 2] = 0.0, sizes[~boxes, 1]
        half[~boxes, 1] = 0.0
        radius = np.where(boxes, 0.0, sizes[:, 0])
        self._half, self._radius = half[self._low], radius[self._low]
        self._capsule = capsules[self._low]
        self._tcps = [model.site(f"{mount.prefix}tcp").id for mount in mounts]

    def _ancestor(self, body: int, roots: set[int]) -> bool:
        while body:
            if body in roots:
                return True
            body = int(self.model.body_parentid[body])
        return False

    def clearance(self, command: Array) -> tuple[float, str]:
        """Return the smallest distance [m] of a pose from harm, and what is nearest.

        Harm is a link in the table, a tool centre point outside ``box``, or two links in each
        other (counted only where they overlap by more than ``TOUCH``); negative inside.

        Args:
            command: joint angles and openings (n,).
        """
        self._place(command)
        found = [self._above_table(), *self._in_box(), *self._overlaps()]
        return min(found)

    def gravity(self, command: Array) -> Array:
        """Return the torques (n,) that hold a pose against gravity [N m]; 0 for grippers."""
        self._place(command)
        self.data.qvel[:] = 0.0
        mujoco.mj_comVel(self.model, self.data)
        torque = np.zeros(self.model.nv)
        mujoco.mj_rne(self.model, self.data, 0, torque)
        held = np.zeros(self.spec.n)
        held[self._hinges] = torque[self._dofs]
        return held

    def tool(self, command: Array, part: int = 0) -> Array:
        """Return the pose (7,) of an arm's tool centre point: position m, quaternion wxyz."""
        self._place(command)
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, self.data.site_xmat[self._tcps[part]])
        return np.concatenate([self.data.site_xpos[self._tcps[part]], quat])

    def _place(self, command: Array) -> None:
        self.data.qpos[self._qpos] = command[self._columns] * self._scale + self._offset
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)

    def _above_table(self) -> tuple[float, str]:
        """Return the height of the lowest point of the arms over the table's top."""
        down = self.data.geom_xmat[self._low, 6:9]
        across = np.sqrt(np.maximum(1.0 - down[:, 2] ** 2, 0.0))
        rim = self._radius * np.where(self._capsule, 1.0, across)
        lowest = self.data.geom_xpos[self._low, 2] - (np.abs(down) * self._half).sum(1) - rim
        nearest = int(lowest.argmin())
        return float(lowest[nearest]), f"{self._body(self._low[nearest])} above the table"

    def _in_box(self) -> list[tuple[float, str]]:
        found = []
        for site in self._tcps:
            at = self.data.site_xpos[site]
            for axis, name in enumerate("xyz"):
                found.append((float(at[axis] - self.box.lower[axis]), f"the box's lower {name}"))
                found.append((float(self.box.upper[axis] - at[axis]), f"the box's upper {name}"))
        return found

    def _overlaps(self) -> list[tuple[float, str]]:
        mujoco.mj_collision(self.model, self.data)
        if not self.data.ncon:
            return []
        pairs, apart = self.data.contact.geom, self.data.contact.dist
        deep = self._of_arm[pairs].all(axis=1) & (apart < -TOUCH)
        return [
            (float(apart[k]), " against ".join(self._body(geom) for geom in pairs[k]))
            for k in np.flatnonzero(deep)
        ]

    def _body(self, geom: int) -> str:
        return str(self.model.body(int(self.model.geom_bodyid[geom])).name)
