"""Pack a sealed run for somebody else's leaderboard."""

from dataclasses import dataclass
from pathlib import Path

import tyro

EXAMPLES = """
armtrials submit evaluations/runs/pick_place_v1/act-s0-1a2b3c4d5e
armtrials submit results/runs/wipe_v1/act-s0-d43d6c3217 --out act.tar.xz --trajectories
"""


@dataclass(frozen=True)
class Submit:
    """Write one file with a run's manifest, records, seal and videos; never weights.

    Only a sealed run that is as it was sealed is packed; the same run gives the same bytes.
    """

    run_folder: tyro.conf.Positional[Path]
    """The run folder."""
    out: Path | None = None
    """The file; default: named after the run, here."""
    trajectories: bool = False
    """The stored commands too, so that every trial can be simulated again."""

    def run(self) -> int:
        """Pack it and say where it is; return 0."""
        from rich.console import Console

        from benchmarks.lines import digest
        from benchmarks.parcel import SUFFIX, pack_run

        out = self.out or Path(f"{self.run_folder.resolve().name}{SUFFIX}")
        pack_run(self.run_folder, out, self.trajectories)
        data = out.read_bytes()
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"{out}: {len(data) / 1e6:.2f} MB, SHA-256 {digest(data)}", markup=False)
        console.print(f"On arrival: armtrials accept {out.name}", markup=False)
        return 0
