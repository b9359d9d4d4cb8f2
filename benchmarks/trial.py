"""Trials: a wave of episodes stepped together under one policy, and their exact replay."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.execution import Execution
from benchmarks.failures import Trace, label
from benchmarks.latency import NOT_TIMED, Latency, Probe
from benchmarks.lines import Record
from benchmarks.protocol import EvalProtocol, Wave
from benchmarks.stats.smoothness import contact_peak, path_ratio, sparc
from envs.arm import ArmSpec, Array, CameraSpec, InitialCondition, Observation
from envs.batch import SimBatch
from envs.errors import UsageError
from envs.readings import Readings
from envs.sensors import hands
from envs.task import Task
from envs.tasks import TASKS
from envs.variation import distractors_of
from policies.base import Policy, PolicySpec
from policies.chunking import Controller
from policies.remote import PolicyAwayError, PolicyGoneError

ATTEMPTS = 3
"""How often a wave is run before we stop for a policy whose server is lost again and again."""


@dataclass(frozen=True)
class WaveResult:
    """Records of a wave in order of initial condition, and what was commanded.

    Attributes:
        records: as in ``records.FIELDS``, without ``prev``; ``video`` is None.
        actions: (count, T, n) float32, zero behind the end of a trial.
        lengths: (count,) control periods of each trial.
        void: records of trials, all invalid, that were cut off when the policy's server was gone,
            and were run again.
        gone: why the server could not be had again, "" where it could; ``records`` is empty then.
        away: of an attempt that is ``gone``, whether the server was waited for in vain.
    """

    wave: Wave
    records: list[Record]
    actions: Array
    lengths: Array
    void: list[Record] = field(default_factory=list)
    gone: str = ""
    away: bool = False

    @classmethod
    def missing(cls, wave: Wave, gone: str) -> "WaveResult":
        """Return the result of a wave that could not be run."""
        return cls(wave, [], np.zeros((0, 0, 0), np.float32), np.zeros(0, int), gone=gone)


def cameras_of(spec: PolicySpec) -> tuple[CameraSpec, ...]:
    """Return the cameras, with frame sizes, that a policy reads."""
    return tuple(
        CameraSpec(key.removeprefix("images/"), width=shape[1], height=shape[0])
        for key, shape in spec.observations.items()
        if key.startswith("images/")
    )


def check_seen(spec: PolicySpec, task: Task, arm: ArmSpec) -> None:
    """Refuse, with ``UsageError``, a policy that reads what nobody observes in ``task``."""
    seen: dict[str, tuple[int, ...]] = dict.fromkeys(("qpos", "qvel", "effort"), (arm.n,))
    seen |= {f"objects/{name}": (7,) for name in task.objects}
    if size := len(task.encode("")):
        seen["instruction"] = (size,)
    for key, shape in spec.observations.items():
        camera = key.startswith("images/") and key.removeprefix("images/") in arm.cameras
        if seen.get(key) != shape and not (camera and len(shape) == 3):
            known = ", ".join([*(f"{k} {v}" for k, v in seen.items()), *arm.cameras])
            raise UsageError(
                f"the policy reads {key} {shape}, {task.name} with {arm.name} gives {known}"
            )


@dataclass
class Runner:
    """Runs waves of one policy under one protocol; lives in a worker process.

    Attributes:
        policy: batched policy.
        name: the policy's name in the records.
        protocol: what to run.
        execution: how.
        split: ``test`` or ``dev``.
    """

    policy: Policy
    name: str
    protocol: EvalProtocol
    execution: Execution
    split: str
    _sims: dict[tuple[int, int], SimBatch] = field(default_factory=dict)

    def run(self, wave: Wave) -> WaveResult:
        """Run a wave to its end; again where the policy's server was gone meanwhile."""
        void: list[Record] = []
        for _ in range(ATTEMPTS):
            result = self.attempt(wave)
            if not result.gone:
                return replace(result, void=void)
            void += [record for record in result.records if record["status"] == "invalid"]
            if result.away:
                return replace(WaveResult.missing(wave, result.gone), void=void)
        told = f"{result.gone}, {ATTEMPTS} times in wave {wave.name}; what was completed "
        told += "is kept: run the same command again when the server is well"
        return replace(WaveResult.missing(wave, told), void=void)

    def key(self, wave: Wave, ic: int) -> Record:
        """Return what a trial's record is found by."""
        return {
            "policy": self.name, "task": self.protocol.task, "protocol": self.protocol.id,
            "condition": wave.condition, "ic": ic, "repeat": 0,
        }  # fmt: skip

    def attempt(self, wave: Wave) -> WaveResult:
        """Run a wave once and describe each trial."""
        condition = self.protocol.condition(wave.condition)
        ics = range(wave.first, wave.first + wave.count)
        starts = [self.protocol.start(wave.condition, ic, self.split) for ic in ics]
        seeds = [self.protocol.seeds(ic, self.split) for ic in ics]
        sims = self._batch(wave.count, distractors_of(condition.axes))
        sims.reset(starts)
        probe = Probe(self.policy)
        controller = self.execution.controller(probe)
        told = [sims.task.instruct(start) for start in starts]
        lost = begun(controller, told, [s["policy"] for s in seeds])
        trace = rollout(sims, controller, str(lost or ""))
        records = describe(trace, sims)
        latency = NOT_TIMED
        if not trace.gone:
            latency = self.latency(probe, told[0], seeds[0]["policy"])
        for ic, seed, start, record in zip(ics, seeds, starts, records, strict=True):
            record["key"] = self.key(wave, ic)
            record |= {"seeds": seed, "start": start.to_json(), "latency": latency}
        inside = np.arange(len(trace.actions))[:, None] < trace.steps
        actions = np.where(inside[:, :, None], trace.actions, 0).astype(np.float32)
        commands = np.moveaxis(actions, 0, 1)
        away = isinstance(lost, PolicyAwayError)
        return WaveResult(wave, records, commands, trace.steps, gone=trace.gone, away=away)

    def latency(self, probe: Probe, instruction: str, seed: int) -> Latency:
        """Time what ``probe`` saw, against the time there is for a prediction."""
        budget_ms = self.execution.budget_ms(self.policy.spec.control_hz)
        return probe.latency(instruction, seed, budget_ms)

    def _batch(self, size: int, distractors: int) -> SimBatch:
        """Return simulations of this size: kept, because renderers are costly to make."""
        key = (size, distractors)
        if key not in self._sims:
            self._sims[key] = SimBatch(
                TASKS[self.protocol.task],
                self.protocol.robot,
                size,
                threads=1,
                cameras=cameras_of(self.policy.spec),
                distractors=distractors,
            )
        return self._sims[key]


