"""The command `armtrials calibrate reset`: what is to be put where, in words and as a picture."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.protocol import PROTOCOLS
from envs.tasks import TASKS
from envs.world import world
from perf.rendered import CUBE, TaggedScene
from real.calibration import Calibration, CameraCalibration
from real.emulators.twin_cameras import tag_sight
from scripts.main import main
from tests.real.camera_bench import needs_gl, needs_opencv

pytestmark = [needs_opencv, needs_gl]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibration, the tagged cube, and a picture with the cube at start 0."""
    out = tmp_path_factory.mktemp("reset")
    scene = TaggedScene()
    sight = tag_sight(world(TASKS["pick_place"]))
    camera = CameraCalibration(sight.lens, pose=sight.camera)
    Calibration("viperx").with_camera("overhead", camera).save(out / "calibration.json")
    (out / "objects.json").write_text(json.dumps([CUBE.to_json()]))
    start = PROTOCOLS["pick_place/v1"].start("nominal", 0, "test")
    (out / "now").mkdir()
    seen = scene.see(np.random.default_rng(0), start=start)
    Image.fromarray(seen.image).save(out / "now" / "0.png")
    scene.close()
    return out


def reset(folder: Path, *more: str) -> int:
    words = ["--pictures", str(folder / "now"), "--tags", str(folder / "objects.json")]
    file = ["--file", str(folder / "calibration.json"), "--out", str(folder / "reset.png")]
    return main(["calibrate", "reset", *words, *file, *more])


def test_a_scene_as_the_start_wants_it_is_ready(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reset(folder) == 0
    said = capsys.readouterr().out
    assert "ok  cube: in its place" in said
    assert "?  target: has no tags" in said
    assert "READY: " in said


def test_another_start_says_where_the_cube_must_go_and_draws_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reset(folder, "--start", "3") == 1
    said = capsys.readouterr().out
    here, there = (
        np.array(PROTOCOLS["pick_place/v1"].start("nominal", k, "test").objects["cube"])
        for k in (0, 3)
    )
    assert "no  cube: move " in said
    far = 1e3 * np.linalg.norm((there - here)[:2])
    told = [float(word) for word in said.split("cube: move ")[1].split("\n")[0].split() if
            word.isdigit()]  # fmt: skip
    assert np.hypot(*told[:2]) == pytest.approx(far, abs=3)
    with Image.open(folder / "reset.png") as file:
        drawn = np.asarray(file)
    assert drawn.shape[1] >= 960
    assert (np.abs(drawn.astype(int) - (218, 54, 51)).sum(axis=2) < 10).sum() > 1000  # not ready


def test_the_twin_shows_what_the_check_is_without_an_arm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("dynamixel_easy_sdk")
    out = tmp_path / "twin.png"
    assert main(["calibrate", "reset", "--twin", "--robot", "koch", "--out", str(out)]) == 1
    assert "cube: move" in capsys.readouterr().out
    with Image.open(out) as file:
        assert file.size[0] >= 960


def test_what_the_check_cannot_know_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, told in (
        (["--robot", "koch"], "the calibration is of viperx, not of koch"),
        (["--task", "insertion", "--protocol", "pick_place/v1"], "is of pick_place, not of"),
        (["--start", "-1"], "--start must be at least 0"),
        (["--camera", "wrist"], "camera 'wrist' is not calibrated"),
        (["--reference", str(folder / "none.png")], "no picture"),
    ):
        assert reset(folder, *words) == 2
        assert told in capsys.readouterr().err
