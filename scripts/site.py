"""Make a static site: a page for every task, policy, run and trial."""

from dataclasses import dataclass
from pathlib import Path

from scripts.options import RESULTS

EXAMPLES = """
armtrials site                                   # evaluations/runs -> evaluations/site
armtrials site --results results --out site      # of the runs that come with ArmTrials
"""


@dataclass(frozen=True)
class Site:
    """Make the site: open index.html, or put the folder on any web server.

    A page for every task, policy, run and trial, with the films; no network is needed. The same
    runs give the same bytes. A site that is there is replaced as a whole.
    """

    results: Path = RESULTS
    """Folder that holds ``runs/``."""
    out: Path | None = None
    """Folder of the site; ``<results>/site`` if not given."""

    def run(self) -> int:
        """Write the site and say where it is; return 0."""
        from rich.console import Console

        from benchmarks.records import run_folders
        from benchmarks.report.site import make_site
        from scripts.progress import progress

        out = self.out or self.results / "site"
        with progress(f"site of {self.results}", len(run_folders(self.results))) as advance:
            pages = make_site(self.results, out, advance)
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"{out / 'index.html'}: {pages} pages", markup=False)
        return 0
