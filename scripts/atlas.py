"""Make the pictures and tables of docs/tasks.md: ``make atlas``."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.atlas import axes_jpeg, demonstration, strip_jpeg
from benchmarks.atlas_text import filled
from benchmarks.expert_cells import protocol_on
from benchmarks.experts import read_tallies
from benchmarks.sheet import axes_of, draw_sheet
from envs.atomic import write_whole
from envs.tasks import TASKS
from scripts.progress import progress

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, IMAGES, EXPERTS = DOCS / "tasks.md", DOCS / "images" / "tasks", DOCS / "experts.json"
TABLES = "--tables"
PICTURE = re.compile(r"images/tasks/(\w+)_axes\.jpg")


def main(tasks: Sequence[str] = ()) -> None:
    """Draw the named tasks, by default all that the page shows; make the tables of the page.

    ``--tables`` draws nothing.
    """
    for name in tasks or pictured():
        if name != TABLES:
            draw(name)
    write_whole(PAGE, filled(PAGE.read_text("utf-8"), read_tallies(EXPERTS)).encode())


def pictured() -> list[str]:
    """Return the tasks of which the page shows pictures."""
    names = PICTURE.findall(PAGE.read_text("utf-8"))
    return [name for name in TASKS if name in names]


def draw(name: str) -> None:
    """Draw a demonstration of a task and its axes."""
    protocol = protocol_on(TASKS[name].name)
    with progress(f"draw {name}", 2 + len(axes_of(protocol))) as advance:
        write_whole(IMAGES / f"{name}.jpg", strip_jpeg(demonstration(name)))
        advance()
        sheet = draw_sheet(protocol, 1, 0, advance)
        write_whole(IMAGES / f"{name}_axes.jpg", axes_jpeg(sheet))


if __name__ == "__main__":
    main(sys.argv[1:])
