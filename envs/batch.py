"""Many simulations of one task, each with its own variations, stepped together on all cores."""

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import mujoco.batch
import numpy as np

from envs.arm import Array, CameraSpec, InitialCondition, Observation
from envs.errors import UsageError
from envs.frames import Frames
from envs.link import Link
from envs.readings import Readings
from envs.snapshot import Snapshot
from envs.task import StageTracker, Task
from envs.variation import apply
from envs.world import SETTLE, SUBSTEPS, world

FLOAT = np.dtype(np.float32)  # of observations


class SimBatch:
    """N episodes of a task, stepped together.

    A simulation that has succeeded or reached the horizon stops; its last state stays readable.
    The same starts and actions give the same bytes for any number of threads and any N.

    Attributes:
        spec: the arm's specification.
        size: N.
        horizon: control periods until an episode is cut off; another one counts from a reset on.
        clock: control periods since the start.
        clamps: commands that a limit changed, (N,).
        done: episodes that have ended, (N,).
    """

    def __init__(
        self,
        task: Task,
        robot: str | None = None,
        size: int = 1,
        *,
        threads: int = 0,
        cameras: Sequence[CameraSpec] = (),
        distractors: int = 0,
    ) -> None:
        """Compile the scene; ``robot`` None is the task's own, ``threads`` 0 means all cores."""
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.task, self.size = task, size
        self.horizon = task.horizon
        self.world = world(task, robot, distractors)
        self.spec = self.world.arm
        self.cameras = tuple(cameras)
        threads = min(size, threads or os.cpu_count() or 1)
        # MjModel has no public copy but this one; a batch of one edits its only model.
        self.models = [self.world.model.__copy__() for _ in range(size)]
        self.batch = mujoco.batch.Batch(self.world.model, size, nthread=threads)
        self.batch.set_models(self.models)
        self._qpos, self._qvel = self.batch.bind("qpos"), self.batch.bind("qvel")
        self._sensors, force = self.batch.bind("sensordata"), self.batch.bind("actuator_force")
        self._mocap = self.batch.bind("mocap_pos")
        self._moving = [self.world.zones[name] for name in task.moving]
        self._live = Snapshot(self.world, self._qpos, self._qvel, force, self._mocap)
        self._drive = self.batch.bind("ctrl")[:, self.world.ctrl]
        shape = self._drive.shape  # arithmetic is fastest where nothing is broadcast
        self._limits = self.spec.limits.spread(shape)
        self._scale = np.array(np.broadcast_to(self.world.scale, shape))
        self._offset = np.array(np.broadcast_to(self.world.offset, shape))
        self._unscale = 1.0 / self._scale
        self._factors: list[Mapping[str, Any]] = [{}] * size  # in force in each model
        self._scratch = mujoco.MjData(self.world.model)
        self._frames: Frames | None = None
        self._all = np.arange(size)

    def reset(self, starts: Sequence[InitialCondition]) -> None:
        """Begin N episodes from ``starts`` (one a simulation)."""
        if len(starts) != self.size:
            raise ValueError(f"starts must have {self.size} entries, got {len(starts)}")
        self._check(starts)
        self.starts = tuple(starts)
        self._apply([start.factors for start in starts])
        data = self._scratch
        for state, model, start in zip(self.batch.state, self.models, starts, strict=True):
            mujoco.mj_resetData(model, data)
            self.world.place(data, start)
            mujoco.mj_getState(model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        self.batch.step(nstep=SUBSTEPS * SETTLE)
        self._begin()

    def _apply(self, factors: list[Mapping[str, Any]]) -> None:
        """Give every model its ``factors``, unless they are already in force."""
        if factors == self._factors:
            return
        self._factors = []  # in force is nothing known, should one be refused
        for model, values in zip(self.models, factors, strict=True):
            mujoco.mj_resetData(model, self._scratch)
            apply(model, self.world, self._scratch, values)
        self.batch.set_models(self.models)
        self._factors = copy.deepcopy(factors)

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
        self._link = Link(self.starts, self._command, self.horizon)
        self._zones = {
            f"objects/{name}": np.array([s.objects[name] for s in self.starts], np.float32)
            for name in self.world.zones
            if name in self.task.objects
        }
        told = [self.task.encode(self.task.instruct(start)) for start in self.starts]
        self._told = np.array(told, np.float32)
        self._held: Snapshot | None = None
        self._move_zones()
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
        wanted = actions
        if self._link.delayed:
            self._refuse_infinite(actions)
            wanted = self._link.send(actions, self.clock)
        command = self._limits.clamp(wanted, self._command)
        changed = command != wanted  # also where a value is not a number
        if np.count_nonzero(changed):
            self._count(actions, changed)
        self._command = command
        raw = command * self._scale
        np.add(raw, self._offset, out=self._drive)
        self.batch.step(ids=self._running, nstep=SUBSTEPS)
        self.clock += 1
        if self._running is None:
            self.tracker.update(self.readings)
        elif self.size > 1:
            self.tracker.update(self.readings, ~self.done)
        self._end()
        self._move_zones()
        if self._link.disturbed:
            self._deliver()

    def _move_zones(self) -> None:
        """Put the zones that the task moves where what happened in this period has brought them."""
        if self._moving:
            r = Readings(self.world.sensors, self._sensors.T)
            for zone, pos in zip(self._moving, self.task.move(r), strict=True):
                for axis in range(3):
                    self._mocap[:, zone, axis] = pos[axis]

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
        last = self.clock >= self.horizon
        if not (last or (success if self.size == 1 else success.any())):
            return
        ended = np.logical_or(success, last) & ~self.done
        self._ended_at[ended] = self.clock
        self.done |= ended
        self._running = self._all[~self.done]

    def stop(self, rows: Array) -> None:
        """End the episodes of ``rows`` (N,) bool where they stand (a policy that failed)."""
        if not rows.any():
            return
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
        if self._held is None:
            self._held = self._live.copy()
            self._held_noise = self._link.joint_noise(0)
            return
        fresh, noise = self._link.fresh(self.clock), self._link.joint_noise(self.clock)
        self._held.update(self._live, fresh)
        self._held_noise = np.where(fresh[:, None], noise, self._held_noise)

    def observe(self) -> Observation:
        """Return what the policy sees now, arrays (N, ...); frames are drawn only here."""
        seen = self._held or self._live
        joints = seen.joints - self._offset
        joints *= self._unscale
        if self._held:
            joints += self._held_noise
        observation: Observation = {
            "qpos": joints.astype(FLOAT),
            "qvel": (seen.speeds * self._unscale).astype(FLOAT),
            "effort": seen.efforts.astype(FLOAT),
        }
        for key, pose in seen.poses.items():
            observation[key] = pose.astype(FLOAT)
        for key, pose in self._zones.items():
            observation[key] = pose.copy()
        for name in self.task.moving:
            if name in self.task.objects:
                observation[f"objects/{name}"][:, :3] = seen.zones[:, self.world.zones[name]]
        if self._told.size:
            observation["instruction"] = self._told.copy()
        if self.cameras:
            observation.update(self._images(seen))
        return observation

    def _images(self, seen: Snapshot) -> Observation:
        if self._frames is None:
            self._frames = Frames(self.world)
        shapes = {c.name: (self.size, c.height, c.width, 3) for c in self.cameras}
        images = {name: np.empty(shape, np.uint8) for name, shape in shapes.items()}
        for i, start in enumerate(self.starts):
            self._frames.set(self.models[i], seen.qpos[i], seen.zones[i], start)
            for camera in self.cameras:
                frame = self._frames.draw(camera, lens=self._link.lenses[i])
                images[camera.name][i] = frame
        return {f"images/{name}": frames for name, frames in images.items()}

    def frame(
        self, i: int, camera: CameraSpec, *, shadows: bool = False, antialias: int = 0
    ) -> Array:
        """Draw simulation ``i`` as it is now, (h, w, 3) uint8."""
        if self._frames is None:
            self._frames = Frames(self.world)
        self._frames.set(self.models[i], self._qpos[i], self._mocap[i], self.starts[i])
        return self._frames.draw(camera, shadows=shadows, antialias=antialias)

    def state(self, i: int) -> Mapping[str, Array]:
        """Copy simulation ``i``'s state: ``qpos`` (nq,), ``qvel`` (nv,), ``zones`` (nmocap, 3)."""
        found = {"qpos": self._qpos[i], "qvel": self._qvel[i], "zones": self._mocap[i]}
        return {name: np.array(values) for name, values in found.items()}
