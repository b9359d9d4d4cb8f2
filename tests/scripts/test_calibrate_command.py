"""The command `armtrials calibrate`, from a board on paper to a camera that has moved."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from envs.arm import Array
from perf.rendered import BoardScene
from real.board_pictures import take_poses, take_still
from real.calibration import Calibration
from real.cameras import Frame
from real.charuco import Board
from real.pinhole import Pose
from scripts.main import main
from tests.real.camera_bench import needs_gl, needs_opencv

pytestmark = needs_opencv


@pytest.fixture(scope="module")
def scene() -> BoardScene:
    return BoardScene(Board(), antialias=2)


def folder(path: Path, pictures: list[Array]) -> Path:
    path.mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(path / f"{number:02d}.png")
    return path


@pytest.fixture(scope="module")
def calibrated(scene: BoardScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a calibration with lens and reference, and the pictures it is from."""
    out = tmp_path_factory.mktemp("calibrated")
    rng = np.random.default_rng(7)
    cameras = [
        scene.aimed(rng.uniform(0.4, 0.6), rng.uniform(20, 40), 40.0 * k, rng.uniform(-30, 30))
        for k in range(10)
    ]
    folder(out / "poses", [scene.see(camera, rng)[0] for camera in cameras])
    folder(out / "then", scene.see(scene.aimed(0.6, 28.0, -60.0), rng, 4))
    file = ["--file", str(out / "calibration.json")]
    lens = ["lens", "--camera", "overhead", "--pictures", str(out / "poses")]
    assert main(["calibrate", *lens, *file, "--robot", "koch"]) == 0
    reference = ["reference", "--camera", "overhead", "--pictures", str(out / "then")]
    assert main(["calibrate", *reference, *file, "--at", "0.25", "-0.1", "90"]) == 0
    return out


@needs_gl
def test_lens_and_reference_are_versions_of_one_file(
    calibrated: Path, scene: BoardScene, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Calibration.load(calibrated / "calibration.json")
    assert (made.robot, made.version) == ("koch", 2)
    camera = made.camera("overhead")
    assert camera.intrinsics.fx == pytest.approx(scene.lens.fx, rel=0.005)
    assert camera.pose is not None
    assert camera.reference is not None
    truth = Pose.flat(0.25, -0.1, np.pi / 2) @ scene.aimed(0.6, 28.0, -60.0)
    assert camera.pose.distance(truth) < 0.005
    assert camera.pose.angle(truth) < np.radians(0.5)
    assert main(["calibrate", "show", "--file", str(calibrated / "calibration.json")]) == 0
    out = capsys.readouterr().out
    assert f"koch, version 2, hash {made.hash[:12]}" in out
    assert "camera overhead: 640x480" in out


@needs_gl
def test_a_check_tells_whether_the_camera_moved(
    calibrated: Path, scene: BoardScene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for way, code, told in ((0.0, 0, "OK: "), (0.003, 0, "WARN: "), (0.009, 1, "BLOCK: ")):
        camera = scene.aimed(0.6, 28.0, -60.0) @ Pose((way, 0.0, 0.0))
        today = folder(tmp_path / told[:2], scene.see(camera, np.random.default_rng(5), 2))
        words = ["check", "--camera", "overhead", "--pictures", str(today)]
        assert main(["calibrate", *words, "--file", str(calibrated / "calibration.json")]) == code
        assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("check --camera side", "camera 'side' is not calibrated; calibrated: overhead"),
        ("check --camera overhead", "pictures are needed: --pictures FOLDER or --live CAMERA"),
        ("check --camera overhead --pictures none", "none: no pictures"),
        ("lens --camera overhead --factory", "--factory needs a camera: --live realsense"),
        ("lens --camera overhead --live /dev/video99", "/dev/video99 does not open"),
        ("board --out board.bmp", "must end in .png or .pdf"),
        ("board --out b.pdf --square 0.09 --marker 0.06", "does not fit on a4"),
        ("board --out b.pdf --paper a9", "unknown paper 'a9'; known: a4, a3, letter"),
        ("tags --out t.pdf --ids 77", "tags must be 0..49"),
        ("tags --out t.pdf --size 0.15 --ids 0 1 2", "tags of 150 mm fit on a4, got 3"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    words: str, told: str, calibrated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = [] if words.split()[0] in ("board", "tags") else ["--file"]
    path = [str(calibrated / "calibration.json")] if file else []
    assert main(["calibrate", *words.split(), *file, *path]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("armtrials: error: ")
    assert told in line


@pytest.mark.parametrize("kind", ["png", "pdf"])
def test_a_board_is_printed_in_its_true_size(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"board.{kind}"
    assert main(["calibrate", "board", "--out", str(path)]) == 0
    if kind == "pdf":
        assert b"/MediaBox [ 0 0 841.9" in path.read_bytes()  # A4 lying, in points
        return
    sheet = Image.open(path)
    assert sheet.info["dpi"][0] == pytest.approx(300, abs=0.1)
    pixels = np.asarray(sheet.convert("RGB"))[::3, ::3]
    corners = Board().find(pixels)
    assert len(corners) == 24
    across = np.linalg.norm(corners[5] - corners[0])  # five squares of 30 mm at 100 dpi
    assert across == pytest.approx(0.15 / 0.0254 * 100, abs=1.0)


def test_tags_are_printed_so_that_they_are_found(tmp_path: Path) -> None:
    import cv2

    path = tmp_path / "tags.png"
    words = ["tags", "--out", str(path), "--ids", "3", "7", "49", "--size", "0.025"]
    assert main(["calibrate", *words]) == 0
    grey = np.asarray(Image.open(path))[::3, ::3]
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    corners, ids, _ = cv2.aruco.ArucoDetector(dictionary).detectMarkers(np.ascontiguousarray(grey))
    assert sorted(np.ravel(ids)) == [3, 7, 49]
    widths = [np.linalg.norm(c[0, 1] - c[0, 0]) for c in corners]
    assert np.allclose(widths, 0.025 / 0.0254 * 100, atol=2)


class Handheld:
    """A camera before which somebody moves a board: between rests it is in motion."""

    name = "overhead"

    def __init__(self, scene: BoardScene) -> None:
        rng = np.random.default_rng(3)
        places = [scene.aimed(0.5, 30.0, 70.0 * k, 30.0 * k) for k in range(3)]
        self.pictures: list[Array] = []
        for place in places:
            self.pictures += scene.see(place @ Pose((0.02, 0.0, 0.0)), rng)
            self.pictures += scene.see(place, rng, 3)
        self.given = 0

    def start(self) -> None:
        pass

    def wait(self, timeout_s: float) -> Frame:
        image = self.pictures[self.given]  # there are no more than are needed
        self.given += 1
        return Frame(image, None, self.given, self.given / 30, self.given / 30)

    def close(self) -> None:
        pass


def test_a_live_camera_takes_each_pose_once_and_only_at_rest(scene: BoardScene) -> None:
    camera, told = Handheld(scene), []
    taken = take_poses(camera, Board(), 3, lambda count, corners: told.append((count, corners)))
    assert [*taken] == ["pose_00.png", "pose_01.png", "pose_02.png"]
    resting = [camera.pictures[k] for k in (2, 6, 10)]
    for image, wanted in zip(taken.values(), resting, strict=True):
        assert np.array_equal(image, wanted)
    assert told[-1] == (3, 24)
    camera.given = 0
    assert len(take_still(camera, 4)) == 4
