"""One pass through the gate: the checks in their order, the verdict, the page."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.execution import Execution, Wanted
from benchmarks.gate import artefact, diagnosis, live, loop
from benchmarks.gate.check import FAIL, NAMES, Check, failed, outcome_of, skipped
from benchmarks.gate.live import Thresholds
from benchmarks.gate.loop import Factory
from benchmarks.gate.recorded import COUNT, answers, load_data, record_of, stream_of
from benchmarks.gate.verdict import EXECUTION, FILE, inputs_of, sealed
from benchmarks.manifest import package_version
from benchmarks.protocol import PROTOCOLS, EvalProtocol
from benchmarks.writer import refuse_disk_errors
from envs.arm import ArmSpec
from envs.atomic import write_whole
from envs.errors import UsageError
from envs.robots import ROBOTS
from envs.tasks import TASKS
from policies.base import Policy
from policies.checkpoint import load_checkpoint
from policies.dataset import EpisodeSet
from policies.trained import LearnedPolicy, TrainedPolicy

EARLIER = "not run: an earlier check failed"


@dataclass(frozen=True)
class GateConfig:
    """What passes the gate, and by which rules.

    Attributes:
        policy: checkpoint folder.
        protocol: registered protocol.
        robot: registered robot; it must be the protocol's.
        data: demonstrations that the policy learned from; None: those of a stream are made again,
            without one what needs them is not run.
        base_data: folders that it was pre-trained on, where it kept their scaling; those of a
            stream are made again.
        calibration: file or folder that is in force on the arm; None for none.
        trials: on nominal starts.
        perturbed: in changed scenes.
        observations: recorded ones.
        timed: predictions that are timed.
        wanted: how chunks are carried out.
        busy: processes that keep the machine at work while it is timed; None: one a core.
        limits: what must be reached; None: the protocol's.
        threads: of a prediction.
    """

    policy: Path
    protocol: str = "pick_place/v1"
    robot: str = "viperx"
    data: Path | None = None
    base_data: tuple[Path, ...] = ()
    calibration: Path | None = None
    trials: int = 50
    perturbed: int = 50
    observations: int = COUNT
    timed: int = 200
    wanted: Wanted = field(default_factory=Wanted)
    busy: int | None = None
    limits: Thresholds | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse an unknown protocol, another robot than its own, and counts below 1."""
        protocol = PROTOCOLS[self.protocol]
        ROBOTS[self.robot]
        if protocol.robot != self.robot:
            raise UsageError(f"protocol {self.protocol} is for {protocol.robot}, not {self.robot}")
        for what in ("trials", "perturbed", "observations", "timed"):
            if getattr(self, what) < 1:
                raise UsageError(f"{what} must be at least 1, got {getattr(self, what)}")

    @property
    def thresholds(self) -> Thresholds:
        """What must be reached."""
        return self.limits or live.THRESHOLDS.get(self.protocol, Thresholds())


@dataclass(frozen=True)
class Passage:
    """What came of a pass through the gate.

    Attributes:
        outcome: ``pass``, ``fail`` or ``incomplete``.
        cause: of the failure; empty without one.
        checks: all of them, in order.
        seconds: of wall-clock time.
        execution: how chunks were carried out; None: the policy was not loaded.
        compared: whether there were demonstrations to compare with.
    """

    outcome: str
    cause: str
    checks: tuple[Check, ...]
    seconds: float = field(compare=False)
    execution: Execution | None = None
    compared: bool = False


Adapter = Callable[[LearnedPolicy], Policy]
"""What stands between a policy and an arm; the gate asks through it."""


