"""The page of a protocol: its starts, what each axis makes of one of them, where trials start."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.protocol import NOMINAL, EvalProtocol
from benchmarks.report.page import render
from benchmarks.sheet import CLOSE, DONE, SEEN, START, Sheet, Shot
from benchmarks.sheet_picture import jpeg
from envs.robots import ROBOTS
from envs.tasks import TASKS

PER_METRE = 620  # px of the map
MARGIN = 0.08  # around the starts [m]

KINDS = {
    START: "the start",
    CLOSE: "the start, close up",
    SEEN: "what the overhead camera delivers",
    DONE: "the nominal demonstration's commands carried out again, over the nominal picture",
}


def show_page(sheet: Sheet) -> str:
    """Return the HTML page; it needs no other file and no network."""
    protocol = sheet.protocol
    return render(
        "show.html",
        sheet=sheet,
        protocol=protocol,
        task=TASKS[protocol.task],
        kinds=KINDS,
        picture=picture,
        combined=[c for c in protocol.conditions if len(c.axes) > 1],
        map=start_map(protocol, sheet.places),
    )


def picture(shot: Shot) -> str:
    """Return a picture as the base64 text of a JPEG."""
    return base64.b64encode(jpeg(shot.picture)).decode("ascii")


def start_map(
    protocol: EvalProtocol, places: Mapping[str, Sequence[tuple[float, float]]]
) -> dict[str, Any]:
    """Return the map of starts from above: the arm at the bottom, its left on the left.

    Returns:
        Size, the training box and the points by condition, in px.
    """
    points = [place for group in places.values() for place in group]
    xs, ys = zip(*points, strict=True)
    left, top = max(ys) + MARGIN, max(xs) + MARGIN
    width, height = left - min(ys) + MARGIN, top - min(xs) + MARGIN
    region, table = TASKS[protocol.task].region, ROBOTS[protocol.robot].table

    def at(x: float, y: float) -> tuple[float, float]:
        return round(PER_METRE * (left - y), 1), round(PER_METRE * (top - x), 1)

    corner = at(region.x[1], region.y[1])
    top_left = at(table.centre[0] + table.half[0], table.centre[1] + table.half[1])
    return {
        "width": round(PER_METRE * width),
        "height": round(PER_METRE * height),
        "box": (*corner, *(PER_METRE * (r[1] - r[0]) for r in (region.y, region.x))),
        "table": (*top_left, 2 * PER_METRE * table.half[1], 2 * PER_METRE * table.half[0]),
        "groups": [
            (name if name == NOMINAL else name.rpartition("/")[2], [at(x, y) for x, y in group])
            for name, group in places.items()
        ],
        "decimetre": 0.1 * PER_METRE,
    }
