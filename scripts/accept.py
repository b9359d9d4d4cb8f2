"""Check a packed run on arrival and take it in."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from scripts.options import RESULTS

EXAMPLES = """
armtrials accept act-s0-d43d6c3217.tar.xz
armtrials accept act-s0-d43d6c3217.tar.xz --check
armtrials accept act-s0-d43d6c3217.tar.xz --results board
"""


@dataclass(frozen=True)
class Accept:
    """Check a run that somebody submitted, then take it into the results.

    Names, links, sizes and numbers are checked before anything is written, then every hash up to
    the seal. Nothing that is there is overwritten.
    """

    archive: tyro.conf.Positional[Path]
    """The file that `armtrials submit` made."""
    results: Path = RESULTS
    """Folder that takes the run."""
    check: bool = False
    """Only check."""

    def run(self) -> int:
        """Check and take in; return 0."""
        from rich.console import Console

        from benchmarks.arrival import accept

        found = accept(self.archive, None if self.check else self.results)
        lines = [f"{found.name}: {found.policy}, {found.trials} trials, world {found.world}"]
        lines += [f"its row is {found.state}: {reason}" for reason in found.reasons]
        lines += [] if found.reasons else [f"its row is {found.state}"]
        if found.folder is None:
            lines.append("checked; nothing was written")
        else:
            lines.append(f"{'there already' if found.already else 'taken in'}: {found.folder}")
            lines.append(f"reproduce it: armtrials verify {found.folder} --policy POLICY")
        for line in lines:
            Console(highlight=False, soft_wrap=True).print(line, markup=False)
        return 0
