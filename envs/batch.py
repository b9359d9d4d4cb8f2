"""Many simulations of one task, each with its own variations, stepped together on all cores."""

import os
from collections.abc import Mapping, Sequence

import mujoco
import mujoco.batch
import numpy as np

from envs.arm import Array, CameraSpec, InitialCondition, Observation
from envs.errors import UsageError
from envs.frames import Frames
from envs.link import Link
from envs.readings import Readings
from envs.task import StageTracker, Task
from envs.variation import apply
from envs.world import SETTLE, SUBSTEPS, world


class SimBatch:
    """N episodes of a task, stepped together.

    A simulation that has succeeded or reached the horizon stops; its last state stays readable.
    The same starts and actions give the same bytes for any number of threads and any N.

    Attributes:
        spec: the arm's specification.
        size: N.
        clock: control periods since the start.
        clamps: commands that a limit changed, (N,).
        done: episodes that have ended, (N,).
    """

    def __init__(
        self,
        task: Task,
        robot: str = "viperx",
        size: int = 1,
        *,
        threads: int = 0,
        cameras: Sequence[CameraSpec] = (),
        distractors: int = 0,
    ) -> None:
        """Compile the scene; ``threads`` 0 means all cores."""
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.task, self.size = task, size
        self.world = world(task, robot, distractors)
        self.spec = self.world.arm
        self.cameras = tuple(cameras)
        threads = min(size, threads or os.cpu_count() or 1)
        # MjModel has no public copy but this one; a batch of one edits its only model.
        self.models = [self.world.model.__copy__() for _ in range(size)]
        self.batch = mujoco.batch.Batch(self.world.model, size, nthread=threads)
        self.batch.set_models(self.models)
        self._qpos, self._qvel = self.batch.bind("qpos"), self.batch.bind("qvel")
        self._ctrl, self._force = self.batch.bind("ctrl"), self.batch.bind("actuator_force")
        self._sensors = self.batch.bind("sensordata")
        self._drive = self._ctrl[:, self.world.ctrl]
        self._unscale = 1.0 / self.world.scale
        self._names = {
            f"objects/{name}": slice(at, at + 7)
            for name, at in self.world.objects.items()
            if name in task.objects
        }
        self._scratch = mujoco.MjData(self.world.model)
        self._frames: Frames | None = None
        self._all = np.arange(size)

    def reset(self, starts: Sequence[InitialCondition]) -> None:
        """Begin N episodes from ``starts`` (one a simulation)."""
        if len(starts) != self.size:
            raise ValueError(f"starts must have {self.size} entries, got {len(starts)}")
        self._check(starts)
        self.starts = tuple(starts)
        self.batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE)
        mocap = self.world.model.nmocap > 0
        mocap_pos = self.batch.bind("mocap_pos") if mocap else None
        mocap_quat = self.batch.bind("mocap_quat") if mocap else None
        for i, start in enumerate(starts):
            data = self._scratch
            mujoco.mj_resetData(self.models[i], data)
            apply(self.models[i], self.world, data, start.factors)
            mujoco.mj_resetData(self.models[i], data)
            self.world.place(data, start)
            self._qpos[i], self._qvel[i], self._ctrl[i] = data.qpos, 0.0, data.ctrl
            if mocap_pos is not None and mocap_quat is not None:
                mocap_pos[i], mocap_quat[i] = data.mocap_pos, data.mocap_quat
        self.batch.set_models(self.models)
        self.batch.step(nstep=SUBSTEPS * SETTLE)
        self._begin()

    def _check(self, starts: Sequence[InitialCondition]) -> None:
        for start in starts:
            count = start.factors.get("distractors", {}).get("count", 0)
            if count > self.world.distractors:
                raise UsageError(
                    f"a start with {count} distractors needs a scene with as many, "
                    f"got {self.world.distractors}"
                )

    def _begin(self) -> None:
        n = self.size
        self.clock = 0
        self._ended_at = np.zeros(n, np.int64)
        self.clamps = np.zeros(n, np.int64)
        self.done = np.zeros(n, bool)
        self._running: Array | None = None  # None: all are
        zero = 0 if n == 1 else np.zeros(n, np.int64)
        self.tracker = StageTracker(self.task, self.spec.control_hz, zero)
        self._command = np.array([s.qpos for s in self.starts])
        self._link = Link(self.starts, self._command, self.task.horizon)
        self._zones = {
            f"objects/{name}": np.array([s.objects[name] for s in self.starts], np.float32)
            for name in self.world.zones
            if name in self.task.objects
        }
        self._held: tuple[Array, Array, Array] | None = None
        self._deliver()

    def step(self, actions: Array) -> None:
        """Advance the running simulations by one control period (20 ms).

        Args:
            actions: absolute targets (N, n), rad and opening; rows that are done are ignored.

        Raises:
            ValueError: on a wrong shape or a value that is not finite.
        """
        actions = np.asarray(actions, np.float64)
        if actions.shape != self._command.shape:
            raise ValueError(f"actions must have shape {self._command.shape}, got {actions.shape}")
        if self._link.delayed:
            self._refuse_infinite(actions)
        wanted = self._link.send(actions)
        command = self.spec.clamp(wanted, self._command)
        changed = command != wanted  # also where a value is not a number
        if changed.any():
            self._count(actions, changed)
        self._command = command
        np.multiply(command, self.world.scale, out=self._drive)
        self._drive += self.world.offset
        self.batch.step(ids=self._running, nstep=SUBSTEPS)
        self.clock += 1
        if self._running is None:
            self.tracker.update(self.readings)
        elif self.size > 1:
            self.tracker.update(self.readings, ~self.done)
        self._end()
        self._link.advance()
        if self._link.disturbed:
            self._deliver()

    @staticmethod
    def _refuse_infinite(actions: Array) -> None:
        if not np.isfinite(actions).all():
            raise ValueError(f"actions must be finite, got {actions[~np.isfinite(actions)][:5]}")

    def _count(self, actions: Array, changed: Array) -> None:
        """Count the commands that a limit changed."""
        self._refuse_infinite(actions)
        self.clamps += changed.any(axis=1) & ~self.done

    def _end(self) -> None:
        """Stop the simulations that have succeeded, and all of them at the horizon."""
        success = self.tracker.success
        last = self.clock >= self.task.horizon
        if not (last or (success if self.size == 1 else success.any())):
            return
        ended = np.logical_or(success, last) & ~self.done
        self._ended_at[ended] = self.clock
        self.done |= ended
        self._running = self._all[~self.done]

    def stop(self, rows: Array) -> None:
        """End the episodes of ``rows`` (N,) bool where they stand (a policy that failed)."""
        self._ended_at[rows & ~self.done] = self.clock
        self.done |= rows
        self._running = self._all[~self.done]

    @property
    def steps(self) -> Array:
        """Control periods each episode has run, (N,)."""
        return np.where(self.done, self._ended_at, self.clock)

    @property
    def readings(self) -> Readings:
        """Present sensor readings: floats for one simulation, arrays (N,) for many."""
        values = self._sensors[0].tolist() if self.size == 1 else self._sensors.T
        return Readings(self.world.sensors, values)

    @property
    def sensors(self) -> Array:
        """Raw sensor values (N, n_sensors); ``world.sensors`` names the slices."""
        values: Array = self._sensors
        return values

    @property
    def joints(self) -> Array:
        """True joint positions (N, n) without sensor noise, rad and opening."""
        w = self.world
        positions: Array = (self._qpos[:, w.qpos] - w.offset) / w.scale
        return positions

    @property
    def stage(self) -> Array:
        """Stages reached in order, (N,)."""
        return np.atleast_1d(self.tracker.stage)

    @property
    def success(self) -> Array:
        """Whether the goal was held for ``hold_s``, (N,)."""
        return np.atleast_1d(self.tracker.success)

    @property
    def success_any(self) -> Array:
        """Whether the goal held at any step, (N,)."""
        return np.atleast_1d(np.asarray(self.tracker.ever, bool))

    @property
    def success_final(self) -> Array:
        """Whether the goal held at the last step, (N,)."""
        return np.atleast_1d(np.asarray(self.tracker.now, bool))

    def _deliver(self) -> None:
        """Let a new frame arrive where none is dropped: keep the state it was taken in."""
        if not self._link.disturbed:
            return
        state = (self._qpos, self._qvel, self._force)
        if self._held is None:
            qpos, qvel, force = (np.array(x) for x in state)
            self._held = (qpos, qvel, force)
            self._held_noise = self._link.joint_noise()
            return
        fresh = self._link.fresh()
        for kept, now in zip(self._held, state, strict=True):
            kept[fresh] = now[fresh]
        self._held_noise = np.where(fresh[:, None], self._link.joint_noise(), self._held_noise)

    def observe(self) -> Observation:
        """Return what the policy sees now, arrays (N, ...); frames are drawn only here."""
        w, held = self.world, self._held
        qpos, qvel, force = held or (self._qpos, self._qvel, self._force)
        joints = (qpos[:, w.qpos] - w.offset) * self._unscale
        if held:
            joints += self._held_noise
        observation: Observation = {
            "qpos": joints.astype(np.float32),
            "qvel": (qvel[:, w.qvel] * self._unscale).astype(np.float32),
            "effort": force[:, w.ctrl].astype(np.float32),
        }
        for key, at in self._names.items():
            observation[key] = qpos[:, at].astype(np.float32)
        for key, pose in self._zones.items():
            observation[key] = pose.copy()
        if self.cameras:
            observation.update(self._images(qpos))
        return observation

    def _images(self, qpos: Array) -> Observation:
        if self._frames is None:
            self._frames = Frames(self.world)
        shapes = {c.name: (self.size, c.height, c.width, 3) for c in self.cameras}
        images = {name: np.empty(shape, np.uint8) for name, shape in shapes.items()}
        for i, start in enumerate(self.starts):
            self._frames.set(self.models[i], qpos[i], start)
            for camera in self.cameras:
                frame = self._frames.draw(camera, jpeg=int(self._link.jpeg[i]))
                images[camera.name][i] = frame
        return {f"images/{name}": frames for name, frames in images.items()}

    def frame(
        self, i: int, camera: CameraSpec, *, shadows: bool = False, antialias: int = 0
    ) -> Array:
        """Draw simulation ``i`` as it is now, (h, w, 3) uint8."""
        if self._frames is None:
            self._frames = Frames(self.world)
        self._frames.set(self.models[i], self._qpos[i], self.starts[i])
        return self._frames.draw(camera, shadows=shadows, antialias=antialias)

    def state(self, i: int) -> Mapping[str, Array]:
        """Copy simulation ``i``'s physical state: ``qpos`` (nq,), ``qvel`` (nv,)."""
        return {"qpos": np.array(self._qpos[i]), "qvel": np.array(self._qvel[i])}
