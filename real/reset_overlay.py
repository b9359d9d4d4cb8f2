"""The picture that tells an operator where to put things."""

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.spatial import ConvexHull

from envs.arm import Array
from real.pinhole import Intrinsics, Pose
from real.reset_check import BLOCK, ResetReport, Shape, outline, words

LEAST_WIDTH = 960
"""Pictures are enlarged to this width at least [px], or words would be unreadable."""

GOOD, BAD, UNKNOWN = (46, 160, 67), (218, 54, 51), (210, 153, 34)
WANTED, STRANGE = (0, 230, 118), (255, 0, 200)
PANEL, INK = (24, 26, 30), (240, 240, 240)
LINE = 24  # height of a line of words [px]
ARROW = 12  # length of an arrow's head [px]


def overlay(
    picture: Array,
    report: ResetReport,
    lens: Intrinsics,
    camera: Pose,
    shapes: Mapping[str, Shape],
) -> Array:
    """Return ``picture`` with outlines of where things must be, and what to do in words below.

    Args:
        picture: what the camera sees (h, w, 3) uint8.
        report: what is wrong.
        lens: of the camera.
        camera: its pose in the arm's frame.
        shapes: of the objects.

    Returns:
        A larger picture (h, w, 3) uint8: green outlines where things must be, red where they are.
    """
    scale = max(1, -(-LEAST_WIDTH // picture.shape[1]))
    size = (picture.shape[1] * scale, picture.shape[0] * scale)
    canvas = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas, "RGBA")
    _hatch(draw, report.changed, scale)
    for item in report.objects:
        shape = shapes[item.name]
        there = _hull(outline(item.wanted, shape, lens, camera), scale)
        if there is None:
            continue
        draw.polygon(there, fill=(*WANTED, 0 if item.ok and item.found else 60))
        draw.line([*there, there[0]], fill=WANTED, width=4, joint="curve")
        if item.found is not None and not item.ok:
            here = _hull(outline(item.found, shape, lens, camera), scale)
            if here is not None:
                draw.line([*here, here[0]], fill=BAD, width=3, joint="curve")
                _arrow(draw, _middle(here), _middle(there))
        _label(draw, item.name, there)
    return np.asarray(_with_words(canvas, report, camera))


Points = list[tuple[float, float]]


def _hull(pixels: Array, scale: int) -> Points | None:
    """Return the outline around ``pixels`` (n, 2), scaled; None for what is not in front."""
    if not np.isfinite(pixels).all():
        return None
    around = pixels[ConvexHull(pixels).vertices]
    return [((x + 0.5) * scale, (y + 0.5) * scale) for x, y in around.tolist()]


def _middle(points: Points) -> Array:
    return np.asarray(np.mean(points, axis=0))


def _arrow(draw: ImageDraw.ImageDraw, start: Array, end: Array) -> None:
    """Draw an arrow, where it is long enough to be seen."""
    way = end - start
    length = float(np.linalg.norm(way))
    if length < ARROW:
        return
    along = way / length
    across = np.array([-along[1], along[0]])
    neck = end - ARROW * along
    draw.line([*start.tolist(), *neck.tolist()], fill=INK, width=5)
    head = [end, neck + 0.6 * ARROW * across, neck - 0.6 * ARROW * across]
    draw.polygon([(float(x), float(y)) for x, y in head], fill=INK)


def _label(draw: ImageDraw.ImageDraw, name: str, around: Points) -> None:
    """Write a name to the right of an outline, on a dark ground."""
    font = ImageFont.load_default(16)
    x = max(point[0] for point in around) + 8
    y = float(_middle(around)[1]) - 10
    box = draw.textbbox((x, y), name, font=font)
    draw.rectangle([box[0] - 4, box[1] - 3, box[2] + 4, box[3] + 3], fill=(*PANEL, 210))
    draw.text((x, y), name, fill=WANTED, font=font)


def _hatch(draw: ImageDraw.ImageDraw, changed: Array, scale: int) -> None:
    """Hatch the blocks that differ from the reference."""
    edge = BLOCK * scale
    for row, column in np.argwhere(changed).tolist():
        x, y = column * edge, row * edge
        draw.rectangle([x, y, x + edge, y + edge], fill=(*STRANGE, 50))
        draw.line([x, y + edge, x + edge, y], fill=(*STRANGE, 220), width=2)


def _with_words(canvas: Image.Image, report: ResetReport, camera: Pose) -> Image.Image:
    """Return the picture with a headline above and a line for everything below."""
    lines = words(report, camera)
    head = 2 * LINE
    height = canvas.height + head + LINE * (len(lines) + 1)
    sheet = Image.new("RGB", (canvas.width, height), PANEL)
    sheet.paste(canvas, (0, head))
    draw = ImageDraw.Draw(sheet)
    draw.rectangle([0, 0, canvas.width, head], fill=GOOD if report.ok else BAD)
    open_count = sum(right is False for right, _ in lines)
    headline = "READY" if report.ok else f"NOT READY: {open_count} to put right"
    draw.text((16, 11), headline, fill=INK, font=ImageFont.load_default(24))
    key = "green: where it must be   red: where it is"
    draw.text((canvas.width - 16, 17), key, INK, ImageFont.load_default(15), anchor="ra")
    y = head + canvas.height + LINE // 2
    for right, text in lines:
        draw.ellipse(
            [18, y + 6, 28, y + 16], fill=UNKNOWN if right is None else GOOD if right else BAD
        )
        draw.text((40, y), text, fill=INK, font=ImageFont.load_default(17))
        y += LINE
    return sheet