def begun(
    controller: Controller, told: Sequence[str], seeds: Sequence[int]
) -> PolicyGoneError | None:
    """Begin new trials; return why not, where the policy's server is gone."""
    try:
        controller.reset(told, seeds)
    except PolicyGoneError as gone:
        return gone
    return None


def rollout(sims: SimBatch, controller: Controller, gone: str = "") -> Trace:
    """Step all simulations until each has ended; a failing policy ends its trials.

    A row whose prediction is not finite ends alone; an exception ends all that run. So does a
    server that is gone, with ``gone`` before the first step: nothing more is commanded.
    """
    errors = [gone] * sims.size
    sims.stop(np.full(sims.size, bool(gone)))
    command = np.array([start.qpos for start in sims.starts], np.float32)
    rows = [(np.array(sims.sensors), sims.joints, np.array(sims.stage))]
    actions: list[Array] = []
    while not sims.done.all():
        try:
            action, problem = next_action(controller, sims.observe, (sims.size, sims.spec.n))
        except PolicyGoneError as error:
            gone = str(error)
            errors = [
                old or (gone if on else "") for old, on in zip(errors, ~sims.done, strict=True)
            ]
            sims.stop(~sims.done)
            break
        bad = (controller.errors | ~np.isfinite(action).all(axis=1)) & ~sims.done
        if bad.any():
            for i in np.flatnonzero(bad):
                errors[i] = problem or f"NaN or a wrong shape at step {len(actions)}"
            sims.stop(bad)
        if sims.done.all():
            break
        command = np.where(sims.done[:, None], command, action)
        sims.step(command)
        actions.append(command)
        rows.append((np.array(sims.sensors), sims.joints, np.array(sims.stage)))
    sensors, joints, stages = (np.stack(column) for column in zip(*rows, strict=True))
    commands = np.stack(actions) if actions else np.zeros((0, *command.shape), np.float32)
    return Trace(
        sims.world.sensors, sensors, joints, commands, stages, np.array(sims.steps),
        np.array(sims.success), np.array(sims.success_any), np.array(sims.success_final),
        errors, sims.spec.control_hz, sims.spec.grippers, gone,
    )  # fmt: skip


def next_action(
    controller: Controller, observe: Callable[[], Observation], shape: tuple[int, int]
) -> tuple[Array, str]:
    """Return actions (N, n) float32, and what the policy did wrong; all NaN if it raised.

    Args:
        controller: whom to ask.
        observe: returns what is seen, arrays (N, ...); called only where that is wanted.
        shape: (N, n) of the actions.

    Raises:
        UsageError: a server that is gone, or what only the user can mend.
    """
    try:
        action = controller.action(observe() if controller.wants() else None)
        if action.shape != shape:
            raise ValueError(f"actions must have shape {shape}, got {action.shape}")
        return np.asarray(action, np.float32), ""
    except UsageError:  # a server that is gone, or what only the user can mend
        raise
    except Exception as error:  # any crash of a policy is a result of its trials
        return np.full(shape, np.nan, np.float32), f"{type(error).__name__}: {error}"


