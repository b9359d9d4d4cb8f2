"""The mechanics at the far end of a hardware twin's bus: a task's scene, driven joint by joint.

Nothing of servos or buses is here: emulators tell every joint what its drive asks of it and let
time pass. The scene is the same model that the simulation uses, so a twin without a gap differs
from it only in what lies between.
"""

from collections import deque
from enum import IntEnum

import mujoco
import numpy as np

from envs.arm import Array, InitialCondition
from envs.gap import NONE, Gap, play, with_gap
from envs.readings import Readings
from envs.robot_builder import PHYSICS_DT
from envs.task import Task
from envs.variation import apply
from envs.world import World, world

MOST_STEPS = 500
"""Physics steps made at once; a longer break of this computer did not happen."""


class Way(IntEnum):
    """How a joint is driven."""

    OFF = 0
    POSITION = 1
    FORCE = 2


class TwinScene:
    """A scene in MuJoCo whose joints are driven one by one, as by servos on a bus.

    Columns are the joints of the arm's specification; positions are rad and openings, forces what
    does work on them: N m, and of a gripper N m (N) per unit of its opening.

    Attributes:
        world: the nominal scene.
        way: how each joint is driven (n,).
        target: where it is to go, for ``POSITION`` (n,).
        force: what pulls it, for ``FORCE`` (n,).
        most: largest force of a drive that goes to a position (n,).
        begun: how often the scene was set up.
        start: how it was set up last.
        time: simulated time [s].
    """

    def __init__(
        self, task: Task, robot: str | None = None, gap: Gap = NONE, seed: int = 0
    ) -> None:
        """Put the arm to sleep on the table, without torque.

        Args:
            task: what lies on the table.
            robot: the arm, by default the task's.
            gap: how this arm differs from the simulated one.
            seed: of the sensors' noise.
        """
        self.world: World = world(task, robot)
        self.gap, self._rng = gap, np.random.default_rng(seed)
        self.model = self.world.model.__copy__()
        self.data = mujoco.MjData(self.model)
        self._scratch = mujoco.MjData(self.model)
        n = self.world.arm.n
        self.way = np.full(n, Way.OFF)
        self._force_limit = self.model.actuator_forcerange[self.world.ctrl, 1].copy()
        self.most = self._force_limit * self.world.scale
        self.force = np.zeros(n)
        self.begun, self.time, self._owed = 0, 0.0, 0.0
        self._robot = self._robot_qpos()
        self._dofs = np.arange(self.model.nv)[: len(self._robot)]
        sleep = [*self.world.robot.sleep, 0.2]
        pose = np.clip(np.array(sleep), self.world.arm.lower, self.world.arm.upper)
        if len(pose) != n:
            pose = np.array(self.world.arm.home)
        self.set_up(task.sample(np.random.default_rng(seed), self.world.arm))
        self.data.qpos[self.world.qpos] = self.world.command_to_raw(pose)
        fingers = self.world.command_to_raw(pose)[self.world.finger_command]
        self.data.qpos[self.world.finger_qpos] = fingers
        self.target, self._driven = pose.copy(), pose.copy()
        late = round(gap.latency / PHYSICS_DT)
        self._late: deque[Array] = deque([pose.copy()] * late, maxlen=late + 1)
        mujoco.mj_forward(self.model, self.data)
        self._sense()

    def _robot_qpos(self) -> Array:
        """Return where the arm's joints and fingers are in ``qpos``; they come first."""
        parts = [np.arange(part.qpos.start, part.qpos.stop) for part in self.world.parts]
        found = np.concatenate([*parts, np.array(self.world.finger_qpos, int)])
        return np.sort(found)

    def feel_gravity(self) -> None:
        """Take the arm's gravity compensation away: its drives bring what they are told to."""
        self.model.body_gravcomp[:] = 0.0

    def set_up(self, start: InitialCondition) -> None:
        """Put objects and zones where ``start`` says and its variations in force.

        The arm stays where it is: it is brought to its start pose by its own drives.
        """
        apply(self.model, self.world, self._scratch, with_gap(start, self.gap).factors)
        self._gain = self.model.actuator_gainprm[self.world.ctrl].copy()
        self._bias = self.model.actuator_biasprm[self.world.ctrl].copy()
        mujoco.mj_resetData(self.model, self._scratch)
        self.world.place(self._scratch, start)
        arm = self.data.qpos[self._robot].copy()
        self.data.qpos[:] = self._scratch.qpos
        self.data.qpos[self._robot] = arm
        moving = self.data.qvel[self._dofs].copy()
        self.data.qvel[:] = 0.0
        self.data.qvel[self._dofs] = moving
        self.data.mocap_pos[:] = self._scratch.mocap_pos
        self.data.mocap_quat[:] = self._scratch.mocap_quat
        self.start, self.begun = start, self.begun + 1
        mujoco.mj_forward(self.model, self.data)

    def advance(self, seconds: float) -> None:
        """Let time pass under the drives, in whole steps of physics; the rest is owed."""
        self._owed += seconds
        steps = int(self._owed / PHYSICS_DT + 1e-9)
        self._owed -= steps * PHYSICS_DT
        if not steps:
            return
        self._set_drives()
        for _ in range(min(steps, MOST_STEPS)):
            self._late.append(self.target.copy())
            self._driven = play(self._driven, self._late[0], self.gap.backlash)
            self.data.ctrl[self.world.ctrl] = self.world.command_to_raw(self._driven)
            mujoco.mj_step(self.model, self.data)
            self._move_zones()
            self.time += PHYSICS_DT
        self._sense()

    def _set_drives(self) -> None:
        """Give every actuator its gains, its largest force, or nothing."""
        model, ctrl, scale = self.model, self.world.ctrl, self.world.scale
        on = (self.way == Way.POSITION)[:, None]
        model.actuator_gainprm[ctrl] = np.where(on, self._gain, 0.0)
        model.actuator_biasprm[ctrl] = np.where(on, self._bias, 0.0)
        most = np.minimum(self.most / np.abs(scale), self._force_limit)
        model.actuator_forcerange[ctrl, 0], model.actuator_forcerange[ctrl, 1] = -most, most
        pull = np.where(self.way == Way.FORCE, self.force / scale, 0.0)
        self.data.qfrc_applied[self.world.qvel] = pull
        off = self.way != Way.POSITION  # a drive that takes over does so where the joint is
        here = (self.data.qpos[self.world.qpos] - self.world.offset) / scale
        self.target = np.where(off, here, self.target)
        self._driven = np.where(off, here, self._driven)

    def _move_zones(self) -> None:
        task = self.world.task
        if not task.moving:
            return
        r = Readings(self.world.sensors, self.data.sensordata[:, None])
        for name, pos in zip(task.moving, task.move(r), strict=True):
            self.data.mocap_pos[self.world.zones[name]] = [float(np.ravel(x)[0]) for x in pos]

    def _sense(self) -> None:
        w = self.world
        noise = self._rng.normal(size=w.arm.n) * self.gap.noise if self.gap.noise else 0.0
        self.positions: Array = (self.data.qpos[w.qpos] - w.offset) / w.scale + noise
        self.speeds: Array = self.data.qvel[w.qvel] / w.scale
        force = np.where(
            self.way == Way.FORCE, self.force, self.data.actuator_force[w.ctrl] * w.scale
        )
        self.forces: Array = np.where(self.way == Way.OFF, 0.0, force)
