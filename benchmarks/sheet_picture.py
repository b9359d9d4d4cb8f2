"""The contact sheet as one picture."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.protocol import NOMINAL
from benchmarks.sheet import Sheet, Shot
from envs.arm import Array

CELL = (184, 138)  # of a picture [px]
GAP, LINE, HEAD = 8, 15, 22  # between pictures, height of a caption, of a row's title [px]
LEAST = 168  # height of a picture on the page [px]
COLUMNS = 4  # nominal and three levels
EDGE = 16
PAPER, INK, SOFT, BAD = (251, 251, 249), (29, 37, 44), (85, 97, 107), (168, 50, 74)
COLOURS, ROUNDS = 256, 3  # of the palette, and how often it is improved


def sheet_png(sheet: Sheet) -> bytes:
    """Return the sheet as PNG: some starts, then two columns of axes."""
    block = COLUMNS * (CELL[0] + GAP)
    width = 2 * EDGE + 2 * block + 2 * GAP
    row = HEAD + CELL[1] + LINE + GAP
    rows = -(-len(sheet.axes) // 2)
    fit = (width - 2 * EDGE) // (CELL[0] + GAP)
    image = Image.new("RGB", (width, 2 * EDGE + 2 * HEAD + row + rows * row), PAPER)
    pen = ImageDraw.Draw(image)
    title = f"{sheet.protocol.id}: {sheet.protocol.task.replace('_', ' ')}"
    pen.text((EDGE, EDGE - 4), title, INK, font(17))
    top = EDGE + HEAD
    shots = sheet.starts[:fit]
    pen.text((EDGE, top), f"{len(shots)} of {sheet.protocol.trials} nominal starts", INK, font(13))
    _strip(image, shots, EDGE, top + HEAD, titles=False)
    top += row
    for k, axis in enumerate(sheet.axes):
        left = EDGE + (k // rows) * (block + 2 * GAP)
        at = top + (k % rows) * row
        name = axis.name.replace("_", " ")
        pen.text((left, at + 2), name, INK, font(13))
        offset = int(pen.textlength(name, font(13))) + 10
        pen.text((left + offset, at + 4), axis.about, SOFT, font(11))
        _strip(image, axis.shots, left, at + HEAD, titles=True)
    return _packed(image)


def _strip(image: Image.Image, shots: Sequence[Shot], left: int, top: int, titles: bool) -> None:
    """Paste pictures side by side with their captions."""
    pen = ImageDraw.Draw(image)
    for k, shot in enumerate(shots):
        x = left + k * (CELL[0] + GAP)
        image.paste(fitted(shot), (x, top))
        if shot.failed:
            pen.rectangle((x, top, x + CELL[0] - 1, top + CELL[1] - 1), outline=BAD, width=2)
        text = f"{shot.title}: {shot.caption}" if shot.title != NOMINAL else NOMINAL
        text = text if titles else ""
        pen.text((x, top + CELL[1] + 1), _cut(pen, text), BAD if shot.failed else SOFT, font(10))


def fitted(shot: Shot, size: tuple[int, int] = CELL) -> Image.Image:
    """Return a picture at the size [px] of a cell; a square one in the middle of it."""
    picture = Image.fromarray(shot.picture)
    scale = min(size[0] / picture.width, size[1] / picture.height)
    inner = (round(picture.width * scale), round(picture.height * scale))
    cell = Image.new("RGB", size, (238, 240, 237))
    small = picture.resize(inner, Image.Resampling.LANCZOS)
    cell.paste(small, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return cell


def _cut(pen: ImageDraw.ImageDraw, text: str) -> str:
    """Return as much of a text as fits under a picture."""
    while text and pen.textlength(text, font(10)) > CELL[0] + GAP - 4:
        text = text[:-2].rstrip(" ,:") + "…" if not text.endswith("…") else text[:-2] + "…"
    return text


def _packed(image: Image.Image) -> bytes:
    palette = image.quantize(
        COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=ROUNDS, dither=Image.Dither.NONE
    )
    buffer = io.BytesIO()
    palette.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font at a height [px]."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def jpeg(picture: Array) -> bytes:
    """Return a picture (h, w, 3) uint8 as JPEG; the pixels of a small one are enlarged."""
    scale = -(-LEAST // picture.shape[0])
    image = Image.fromarray(np.kron(picture, np.ones((scale, scale, 1), np.uint8)))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
