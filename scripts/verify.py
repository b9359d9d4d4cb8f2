"""Check a sealed run: its seals, then trials run again."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from benchmarks.verify import Verification

EXAMPLES = """
armtrials verify results/runs/wipe_v1/act-s0-d43d6c3217
armtrials verify evaluations/runs/pick_place_v1/act-s0-1a2b3c4d5e --policy runs/act
armtrials verify results/runs/wipe_v1/hold-s0-049d4e75b1 --policy floor:hold --trials 200
"""
SHOWN = 8


@dataclass(frozen=True)
class Verify:
    """Tell whether a sealed run is as it was sealed, and whether it happens again.

    With the policy a sample of the trials is run anew and the records must be the same byte for
    byte (but latency); the row is then reproduced on the leaderboard. Without it the stored
    commands are run where they were kept; the seals are checked always. Exit code 1: it is not.
    """

    run_folder: tyro.conf.Positional[Path]
    """The run folder."""
    policy: str | None = None
    """What it was made with: checkpoint folder, floor:KIND or remote:ADDRESS; the hashes of its
    files must be those in the manifest."""
    trials: int = 50
    """Run again at least so many, in whole waves, as they were run."""
    seed: int = 0
    """Draws which ones."""
    keep: bool = True
    """Keep VERIFIED.json beside the seal where all was the same."""

    def run(self) -> int:
        """Verify and say what was found; return 0 or 1."""
        from rich.console import Console

        from benchmarks.verified import keep
        from benchmarks.verify import verify
        from envs.errors import UsageError
        from scripts.progress import progress

        if self.trials < 1:
            raise UsageError(f"--trials must be at least 1, got {self.trials}")
        console = Console(highlight=False, soft_wrap=True)
        with progress(f"verify {self.run_folder.name}", self.trials) as advance:
            found = verify(self.run_folder, self.policy, self.trials, self.seed, advance)
        for line in _lines(found):
            console.print(line, markup=False)
        if found.reproduced and self.keep:
            console.print(f"kept in {keep(self.run_folder, found.note())}", markup=False)
        return 0 if found.good else 1


HOW = {
    "policy": "run again with their policy, were the same byte for byte",
    "commands": "simulated again from their stored commands, ended in the same state",
}


def _lines(found: "Verification") -> list[str]:
    lines = [f"{found.run}: {text}" for text in found.problems[:SHOWN]]
    if found.problems:
        return [*lines, f"{found.run} is not as it was sealed"]
    lines.append(f"{found.run}: sealed, and every hash as sealed")
    lines += [f"sealed with another version: {text}" for text in found.elsewhere]
    if found.how == "seals":
        lines.append("no trial was run again: give --policy (no commands were kept)")
    elif not found.differ:
        lines.append(f"{found.trials} trials, {HOW[found.how]}")
    else:
        lines.append(f"{len(found.differ)} of {found.trials} trials came out otherwise:")
        lines += [f"  {text}" for text in found.differ[:SHOWN]]
        if found.elsewhere:
            lines.append("the versions differ: use those in its manifest to tell what it means")
    return lines
