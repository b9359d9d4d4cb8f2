"""Turn a deployment's log into the next policy: demonstrate, train, compare."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from scripts.options import RESULTS
from scripts.progress import progress

EXAMPLES = """
armtrials deploy --policy runs/act --twin --rescue 5 --episodes 40 --out deployments/act
armtrials flywheel --policy runs/act --data data/pick_place --log deployments/act
armtrials flywheel --policy runs/act --data data/pick_place --log deployments/act --stage propose
armtrials flywheel --policy runs/act --data data/pick_place --log deployments/act --stage control
armtrials flywheel --policy flywheel/act/policy --data flywheel/act/data --log deployments/act-2
"""

Stage = Literal["select", "propose", "demonstrate", "assemble", "train", "compare", "control"]


@dataclass(frozen=True)
class Flywheel:
    """Learn from what a policy met at work: its failures, and what people did about them.

    Stages, each a file in OUT/stages, none run twice: select sorts the logged episodes by outcome;
    propose finds starts near those from which the policy failed; demonstrate has the scripted
    expert do the task from there; assemble puts old data, interventions, recoveries and
    demonstrations into OUT/data, with provenance.jsonl; train makes OUT/policy; compare tries both
    policies from the same starts. Asked for by --stage, control trains OUT/control as long on the
    old data alone and tries it from these starts, too. OUT/index.html shows it all. Interrupted, it
    keeps what was completed; the same command continues.
    """

    policy: Path
    """Checkpoint folder of the policy that was at work."""
    data: Path
    """Demonstrations that it learned from; they stay as they are."""
    log: tuple[Path, ...]
    """Folders of armtrials deploy."""
    out: Path | None = None
    """Folder of the turn; default: flywheel/POLICY."""
    use: tuple[Literal["intervention", "recovery", "success"], ...] = ("intervention", "recovery")
    """What of the log is learned from: a person's steps, the policy's own second try, or all steps
    of a success."""
    count: int = 25
    """Starts to propose, and demonstrations to make from them."""
    demonstrations: Path | None = None
    """Demonstrations that a person made from the proposed starts; default: the scripted expert."""
    fresh: bool = False
    """Train from scratch; default: on from the policy's weights and scaling."""
    steps: int | None = None
    """Gradient steps (default: the preset's; half as many where training goes on)."""
    trials: int = 50
    """Paired trials on the dev split, at least 50."""
    seed: int = 0
    """Of the proposals and of the training."""
    stage: tuple[Stage, ...] = ("select", "propose", "demonstrate", "assemble", "train", "compare")
    """Stages to run; default: all but control."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes for demonstrations and trials (default: one a core)."""
    results: Path = RESULTS
    """Folder that takes the runs."""

    def run(self) -> int:
        """Run the stages, write the page, say what came out; return 0."""
        from rich.console import Console

        from benchmarks.flywheel.run import Turn
        from benchmarks.flywheel.wheel import Wheel
        from benchmarks.report.flywheel_page import write_flywheel
        from envs.errors import UsageError

        if self.workers < 1:
            raise UsageError(f"--workers must be at least 1, got {self.workers}")
        console = Console(highlight=False, soft_wrap=True)
        own = ("use", "count", "demonstrations", "fresh", "steps", "trials", "seed", "results")
        settings = {name: getattr(self, name) for name in own}
        out = self.out or Path("flywheel") / self.policy.name
        wheel = Wheel(self.policy, self.data, self.log, out, **settings)
        turn = Turn(wheel, progress, lambda text: console.print(text, markup=False), self.workers)
        turn.run(self.stage)
        console.print(f"page: {write_flywheel(turn)}", markup=False)
        return 0
