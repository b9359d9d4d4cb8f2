"""A compiled scene, and where everything is in MuJoCo's arrays."""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from envs.ability import require
from envs.arm import ArmSpec, Array, InitialCondition
from envs.robot_model import Mount, RobotModel
from envs.robots import ROBOTS
from envs.scene import build_scene
from envs.task import Task

SUBSTEPS = 10  # physics steps of 2 ms in one control period of 20 ms
SETTLE = 10  # control periods at the start pose before an episode, so that gravity sag is over


Index = slice | Array
"""Which columns of an array: a slice where they follow each other."""


@dataclass(frozen=True, eq=False)
class Part:
    """One arm of the robot, and where it is.

    Attributes:
        robot: its table.
        prefix: what its names begin with.
        hinges: its joints in a command (a slice).
        gripper: its gripper in a command.
        qpos, qvel: its joints in MuJoCo's arrays (slices).
        fingers: address of each finger in ``qpos``.
    """

    robot: RobotModel
    prefix: str
    hinges: slice
    gripper: int
    qpos: slice
    qvel: slice
    fingers: tuple[int, ...]


class World:
    """The nominal scene of a task on a robot; shared, never changed.

    Attributes:
        model: the compiled model.
        arm: the robot's specification.
        robot: the table of the arm; of a pair, of its left arm.
        parts: the arms, one or two.
        qpos, qvel, ctrl: where the actuated joints are in MuJoCo's arrays (n columns).
        scale, offset: raw = command * scale + offset, (n,); maps an opening 0..1 to metres.
        objects: start of each free object's pose in ``qpos``; zones: mocap index of each zone.
        sensors: slice of every sensor in ``sensordata``; those called ``<group>.<k>``, k = 0, 1..,
            one after the other, are one sensor ``<group>``.
    """

    def __init__(self, task: Task, robot: str | None = None, distractors: int = 0) -> None:
        """Build and compile the scene with ``distractors`` extra objects on the table.

        Raises:
            UsageError: an unknown robot, or one that cannot do ``task``.
        """
        robot = robot or task.robot
        require(task, robot)
        self.task = task
        chosen = ROBOTS[robot]
        self.robot: RobotModel = chosen.mounts[0].arm
        self.arm: ArmSpec = chosen.spec()
        self.distractors = distractors
        self.model = build_scene(chosen, task.build, distractors).compile()
        self.parts = self._find_parts(chosen.mounts)
        self._find_arm()
        self._find_objects()
        self.sensors: Mapping[str, slice] = self._find_sensors()

    def _find_parts(self, mounts: tuple[Mount, ...]) -> tuple[Part, ...]:
        parts: list[Part] = []
        first = 0
        for mount in mounts:
            last = first + len(mount.arm.joints)
            names = [f"{mount.prefix}{joint.name}" for joint in mount.arm.joints]
            qpos = [int(self.model.joint(name).qposadr[0]) for name in names]
            if qpos != list(range(qpos[0], qpos[0] + len(names))):
                raise ValueError(f"joints of {self.arm.name} must be contiguous, got {qpos}")
            qvel = int(self.model.joint(names[0]).dofadr[0])
            fingers = [f"{mount.prefix}{finger.name}" for finger in mount.arm.gripper.fingers]
            at = tuple(int(self.model.joint(name).qposadr[0]) for name in fingers)
            where = slice(qpos[0], qpos[0] + len(names)), slice(qvel, qvel + len(names))
            parts.append(
                Part(mount.arm, mount.prefix, slice(first, last), last, where[0], where[1], at)
            )
            first = last + 1
        return tuple(parts)

    def _find_arm(self) -> None:
        n = self.arm.n
        q = [np.append(np.arange(p.qpos.start, p.qpos.stop), p.fingers[0]) for p in self.parts]
        v = [p.qvel.start + np.arange(p.hinges.stop - p.hinges.start + 1) for p in self.parts]
        self.qpos, self.qvel = _index(np.concatenate(q)), _index(np.concatenate(v))
        self.ctrl = slice(0, n)
        pairs = [(at, part.gripper) for part in self.parts for at in part.fingers]
        self.finger_qpos, self.finger_command = (
            list(column) for column in zip(*pairs, strict=True)
        )
        self.scale, self.offset = np.ones(n), np.zeros(n)
        for part in self.parts:
            lo, hi = part.robot.gripper_range
            self.scale[part.gripper], self.offset[part.gripper] = hi - lo, lo

    def _find_objects(self) -> None:
        m = self.model
        self.objects: dict[str, int] = {}
        self.zones: dict[str, int] = {}
        extra = (f"distractor{i}" for i in range(self.distractors))
        names = [*self.task.objects, *self.task.hidden, *extra]
        for name in names:
            body = m.body(name)
            if int(body.mocapid[0]) >= 0:
                self.zones[name] = int(body.mocapid[0])
            else:
                self.objects[name] = int(m.joint(name).qposadr[0])

    def _find_sensors(self) -> dict[str, slice]:
        found: dict[str, slice] = {}
        for sensor in (self.model.sensor(i) for i in range(self.model.nsensor)):
            name, first = sensor.name.split(".")[0], int(sensor.adr[0])
            first, end = found[name].start if name in found else first, first + int(sensor.dim[0])
            found[name] = slice(first, end)
        return found

    def place(self, data: mujoco.MjData, start: InitialCondition) -> None:
        """Set the start state in ``data`` (reset before): arm, objects, zones, targets."""
        raw = np.asarray(start.qpos) * self.scale + self.offset
        data.qpos[self.qpos] = raw
        data.qpos[self.finger_qpos] = raw[self.finger_command]
        data.ctrl[self.ctrl] = raw
        for name, pose in start.objects.items():
            if name in self.zones:
                data.mocap_pos[self.zones[name]] = pose[:3]
                data.mocap_quat[self.zones[name]] = pose[3:]
            elif name in self.objects:
                at = self.objects[name]
                data.qpos[at : at + 7] = pose
        for joint, positions in self.task.arrange(start).items():
            at = int(self.model.joint(joint).qposadr[0])
            data.qpos[at : at + len(positions)] = positions

    def command_to_raw(self, target: Array) -> Array:
        """Map commands (..., n) to actuator units."""
        raw: Array = target * self.scale + self.offset
        return raw

    @functools.cached_property
    def model_hash(self) -> str:
        """SHA-256 of the compiled model's bytes: which physics a record was made with."""
        buffer = np.empty(mujoco.mj_sizeModel(self.model), np.uint8)
        mujoco.mj_saveModel(self.model, None, buffer)
        return hashlib.sha256(buffer.tobytes()).hexdigest()


def _index(columns: Array) -> Index:
    """Return consecutive columns as a slice: of an array it gives a view, not a copy."""
    first, n = int(columns[0]), len(columns)
    return slice(first, first + n) if (np.diff(columns) == 1).all() else columns


@functools.lru_cache(maxsize=16)
def _world(task: Task, robot: str, distractors: int) -> World:
    return World(task, robot, distractors)


def world(task: Task, robot: str | None = None, distractors: int = 0) -> World:
    """Return the shared world on ``robot``, by default the task's; compiled once a process."""
    return _world(task, robot or task.robot, distractors)
