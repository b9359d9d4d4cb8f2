"""Check whether a policy may run on an arm."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from scripts.chunks import Chunks

if TYPE_CHECKING:
    from benchmarks.gate.check import Check
    from benchmarks.gate.live import Thresholds

EXAMPLES = """
armtrials gate --policy runs/act --data data/pick_place
armtrials gate --policy runs/act-onnx --data data/pick_place --trials 100 --nominal 0.9
armtrials gate --policy runs/bc --data data/pick_place --nominal 0.02 --perturbed 0.01
armtrials gate --policy runs/act --data data/pick_place --calibration calib/ --key gate.key
armtrials gate --policy runs/tuned --data data/arm --base-data data/simulated
"""

EXIT = {"pass": 0, "fail": 1, "incomplete": 1}


@dataclass(frozen=True)
class Gate:
    """Check a policy in simulation and on the twin before it may move an arm.

    The checks that move nothing come first. Without the demonstrations (--data) or a twin what
    needs them is not run, and the verdict is `incomplete`: no arm starts on it. The exit code is 0
    for `pass`, 1 otherwise.
    """

    policy: str
    """Checkpoint folder, exported or not; not a policy that is served elsewhere."""
    protocol: str = "pick_place/v1"
    """Registered protocol."""
    robot: str = "viperx"
    """Registered robot."""
    data: Path | None = None
    """Demonstrations that the policy learned from; a stream is made again."""
    base_data: tuple[Path, ...] = ()
    """Demonstrations that it was pre-trained on, where it went on with --from and kept their
    scaling; a stream is made again."""
    calibration: Path | None = None
    """File or folder with the calibration in force on the arm; the verdict counts for it alone."""
    trials: int = 50
    """On nominal starts, drawn for the gate alone."""
    perturbed_trials: int = 50
    """In changed scenes: level L1 of every axis, in turns."""
    nominal: float | None = None
    """Lower bound of the success rate that is wanted on nominal starts; default: 0.6."""
    perturbed: float | None = None
    """The same in changed scenes; default: 0.3."""
    chunks: tyro.conf.OmitArgPrefixes[Chunks] = field(default_factory=Chunks)
    """How chunks are carried out."""
    timed: int = 200
    """Predictions to time, while all cores are kept busy."""
    threads: int = 1
    """Threads of a prediction."""
    key: Path | None = None
    """File with a secret: signs the verdict (HMAC-SHA-256)."""
    out: Path | None = None
    """Folder of verdict and page; default: gates/POLICY."""

    def run(self) -> int:
        """Run the checks, write verdict and page; return 0 where the policy passed."""
        from rich.console import Console

        from benchmarks.gate.loop import TWINS
        from benchmarks.gate.run import Gate as Checks
        from benchmarks.gate.run import GateConfig, write_verdict
        from benchmarks.gate.verdict import refuse_served
        from benchmarks.report.gate_page import write_gate

        console = Console(highlight=False, soft_wrap=True)
        refuse_served(self.policy)
        folder = Path(self.policy)
        config = GateConfig(
            policy=folder,
            protocol=self.protocol,
            robot=self.robot,
            data=self.data,
            base_data=self.base_data,
            calibration=self.calibration,
            trials=self.trials,
            perturbed=self.perturbed_trials,
            timed=self.timed,
            wanted=self.chunks.wanted(),
            limits=self._limits(),
            threads=self.threads,
        )

        def say(check: "Check") -> None:
            console.print(f"{check.outcome:>8}  {check.title}: {check.text}", markup=False)

        passage = Checks(config, TWINS.get(self.robot)).run(say)
        out = self.out or Path("gates") / folder.name
        verdict = write_verdict(passage, config, out, self.key)
        page = write_gate(passage, config, out, verdict)
        cause = f" ({passage.cause})" if passage.cause else ""
        console.print(f"{passage.outcome}{cause}: {verdict}, page: {page}", markup=False)
        return EXIT[passage.outcome]

    def _limits(self) -> "Thresholds":
        from dataclasses import replace

        from benchmarks.gate.live import THRESHOLDS, Thresholds
        from envs.errors import UsageError

        given = {"nominal": self.nominal, "perturbed": self.perturbed}
        chosen = {name: value for name, value in given.items() if value is not None}
        try:
            return replace(THRESHOLDS.get(self.protocol, Thresholds()), **chosen)
        except ValueError as error:
            raise UsageError(f"--{error}") from error