class Gate:
    """Runs the checks one after the other; what an earlier one loaded is there for a later one."""

    def __init__(
        self,
        config: GateConfig,
        twin: Factory | None = None,
        adapter: Adapter | None = None,
        data: EpisodeSet | None = None,
    ) -> None:
        """Prepare.

        Args:
            config: what and how.
            twin: makes the arm for the last check; None: it is not run.
            adapter: between the policy and the arm.
            data: ``config.data``, where the caller has read it already.
        """
        self.config, self.twin, self.adapter = config, twin, adapter
        self.protocol: EvalProtocol = PROTOCOLS[config.protocol]
        self.arm: ArmSpec = ROBOTS[config.robot].spec()
        self.data = data
        self.base: EpisodeSet | None = None
        self.absent, self.no_base = "--data was not given", ""
        self.execution: Execution | None = None

    def run(self, say: Callable[[Check], None] = lambda check: None) -> Passage:
        """Run every check; ``say`` is told each result as it is there."""
        begin = time.perf_counter()
        checks: list[Check] = []

        def add(check: Check) -> None:
            checks.append(check)
            say(check)

        loaded = self._load(add)
        if loaded is not None:
            self._static(loaded, add)
        stop = any(check.outcome == FAIL for check in checks)
        if loaded is None or stop:
            done = {check.name for check in checks}
            for name in NAMES:
                if name not in done:
                    add(skipped(name, EARLIER))
            checks.sort(key=lambda check: list(NAMES).index(check.name))
        elif self.execution is not None:
            self._moving(loaded, self.execution, add)
        found = tuple(checks)
        took = time.perf_counter() - begin
        compared = self.data is not None
        return Passage(outcome_of(found), cause_of(found), found, took, self.execution, compared)

    def _load(self, add: Callable[[Check], None]) -> LearnedPolicy | None:
        """Load the checkpoint; say what is wrong with one that does not load or fit.

        Raises:
            UsageError: its chunks cannot be carried out as asked.
        """
        try:
            self.learned = load_checkpoint(self.config.policy, threads=self.config.threads)
        except UsageError as error:
            add(artefact.check_loading(error))
            return None
        wanted = self.config.wanted
        self.execution = wanted.execution(self.learned.spec, self.config.trials)
        wanted.use(self.learned)
        add(artefact.check_spec(self.learned, TASKS[self.protocol.task], self.arm))
        self._read(self.learned)
        self.policy: Policy = self.learned if self.adapter is None else self.adapter(self.learned)
        return self.learned

    def _read(self, loaded: LearnedPolicy) -> None:
        """Read what the policy learned from and what its scaling is of, or make it again."""
        origin, kept = loaded.provenance["data"], loaded.provenance.get("scaling", {})
        if self.data is None and self.config.data is not None:
            self.data = load_data([self.config.data], loaded)
        elif self.data is None and "stream" in origin:
            self.data, self.absent = self._again(loaded, origin["stream"])
        if self.config.base_data:
            if not kept:
                raise UsageError("the policy was not pre-trained: leave --base-data out")
            self.base = load_data(self.config.base_data, loaded)
        elif "stream" in kept:
            self.base, self.no_base = self._again(loaded, kept["stream"])

    @staticmethod
    def _again(loaded: LearnedPolicy, told: Mapping[str, Any]) -> tuple[EpisodeSet | None, str]:
        """Return a stream's first demonstrations, or why they cannot be made again."""
        try:
            return stream_of(loaded, told), ""
        except UsageError as error:
            return None, str(error)

    def _static(self, loaded: LearnedPolicy, add: Callable[[Check], None]) -> None:
        """Run what moves nothing."""
        spec = artefact.check_spec(loaded, TASKS[self.protocol.task], self.arm)
        if spec.outcome == FAIL:
            return
        if self.data is None:
            add(skipped("statistics", f"not run: {self.absent}"))
            add(artefact.check_canary(loaded, self.config.policy))
            for name in ("actions", "recorded"):
                add(skipped(name, f"not run: {self.absent}"))
            return
        offsets = loaded.offsets if isinstance(loaded, TrainedPolicy) else self._offsets(loaded)
        add(artefact.check_statistics(loaded, self.data, offsets, self.base, self.no_base))
        add(artefact.check_canary(loaded, self.config.policy))
        recorded = record_of(self.data, loaded, self.config.observations)
        try:
            predicted = answers(self.policy, recorded)
        except Exception as error:  # any crash of a policy is a finding
            add(failed("actions", "raises an error", f"{type(error).__name__}: {error}"))
            return
        add(diagnosis.check_actions(self.policy, self.arm, recorded, predicted, self.data))
        add(live.check_recorded(self.policy, self.arm, recorded))
        self.recorded = recorded

    @staticmethod
    def _offsets(loaded: LearnedPolicy) -> tuple[int, ...]:
        """Return the columns that were learned as offsets, of a graph that does not say."""
        settings = loaded.provenance.get("identity", {}).get("settings", {})
        if settings.get("actions", "absolute") == "absolute":
            return ()
        return tuple(i for i, j in enumerate(loaded.spec.joints) if j.split("_")[-1] != "gripper")

    def _moving(
        self, loaded: LearnedPolicy, execution: Execution, add: Callable[[Check], None]
    ) -> None:
        """Run what acts: in simulation, against the clock, on the twin."""
        config, limits = self.config, self.config.thresholds
        cells = {
            "nominal": live.nominal_cells(config.trials),
            "perturbed": live.perturbed_cells(self.protocol, loaded.spec.track, config.perturbed),
        }
        for name, chosen in cells.items():
            records = live.run_trials(self.policy, self.protocol, chosen, execution)
            add(live.check_success(name, records, limits))
        if self.data is None:
            add(skipped("latency", f"not run: {self.absent}"))
        else:
            busy = live.usual_load() if config.busy is None else config.busy
            timed = live.check_latency(self.policy, self.recorded, execution, config.timed, busy)
            add(timed)
        add(loop.check_loop(self.twin, self.policy, self.protocol, execution, limits))


def cause_of(checks: tuple[Check, ...]) -> str:
    """Return what is wrong: the first cause that says it, not the canary's that it is otherwise."""
    failed = [check for check in checks if check.outcome == FAIL]
    named = [check.cause for check in failed if check.name != "canary"]
    return (named or [check.cause for check in failed] or [""])[0]


def write_verdict(passage: Passage, config: GateConfig, out: Path, key: Path | None = None) -> Path:
    """Write the verdict file; return its path.

    Raises:
        UsageError: it cannot be written, or an input cannot be read.
    """
    data = _fingerprint(config) if passage.compared else "none"
    limits = config.thresholds
    body: dict[str, Any] = {
        "outcome": passage.outcome,
        "cause": passage.cause,
        "made": round(time.time(), 3),
        "inputs": inputs_of(config.policy, config.protocol, config.robot, config.calibration, data),
        "limits": {name: getattr(limits, name) for name in limits.__dataclass_fields__},
        "checks": [check.to_json() for check in passage.checks],
        **({} if passage.execution is None else {EXECUTION: passage.execution.to_json()}),
        "versions": {name: package_version(name) for name in ("armtrials", "torch", "mujoco")},
    }
    path = out / FILE
    with refuse_disk_errors(out, "--out"):
        write_whole(path, sealed(body, key))
    return path


def _fingerprint(config: GateConfig) -> str:
    """Return the fingerprint of the demonstrations, as the checks compared it with the artefact."""
    from policies.checkpoint_files import PROVENANCE, read_json

    path = config.policy / PROVENANCE
    try:
        return str(read_json(path.read_bytes(), path).get("data", {}).get("fingerprint", ""))
    except (OSError, UsageError):
        return ""
