"""Sheets to print: a calibration board, tags for objects. Sizes are true at 100 %."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from envs.arm import Array
from envs.atomic import write_atomic
from envs.errors import UsageError
from real.charuco import Board
from real.tags import CELLS, QUIET, tag_image

DPI = 300
PER_METRE = DPI / 0.0254

PAPERS = {"a4": (0.297, 0.210), "a3": (0.420, 0.297), "letter": (0.2794, 0.2159)}
"""Width and height, lying [m]."""

EDGE = 0.012
"""What most printers cannot print on, and room for words [m]."""

FORMATS = {".png": "PNG", ".pdf": "PDF"}


def board_sheet(board: Board, paper: str = "a4") -> Image.Image:
    """Return a sheet with ``board`` in its middle and a ruler of 100 mm below.

    Raises:
        UsageError: an unknown paper, or a board that does not fit on it.
    """
    width, height = _paper(paper)
    if board.size[0] > width - 2 * EDGE or board.size[1] > height - 2 * EDGE - 0.015:
        raise UsageError(
            f"a board of {1e3 * board.size[0]:.0f} x {1e3 * board.size[1]:.0f} mm does not fit on "
            f"{paper} ({1e3 * width:.0f} x {1e3 * height:.0f} mm); choose fewer or smaller squares"
        )
    sheet = Image.new("L", (_px(width), _px(height)), 255)
    left, top = (width - board.size[0]) / 2, (height - 0.015 - board.size[1]) / 2
    size = (_px(board.size[0]), _px(board.size[1]))
    pattern = Image.fromarray(board.image(_px(board.square)))
    sheet.paste(pattern.resize(size, Image.Resampling.NEAREST), (_px(left), _px(top)))
    bottom = top + board.size[1]
    words = (
        f"ArmTrials board, {board.columns} x {board.rows} squares of {1e3 * board.square:g} mm, "
        f"tags of {1e3 * board.marker:g} mm. Print at 100 %, glue it on something flat. "
        "This must be 100 mm:"
    )
    _write(sheet, left, bottom + 0.004, words, 0.0032)
    _ruler(sheet, left, bottom + 0.012)
    _write(sheet, left + 0.104, bottom + 0.0095, "The board's origin is its lower left corner.")
    return sheet


def tag_sheet(numbers: Sequence[int], size: float, paper: str = "a4") -> Image.Image:
    """Return a sheet with the tags of these ``numbers``, each black square ``size`` [m] wide.

    The grey line around each is where to cut; its number stands below, its upper edge is up.

    Raises:
        UsageError: an unknown paper or number, or more tags than fit.
    """
    width, height = _paper(paper)
    bad = [number for number in numbers if not 0 <= number < 50]
    if bad or not numbers or not 0.005 <= size <= 0.2:
        raise UsageError(f"tags must be 0..49, of 0.005..0.2 m, got {list(numbers)}, {size} m")
    outer = size * (CELLS + 2 * QUIET) / CELLS
    step = outer + 0.007
    across, down = int((width - 2 * EDGE) / step), int((height - 2 * EDGE - 0.015) / step)
    if len(numbers) > across * down:
        raise UsageError(
            f"{across * down} tags of {1e3 * size:g} mm fit on {paper}, got {len(numbers)}"
        )
    sheet = Image.new("L", (_px(width), _px(height)), 255)
    draw = ImageDraw.Draw(sheet)
    for index, number in enumerate(numbers):
        x, y = EDGE + index % across * step, EDGE + index // across * step
        tag = Image.fromarray(tag_image(number)).resize((_px(outer),) * 2, Image.Resampling.NEAREST)
        sheet.paste(tag, (_px(x), _px(y)))
        draw.rectangle([_px(x), _px(y), _px(x + outer), _px(y + outer)], outline=170)
        _write(sheet, x, y + outer + 0.0008, f"{number}", 0.003)
    words = f"ArmTrials tags, {1e3 * size:g} mm. Print at 100 %. This must be 100 mm:"
    _write(sheet, EDGE, height - EDGE - 0.008, words)
    _ruler(sheet, EDGE, height - EDGE)
    return sheet


def write_sheet(sheet: Image.Image, path: Path) -> Path:
    """Write a sheet as PNG or PDF, with its true size in it.

    Raises:
        UsageError: another format, or it cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: must end in {' or '.join(FORMATS)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = FORMATS[path.suffix.lower()]
    buffer = io.BytesIO()
    if kind == "PNG":
        sheet.save(buffer, kind, dpi=(DPI, DPI))
    else:
        sheet.save(buffer, kind, resolution=DPI)
    return write_atomic(path, buffer.getvalue())


def _paper(name: str) -> tuple[float, float]:
    if name not in PAPERS:
        raise UsageError(f"unknown paper {name!r}; known: {', '.join(PAPERS)}")
    return PAPERS[name]


def _px(metres: float) -> int:
    return round(metres * PER_METRE)


def _write(sheet: Image.Image, x: float, y: float, words: str, size: float = 0.0035) -> None:
    font = ImageFont.load_default(_px(size))
    ImageDraw.Draw(sheet).text((_px(x), _px(y)), words, fill=0, font=font)


def _ruler(sheet: Image.Image, x: float, y: float) -> None:
    """Draw 100 mm, with a stroke every 10 mm."""
    draw = ImageDraw.Draw(sheet)
    draw.line([_px(x), _px(y), _px(x + 0.1), _px(y)], fill=0, width=4)
    strokes: Array = np.linspace(0.0, 0.1, 11)
    for stroke in strokes:
        at = _px(x + float(stroke))
        draw.line([at, _px(y - 0.003), at, _px(y)], fill=0, width=4)
