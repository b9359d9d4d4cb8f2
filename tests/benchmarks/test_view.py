import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from made_checkpoint import make_checkpoint

from benchmarks.failures import FAILURES
from benchmarks.records import read_run
from benchmarks.report.view_page import draw, pretty, view_page
from benchmarks.run import EvaluateConfig, evaluate
from benchmarks.view import Panel, Shown, find_trial, show_episode, show_trial
from envs.arm import Array
from envs.collect import collect
from envs.collection import Collection
from envs.episode import Episode, EpisodeMeta, write_episode
from envs.errors import UsageError


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    policy = make_checkpoint(folder / "policy")
    config = EvaluateConfig(
        str(policy), results=folder, conditions=("object_pose/L2",), trials=2, videos="none"
    )
    return evaluate(config).folder


def panel_names(shown: Shown) -> list[str]:
    return [panel.title for panel in shown.panels]


def test_a_trial_is_shown_from_its_replay(run_folder: Path) -> None:
    shown = show_trial(run_folder, "object_pose/L2/1")
    record = read_run(run_folder).trials[3]
    assert shown.title == "object_pose/L2 / 1"
    assert shown.outcome is False
    assert record["failure"] in shown.lead
    assert ("What to try", FAILURES[record["failure"]].advice) in shown.notes
    assert panel_names(shown)[3:5] == ["waist [rad]", "shoulder [rad]"]
    assert all(len(v) == len(shown.times) for p in shown.panels for _, v in p.lines)
    assert len(shown.times) == record["steps"] + 1
    assert shown.video is not None
    assert shown.video[4:8] == b"ftyp"


def test_the_page_is_one_file_that_needs_no_network(run_folder: Path) -> None:
    shown = show_trial(run_folder, "nominal/0")
    page = view_page(shown)
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)
    assert "://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert shown.video is not None
    assert base64.b64encode(shown.video).decode() in page
    assert page.count("<polyline") == sum(len(p.lines) for p in shown.panels)


def test_text_of_a_record_cannot_become_markup() -> None:
    evil = "<script>alert(1)</script>"
    shown = Shown(
        evil, evil, None, [(evil, evil)], np.arange(3.0), [Panel(evil, [(evil, np.arange(3.0))])],
        None, [(evil, evil)], {evil: evil},
    )  # fmt: skip
    assert evil not in view_page(shown)


def test_a_curve_is_thinned_and_stays_inside_its_frame() -> None:
    times = np.arange(5000) / 50
    drawing = draw(Panel("p", [("a", np.sin(times)), ("b", np.full(5000, 2.0))]), times)
    points = np.array([p.split(",") for p in drawing.curves[0].points.split()], float)
    assert len(points) <= 400
    assert points.min() >= 0
    assert points[:, 0].max() <= 320
    assert points[:, 1].max() <= 90
    assert (drawing.low, drawing.high) == ("-1", "2")
    assert draw(Panel("stages", [("stage", np.zeros(50))], 6), times[:50]).high == "6"


def test_the_record_is_printed_whole(run_folder: Path) -> None:
    record = read_run(run_folder).trials[0]
    assert json.loads(pretty(record)) == record
    assert len(pretty(record).splitlines()) < 60


def test_an_unknown_trial_lists_what_there_is(run_folder: Path) -> None:
    run = read_run(run_folder)
    with pytest.raises(UsageError, match=r"known: nominal/0\.\.1, object_pose/L2/0\.\.1"):
        find_trial(run, "lighting/L1/0")
    with pytest.raises(UsageError, match=r"must be nominal/0\.\.1, got '2'"):
        find_trial(run, "nominal/2")
    with pytest.raises(UsageError, match="unknown trial 'nominal'"):
        find_trial(run, "nominal")


def test_a_trial_without_its_trajectories_is_a_clear_error(run_folder: Path) -> None:
    stored = run_folder / "trajectories" / "nominal_000.npz"
    kept = stored.read_bytes()
    stored.unlink()
    try:
        with pytest.raises(UsageError, match=r"were not kept .* evaluate again"):
            show_trial(run_folder, "nominal/0")
    finally:
        stored.write_bytes(kept)


def test_an_episode_without_frames_is_simulated_again(tmp_path: Path) -> None:
    collect(Collection("pick_place"), 1, tmp_path)
    shown = show_episode(tmp_path / "episode_0.hdf5")
    assert shown.outcome is True
    assert shown.video is not None
    assert "gripper [opening]" in panel_names(shown)
    assert view_page(shown)


def frames(height: int, width: int) -> Array:
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (9, height, width, 3), dtype=np.uint8)


def test_an_episode_of_unknown_origin_is_shown_with_its_frames(tmp_path: Path) -> None:
    observations = {"qpos": np.zeros((9, 14)), "images/high": frames(24, 32)}
    observations["images/low"] = frames(30, 31)
    episode = Episode(observations, np.ones((9, 14)), np.arange(9) / 50, EpisodeMeta())
    shown = show_episode(write_episode(tmp_path / "foreign.hdf5", episode))
    assert shown.outcome is None
    assert shown.video is not None
    assert len(shown.panels) == 14
    bare = Episode({"qpos": np.zeros((9, 14))}, np.ones((9, 14)), np.arange(9) / 50, EpisodeMeta())
    without = show_episode(write_episode(tmp_path / "bare.hdf5", bare))
    assert without.video is None
    assert "without a start state none can be simulated" in view_page(without)
