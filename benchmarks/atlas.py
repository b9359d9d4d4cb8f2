"""The pictures of docs/tasks.md: how a task is done, and what each axis makes of one start."""

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.expert_cells import protocol_on
from benchmarks.protocol import NOMINAL
from benchmarks.report.show_page import KINDS
from benchmarks.sheet import ANTIALIAS, VIEW, Sheet, Shot
from benchmarks.sheet_picture import BAD, INK, PAPER, SOFT, fitted, font
from envs.expert import OPERATORS
from envs.sim import SimArm
from envs.tasks import TASKS
from envs.variation import VARIATIONS, unfit

CELL = (208, 156)  # of a picture [px]
GAP, LINE, HEAD, EDGE = 8, 15, 26, 14  # [px]
COLUMNS = 4  # nominal and three levels; pictures of a demonstration
NAME, TEXT = 14, 11  # heights of letters [px]
MOST_LINES = 5  # of a caption
QUALITY = 72  # of a JPEG


def demonstration(task: str, ic: int = 0) -> tuple[Shot, ...]:
    """Draw the scripted expert at work on start ``ic`` of a task's protocol.

    Returns:
        The start, two stages between, and the end; each titled with the stage just reached.
    """
    protocol, stages = protocol_on(task), TASKS[task].stages
    arm = SimArm(TASKS[task], protocol.robot)
    start = protocol.start(NOMINAL, ic)
    expert = TASKS[task].expert(arm.sim.world, replace(OPERATORS["clean"], left=1.0))
    arm.home(start)
    expert.reset(start, np.random.default_rng(protocol.seeds(ic)["policy"]))
    shots, seen = [_shot(arm, "start")], 0
    chosen = {len(stages) // 2, len(stages) - 1, len(stages)}
    while not arm.sim.done[0]:
        arm.command(np.asarray(expert.act(arm.readings)))
        reached = int(arm.sim.stage[0])
        if reached > seen and reached in chosen:
            shots.append(_shot(arm, stages[reached - 1]))
        seen = reached
    return tuple(shots)


def _shot(arm: SimArm, title: str) -> Shot:
    return Shot(title.replace("_", " "), arm.frame(VIEW, shadows=True, antialias=ANTIALIAS), "")


def strip_jpeg(shots: Sequence[Shot]) -> bytes:
    """Return a demonstration as one row of pictures with the stage below each."""
    image = _page(CELL[1] + LINE + 4)
    _row(image, shots, EDGE, [[shot.title] for shot in shots])
    return _jpeg(image)


def axes_jpeg(sheet: Sheet) -> bytes:
    """Return every axis of a sheet, one below the other, and below them those that do not apply."""
    captions = [[_caption(shot) for shot in axis.shots] for axis in sheet.axes]
    rows = [CELL[1] + LINE * max(map(len, lines)) + HEAD + GAP for lines in captions]
    task = TASKS[sheet.protocol.task]
    without = {name: why for name in VARIATIONS if (why := unfit(name, task)) is not None}
    image = _page(sum(rows) + LINE * len(without))
    pen, top = ImageDraw.Draw(image), EDGE
    for axis, lines, height in zip(sheet.axes, captions, rows, strict=True):
        name = axis.name.replace("_", " ")
        pen.text((EDGE, top + 4), name, INK, font(NAME))
        left = EDGE + int(pen.textlength(name, font(NAME))) + 10
        about = f"{axis.about}; {KINDS[axis.kind]}"
        pen.text((left, top + 7), about, SOFT, font(TEXT))
        _row(image, axis.shots, top + HEAD, lines)
        top += height
    for name, reason in without.items():
        text = f"{name.replace('_', ' ')} does not apply: {reason}"
        pen.text((EDGE, top), text, SOFT, font(TEXT))
        top += LINE
    return _jpeg(image)


def _caption(shot: Shot) -> list[str]:
    """Return the lines below a picture: the level, what was drawn, what the commands came to."""
    said = f"{shot.title}: {shot.caption}" if shot.caption else shot.title
    lines, pen = [""], ImageDraw.Draw(Image.new("RGB", (1, 1)))
    for word in said.split():
        longer = f"{lines[-1]} {word}".strip()
        if pen.textlength(longer, font(TEXT)) <= CELL[0]:
            lines[-1] = longer
        else:
            lines.append(word)
    return [*lines[:MOST_LINES], *([shot.outcome] if shot.outcome else [])]


def _page(height: int) -> Image.Image:
    width = 2 * EDGE + COLUMNS * CELL[0] + (COLUMNS - 1) * GAP
    return Image.new("RGB", (width, 2 * EDGE + height), PAPER)


def _row(
    image: Image.Image, shots: Sequence[Shot], top: int, captions: Sequence[Sequence[str]]
) -> None:
    """Paste pictures side by side with their captions; one that failed has a red frame."""
    pen = ImageDraw.Draw(image)
    for k, (shot, lines) in enumerate(zip(shots, captions, strict=True)):
        x, colour = EDGE + k * (CELL[0] + GAP), BAD if shot.failed else SOFT
        image.paste(fitted(shot, CELL), (x, top))
        if shot.failed:
            pen.rectangle((x, top, x + CELL[0] - 1, top + CELL[1] - 1), outline=BAD, width=2)
        for n, line in enumerate(lines):
            pen.text((x, top + CELL[1] + 2 + n * LINE), line, colour, font(TEXT))


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return buffer.getvalue()