def describe(trace: Trace, sims: SimBatch) -> list[Record]:
    """Return the part of each record that follows from what happened."""
    labels = label(trace, sims.task)
    goal = len(sims.task.stages)
    records: list[Record] = []
    for i, (failure, tags) in enumerate(labels):
        void = bool(trace.gone) and trace.errors[i] == trace.gone
        steps, stage = int(trace.steps[i]), int(trace.stages[trace.steps[i], i])
        records.append(
            {
                "status": "invalid" if void else "valid",
                "reason": trace.errors[i] or None,
                "success": bool(trace.success[i]),
                "success_any": bool(trace.success_any[i]),
                "success_final": bool(trace.success_final[i]),
                "stage": stage,
                "progress": stage / goal,
                "failure": None if void else failure,
                "tags": [] if void else tags,
                "steps": steps,
                "duration_s": steps / trace.hz,
                "quality": quality(trace, i, sims.task, sims.task.subject(sims.starts[i])),
                "clamps": int(sims.clamps[i]),
                "actions_sha256": actions_digest(trace.actions[:steps, i]),
                "final_sha256": state_digest(sims, i),
                "video": None,
            }
        )
    return records


def quality(trace: Trace, i: int, task: Task, subject: str) -> dict[str, float | None]:
    """Return SPARC, path-length ratio (of a success) and the peak force on the table of a trial.

    The straight path leads by ``subject``, the object to be moved. Of two hands the worse counts.
    A task adds measures of its own.
    """
    inside = slice(0, int(trace.steps[i]) + 1)
    r = Readings(trace.index, list(trace.sensors[inside, i].T))
    each = [_hand_quality(r, hand, subject, trace.hz) for hand in hands(trace.index)]
    smooth, ratios, forces = ([v for v in of if v is not None] for of in zip(*each, strict=True))
    measures = {
        "sparc": min(smooth, default=None),
        "path_ratio": max(ratios, default=None) if trace.success[i] else None,
        "contact_peak_n": max(forces, default=None),
        **task.quality(r),
    }
    return {name: None if v is None else round(v, 5) for name, v in measures.items()}


def _hand_quality(
    r: Readings, hand: str, subject: str, hz: float
) -> tuple[float | None, float | None, float | None]:
    """Return SPARC, path-length ratio and peak force of one hand.

    One of two is asked to pass only where it first and last touched the object.
    """
    path, moved = np.transpose(r[f"{hand}tcp_pos"]), np.transpose(r[f"{subject}_pos"])
    stops = moved[[0, -1]]
    if hand:
        touched = np.flatnonzero(np.asarray(r.scalar(f"{hand}arm_{subject}")) > 0)
        stops = moved[touched[[0, -1]]] if len(touched) else moved[:0]
    speed = np.linalg.norm(np.diff(path, axis=0), axis=1) * hz
    force = np.linalg.norm(r[f"{hand}arm_table"], axis=0)
    return sparc(speed, hz), path_ratio(path, through=stops), contact_peak(force)


def actions_digest(actions: Array) -> str:
    """SHA-256 of the commands (steps, n) as float32."""
    return hashlib.sha256(np.ascontiguousarray(actions, "<f4").tobytes()).hexdigest()


def state_digest(sims: SimBatch, i: int) -> str:
    """SHA-256 of a simulation's joint positions and velocities, float64."""
    state = sims.state(i)
    data = [np.ascontiguousarray(state[name], "<f8").tobytes() for name in ("qpos", "qvel")]
    return hashlib.sha256(b"".join(data)).hexdigest()


def replay(record: Record, actions: Array, robot: str | None = None) -> Iterator[SimBatch]:
    """Simulate a recorded trial again, yielding the simulation at the start and after each step.

    Args:
        record: the trial.
        actions: its commands (steps, n) or longer.
        robot: registered robot; by default the task's.

    Raises:
        UsageError: the commands are not the recorded ones, or the end differs (another MuJoCo).
    """
    actions = np.asarray(actions, np.float32)[: record["steps"]]
    name = "{condition}/{ic}".format(**record["key"])
    if actions_digest(actions) != record["actions_sha256"]:
        raise UsageError(f"the stored actions of trial {name} are not the recorded ones")
    start = InitialCondition.from_json(record["start"])
    count = start.factors.get("distractors", {}).get("count", 0)
    sims = SimBatch(TASKS[record["key"]["task"]], robot, 1, threads=1, distractors=count)
    sims.reset([start])
    yield sims
    for action in actions:
        sims.step(action[None])
        yield sims
    if state_digest(sims, 0) != record["final_sha256"]:
        raise UsageError(
            f"trial {name} does not replay to its recorded end: use the versions in its manifest"
        )
