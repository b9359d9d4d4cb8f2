"""The steps of `armtrials session` before the first trial."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from scripts.chunks import Chunks
from scripts.options import RESULTS

if TYPE_CHECKING:
    from benchmarks.session.lock import Driver, Terms


@dataclass(frozen=True)
class Plan:
    """Tell what a number of blocks can show, by the power of the test that will decide."""

    blocks: int = 20
    """Blocks at most; each policy makes one trial in each, from the same start."""
    policies: int = 2
    """Policies."""
    better: float = 0.8
    """Success rate of the better one."""
    correlation: float = 0.4
    """How much a start that is hard for one is hard for the other, 0 to below 1."""
    alpha: float = 0.05
    """Two-sided error, over all pairs of policies."""

    def run(self) -> int:
        """Print it; return 0."""
        from benchmarks.session.deciding import plan
        from envs.errors import UsageError

        if self.blocks < 1 or self.policies < 1:
            raise UsageError("--blocks and --policies must be at least 1")
        if not (0 < self.better < 1 and 0 < self.alpha < 1 and 0 <= self.correlation < 1):
            raise UsageError("needed: 0 < better < 1, 0 < alpha < 1, 0 <= correlation < 1")
        for line in plan(self.blocks, self.policies, self.alpha, self.better, self.correlation):
            say(line)
        return 0


@dataclass(frozen=True)
class Lock:
    """Fix protocol, policies and schedule; from here on codes stand for policies.

    On an arm every policy needs the verdict of a gate that it passed, for exactly its files, this
    robot, this calibration and this execution (--execute, --ensemble and so on).
    """

    policy: tuple[str, ...]
    """Checkpoint folders of the policies, or floors; none that is served elsewhere."""
    out: Path = Path("session")
    """Folder of the session."""
    protocol: str = ""
    """Whose task, robot and starts they are; default: the first of the policies' task."""
    twin: bool = False
    """On the hardware twin."""
    port: str = ""
    """On an arm: its serial port, or channel of its CAN interface."""
    interface: str = "socketcan"
    """Of python-can, for an arm of Damiao motors."""
    blocks: int = 20
    """Blocks at most: one trial of every policy from the same start, in an order of its own."""
    seed: int = 0
    """Draws the schedule."""
    alpha: float = 0.05
    """Two-sided error of the test, over all pairs of policies."""
    share: float = 0.2
    """Share of the blocks whose films a second person rates."""
    place_mm: float = 5.0
    """How far off its place an object may be put [mm]."""
    verdict: tuple[Path, ...] = ()
    """Verdicts of the gate, in the policies' order; default: gates/POLICY/verdict.json."""
    key: Path | None = None
    """File with the secret that signed the verdicts."""
    override: str = ""
    """A reason to go on without a passing verdict; every trial records it."""
    calibration: Path | None = None
    """Calibration in force on the arm: file, or folder with calibration.json."""
    cameras: tuple[str, ...] = ()
    """Where an arm's cameras are: overhead=/dev/video0 wrist=realsense:SERIAL."""
    tags: Path | None = None
    """File of tagged objects: the overhead camera tells the reset check, and a policy of the state
    track, where they are."""
    data: Path | None = None
    """Demonstrations, of which one is replayed before the trials."""
    chunks: tyro.conf.OmitArgPrefixes[Chunks] = field(default_factory=Chunks)
    """How chunks are carried out."""
    gap: str = "none"
    """How the twin differs from the simulation: none, ordinary, hard."""
    clock: Literal["own", "real"] = "own"
    """Of the twin; own: time passes only while the program waits."""
    results: Annotated[Path, tyro.conf.arg(name="results")] = RESULTS
    """Folder of the sealed runs."""

    def run(self) -> int:
        """Write lock and key; return 0."""
        self.write(self.terms())
        say(f"Note the hash. Then, not knowing which is which: armtrials session run {self.out}")
        return 0

    def write(self, terms: "Terms", tell: Callable[[str], None] | None = None) -> None:
        """Check the policies; write lock and key; ``tell`` what they are."""
        from benchmarks.session.asking import title_of
        from benchmarks.session.lock import make_lock
        from benchmarks.session.opening import load_drivers, permit
        from benchmarks.session.rigs import check_equipment
        from benchmarks.writer import refuse_disk_errors

        tell, drivers = tell or say, self.drivers()
        check_equipment(terms)
        policies = load_drivers(drivers, terms)
        for driver in drivers:
            permit(driver, terms)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        with refuse_disk_errors(self.out, "--out"):
            lock = make_lock(self.out, terms, drivers, made)
        tell(title_of(lock))
        tell(f"{len(policies)} policies loaded, each gave its stored answer")
        tell(f"locked: {self.out}, hash {lock.hash}")

    def terms(self) -> "Terms":
        """Return what is agreed."""
        from benchmarks.protocol import PROTOCOLS
        from benchmarks.session.lock import Terms
        from benchmarks.session.opening import protocol_of
        from envs.errors import UsageError
        from policies.remote import REMOTE
        from real.address import ArmAddress

        if self.twin == bool(self.port):
            raise UsageError("give --twin, or --port of an arm")
        if self.twin and (self.cameras or self.tags or (self.override and not self.verdict)):
            raise UsageError("--cameras, --tags and --override belong to an arm, not to --twin")
        if not self.policy:
            raise UsageError("--policy needs at least one checkpoint folder")
        for source in self.policy:
            if source.startswith(REMOTE):
                raise UsageError(
                    f"{source} is served elsewhere: a session locks the files of its policies, and "
                    "what a lost server says would tell who drives; compare it by armtrials "
                    "evaluate, or let it work by armtrials deploy"
                )
        protocol = self.protocol or protocol_of(self.policy)
        robot = PROTOCOLS[protocol].robot
        reach: dict[str, Any] = {"gap": self.gap, "clock": self.clock}
        if not self.twin:
            if ArmAddress(robot, self.port, self.interface).emulated:
                raise UsageError(
                    f"{self.port} is a program, its trials are not real ones: give --twin instead"
                )
            reach = {"port": self.port, "interface": self.interface,
                     "cameras": list(self.cameras), "objects": _text(self.tags)}  # fmt: skip
        world = "twin" if self.twin else "real"
        return Terms(
            self.out.name, world, protocol, robot, self.blocks, self.seed, self.alpha,
            self.share, self.place_mm, reach, _text(self.calibration), _text(self.data),
            str(self.results), self.chunks.wanted().to_json(),
        )  # fmt: skip

    def drivers(self) -> "list[Driver]":
        """Return the policies, named and hashed."""
        from benchmarks.session.lock import Driver, artefact_of
        from envs.errors import UsageError

        if self.verdict and len(self.verdict) != len(self.policy):
            raise UsageError(f"--verdict needs {len(self.policy)} files, one for each policy")
        verdicts: Sequence[str] = [str(v) for v in self.verdict] or [""] * len(self.policy)
        names = unique([Path(source).name for source in self.policy])
        return [
            Driver(name, source, artefact_of(source), verdict, _text(self.key), self.override)
            for name, source, verdict in zip(names, self.policy, verdicts, strict=True)
        ]


def unique(names: Sequence[str]) -> list[str]:
    """Return names of which equal ones are numbered."""
    return [
        name if names.count(name) == 1 else f"{name}#{names[:i].count(name) + 1}"
        for i, name in enumerate(names)
    ]


def _text(path: Path | None) -> str:
    return "" if path is None else str(path)


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{text}\n")
