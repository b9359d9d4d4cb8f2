"""A compiled scene, and where everything is in MuJoCo's arrays."""

import functools
import hashlib
from collections.abc import Mapping

import mujoco
import numpy as np

from envs.ability import require
from envs.arm import ArmSpec, Array, InitialCondition
from envs.robots import ROBOTS, RobotModel
from envs.scene import build_scene
from envs.task import Task

SUBSTEPS = 10  # physics steps of 2 ms in one control period of 20 ms
SETTLE = 10  # control periods at the start pose before an episode, so that gravity sag is over


class World:
    """The nominal scene of a task on a robot; shared, never changed.

    Attributes:
        model: the compiled model.
        arm: the robot's specification.
        qpos, qvel, ctrl: where the actuated joints are in MuJoCo's arrays (slices of length n).
        scale, offset: raw = command * scale + offset, (n,); maps an opening 0..1 to metres.
        objects: start of each free object's pose in ``qpos``; zones: mocap index of each zone.
        sensors: slice of every sensor in ``sensordata``.
    """

    def __init__(self, task: Task, robot: str = "viperx", distractors: int = 0) -> None:
        """Build and compile the scene with ``distractors`` extra objects on the table.

        Raises:
            UsageError: an unknown robot, or one that cannot do the task.
        """
        require(task, robot)
        self.task = task
        self.robot: RobotModel = ROBOTS[robot]
        self.arm: ArmSpec = self.robot.spec()
        self.distractors = distractors
        self.model = build_scene(self.robot, task.build, distractors).compile()
        self._find_arm()
        self._find_objects()
        self.sensors: Mapping[str, slice] = {
            s.name: slice(int(s.adr[0]), int(s.adr[0] + s.dim[0]))
            for s in (self.model.sensor(i) for i in range(self.model.nsensor))
        }

    def _find_arm(self) -> None:
        m, n = self.model, self.arm.n
        self.fingers = [finger.name for finger in self.robot.gripper.fingers]
        joints = [*self.arm.joints[:-1], self.fingers[0]]
        first = m.joint(joints[0])
        q, v = int(first.qposadr[0]), int(first.dofadr[0])
        if [int(m.joint(j).qposadr[0]) for j in joints] != list(range(q, q + n)):
            raise ValueError(f"joints of {self.arm.name} must be contiguous, got {joints}")
        self.qpos, self.qvel, self.ctrl = slice(q, q + n), slice(v, v + n), slice(0, n)
        self.finger_qpos = [int(m.joint(f).qposadr[0]) for f in self.fingers]
        lo, hi = self.robot.gripper_range
        self.scale, self.offset = np.ones(n), np.zeros(n)
        self.scale[-1], self.offset[-1] = hi - lo, lo

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

    def place(self, data: mujoco.MjData, start: InitialCondition) -> None:
        """Set the start state in ``data`` (reset before): arm, objects, zones, targets."""
        raw = np.asarray(start.qpos) * self.scale + self.offset
        data.qpos[self.qpos] = raw
        data.qpos[self.finger_qpos] = raw[-1]
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


@functools.lru_cache(maxsize=16)
def world(task: Task, robot: str = "viperx", distractors: int = 0) -> World:
    """Return the shared world; compiled once a process."""
    return World(task, robot, distractors)
