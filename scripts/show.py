"""Show where a protocol's trials start and what each of its axes changes."""

from dataclasses import dataclass
from pathlib import Path

import tyro

EXAMPLES = """
armtrials show pick_place/v2
armtrials show pick_place/v1 --starts 24 --ic 3 --out page.html
"""


@dataclass(frozen=True)
class Show:
    """Draw the contact sheet of a protocol: a page, and one picture beside it.

    Initial conditions, and every axis at L1, L2 and L3 beside the nominal scene.
    """

    protocol: tyro.conf.Positional[str]
    """The protocol, such as pick_place/v2."""
    out: Path | None = None
    """The page; the picture has its name and ends in .png. Default: pick_place_v2.html here."""
    starts: int = 12
    """Nominal starts to draw."""
    ic: int = 0
    """Initial condition that the axes are shown on."""

    def run(self) -> int:
        """Write the page and the picture and say where they are; return 0."""
        from rich.console import Console

        from benchmarks.protocol import PROTOCOLS
        from benchmarks.report.show_page import show_page
        from benchmarks.sheet import axes_of, draw_sheet
        from benchmarks.sheet_picture import sheet_png
        from benchmarks.writer import refuse_disk_errors
        from envs.atomic import write_whole
        from scripts.progress import progress

        protocol = PROTOCOLS[self.protocol]
        page = self.out or Path(f"{protocol.id.replace('/', '_')}.html")
        with progress(f"draw {protocol.id}", 1 + len(axes_of(protocol))) as advance:
            sheet = draw_sheet(protocol, self.starts, self.ic, advance)
        picture = page.with_suffix(".png")
        with refuse_disk_errors(page.parent, "--out"):
            write_whole(page, show_page(sheet).encode())
            write_whole(picture, sheet_png(sheet))
        Console(highlight=False, soft_wrap=True).print(f"{page}\n{picture}")
        return 0
