"""docs/tasks.md has every task, its facts as in the code, and pictures that show something."""

import re

import numpy as np
import pytest
from PIL import Image

from benchmarks.atlas import CELL
from benchmarks.atlas_text import BLOCK, facts, filled, nominal, perturbed
from benchmarks.expert_cells import Cell, felt, protocol_on
from benchmarks.experts import Tally, read_tallies
from benchmarks.sheet import axes_of
from envs.tasks import TASKS
from scripts.atlas import EXPERTS, IMAGES, PAGE, pictured

TEXT = PAGE.read_text(encoding="utf-8")
PICTURED = pictured()
MOST_BYTES = 3_000_000


def test_every_task_has_a_section_with_its_facts_and_pictures():
    kinds = {type(TASKS[name]) for name in PICTURED}
    for name, task in TASKS.items():
        assert f"`{name}`" in TEXT
        assert any(isinstance(task, kind) for kind in kinds), f"{name}: no pictures"
    assert {m[3] for m in BLOCK.finditer(TEXT) if m[2] == "facts"} == set(PICTURED)
    shown = re.findall(r"images/tasks/(\w+)\.jpg", TEXT)
    assert sorted(shown) == sorted(f"{name}{end}" for name in PICTURED for end in ("", "_axes"))
    assert {path.stem for path in IMAGES.iterdir()} == set(shown)


def test_the_tables_are_what_the_code_and_the_outcomes_say():
    assert filled(TEXT, read_tallies(EXPERTS)) == TEXT, "run: python -m scripts.atlas --tables"


def test_the_facts_say_what_is_asked_who_cannot_and_why():
    text = facts(TASKS["wipe"])
    assert "`koch`: the board is wider than its reach" in text
    assert "`excess_force`, `wrong_force`" in text
    assert "540 control periods, 10.8 s" in text
    assert "56 numbers" in text


@pytest.mark.parametrize("name", PICTURED)
def test_every_axis_is_drawn_and_no_picture_is_blank(name):
    strip = np.asarray(Image.open(IMAGES / f"{name}.jpg").convert("RGB"), float)
    assert strip.std() > 20
    image = Image.open(IMAGES / f"{name}_axes.jpg")
    axes = len(axes_of(protocol_on(name)))
    assert image.width == strip.shape[1] > 4 * CELL[0]
    assert axes * (CELL[1] + 40) < image.height < axes * (CELL[1] + 120)
    pixels = np.asarray(image.convert("L"), float)
    for row in range(axes):
        middle = pixels[int((row + 0.5) * image.height / axes)]
        assert middle.std() > 5, f"row {row}"


def test_the_pictures_are_small_enough_for_a_page():
    assert sum(path.stat().st_size for path in IMAGES.iterdir()) <= MOST_BYTES


def test_a_perturbed_cell_shows_its_rate_and_an_axis_without_meaning_a_dash():
    cell = Cell("insertion", "viperx", "clean", "home_pose/L2")
    tallies = {cell: Tally(cell, "", 40, {0: "rest"})}
    head, _, row = perturbed(tallies, "L2").splitlines()
    found = dict(zip(head.split(" | ")[1:], row.split(" | ")[1:], strict=True))
    assert found["`home_pose`"] == "97.5 (87 to 100), 40"
    assert found["`object_size` |"] == "- |"
    assert "object_size" not in felt("insertion")
    assert perturbed({}, "L3") == nominal({}) == "Not measured yet."
