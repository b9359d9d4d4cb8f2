"""The contact sheet of a protocol: what is on it, and what is refused."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchmarks import sheet as module
from benchmarks.protocol import PROTOCOLS, Condition
from benchmarks.report.show_page import show_page
from benchmarks.sheet import DONE, SEEN, START, axes_of, draw_sheet
from benchmarks.sheet_picture import sheet_png
from benchmarks.sheet_words import said
from envs.errors import UsageError
from envs.factor import LEVELS
from envs.variation import VARIATIONS
from scripts.main import main

AXES = ("action_delay", "observation", "object_pose")
CONDITIONS = (
    Condition("nominal"),
    *(Condition(f"{a}/{level}", ((a, level),)) for a in AXES for level in LEVELS),
)
SMALL = replace(PROTOCOLS["pick_place/v2"], conditions=CONDITIONS, trials=12, perturbed_trials=6)


@pytest.fixture(scope="module")
def sheet():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ANTIALIAS", 1)
        yield draw_sheet(SMALL, 2, 1)


def test_the_sheet_has_every_axis_at_every_level_beside_nominal(sheet):
    assert [row.name for row in sheet.axes] == list(AXES)
    assert [row.kind for row in sheet.axes] == [DONE, SEEN, START]
    for row in sheet.axes:
        assert [shot.title for shot in row.shots] == ["nominal", *LEVELS]
        nominal, *levels = (shot.picture.astype(float) for shot in row.shots)
        for picture in levels:
            assert np.abs(picture - nominal).mean() > 0.02, row.name
    assert [len(places) for places in sheet.places.values()] == [12, 6, 6, 6]


def test_a_delayed_demonstration_still_tells_how_far_it_came(sheet):
    outcomes = {shot.outcome for shot in sheet.axes[0].shots}
    assert "" in outcomes
    assert outcomes <= {"", "done all the same", *(f"{k} of 6 stages" for k in range(6))}


def test_picture_and_page_show_the_sheet(sheet):
    picture = Image.open(io.BytesIO(sheet_png(sheet)))
    assert picture.width > 1000
    page = show_page(sheet)
    assert page.count("data:image/jpeg") == 2 + 4 * len(AXES)
    assert "60 ms late" in page
    assert "pick_place/v2" in page


def test_every_axis_of_a_protocol_can_be_put_in_words():
    protocol = PROTOCOLS["pick_place/v2"]
    for name in axes_of(protocol):
        for level in LEVELS:
            values = protocol.start(f"{name}/{level}", 0).factors[name]
            assert said(name, values)
    assert said("language", {"instruction": "take it"}) == "“take it”"
    assert said("wind", {"speed": 2.0, "from": "north", "gusts": [1]}) == "speed 2, north"
    assert set(axes_of(protocol)) == {name for name, v in VARIATIONS.items() if not v.words}


def test_more_starts_than_there_are_and_an_unknown_trial_are_refused():
    with pytest.raises(UsageError, match=r"starts must be 1\.\.12 in .* got 13"):
        draw_sheet(SMALL, 13, 0)
    with pytest.raises(UsageError, match=r"ic must be 0\.\.5 in .* got 6"):
        draw_sheet(SMALL, 1, 6)


def test_an_unknown_protocol_lists_the_known(capsys):
    assert main(["show", "pick_place/v9"]) == 2
    assert "unknown protocol 'pick_place/v9'; known:" in capsys.readouterr().err


def test_words_and_negative_controls_are_on_the_sheet_with_what_is_said(monkeypatch):
    monkeypatch.setattr(module, "ANTIALIAS", 1)
    whole = PROTOCOLS["language_pick/v1"]
    chosen = [c for c in whole.conditions if c.name.startswith(("nominal", "language", "control"))]
    sheet = draw_sheet(replace(whole, conditions=tuple(chosen)), 1, 0)
    language, empty, wrong = sheet.axes
    assert [shot.title for shot in language.shots] == ["nominal", *LEVELS]
    assert [shot.title for shot in empty.shots] == ["nominal", "control"]
    asked = whole.start("nominal", 0).factors["scene"]["instruction"]
    assert all(row.shots[0].caption == f"“{asked}”" for row in sheet.axes)
    assert empty.shots[1].caption == "nothing"
    assert len({shot.caption for shot in (*language.shots, wrong.shots[1])}) == 5
    assert "told another thing" in show_page(sheet)
