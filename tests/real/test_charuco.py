"""A board in rendered pictures: lens, place, and planted shifts of the camera."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from envs.arm import Array
from envs.errors import UsageError
from perf.rendered import BoardScene
from real.charuco import Board, Located, calibrate_lens, locate
from real.extrinsics import shift
from real.pinhole import Pose
from tests.real.camera_bench import needs_gl, needs_opencv

pytestmark = [needs_opencv, needs_gl]
BOARD = Board()
PICTURES = 4


@pytest.fixture(scope="module")
def scene() -> Iterator[BoardScene]:
    scene = BoardScene(BOARD, antialias=2)
    yield scene
    scene.close()


@pytest.fixture(scope="module")
def camera(scene: BoardScene) -> Pose:
    return scene.aimed(0.6, 28.0, -60.0)


@pytest.fixture(scope="module")
def reference(scene: BoardScene, camera: Pose) -> Located:
    return locate(BOARD, scene.see(camera, np.random.default_rng(0), PICTURES), scene.lens)


@pytest.fixture(scope="module")
def poses(scene: BoardScene) -> dict[str, Array]:
    rng = np.random.default_rng(7)
    cameras = [
        scene.aimed(rng.uniform(0.4, 0.6), rng.uniform(20, 40), 40.0 * k, rng.uniform(-30, 30))
        for k in range(9)
    ]
    return {f"{k}.png": scene.see(camera, rng)[0] for k, camera in enumerate(cameras)}


def test_a_board_is_found_where_it_is(camera: Pose, reference: Located) -> None:
    truth = camera.inverse
    assert reference.corners == 24
    assert reference.tilt == pytest.approx(28, abs=0.5)
    assert reference.pose.distance(truth) < 1e-3
    assert reference.pose.angle(truth) < np.radians(0.1)


@pytest.mark.parametrize(
    ("way", "turn", "verdict"),
    [
        ((0.0, 0.0, 0.0), 0.0, "ok"),
        ((0.003, 0.0, 0.0), 0.0, "warn"),
        ((0.0, -0.002, 0.0025), 0.0, "warn"),
        ((0.007, 0.0, 0.0), 0.0, "block"),
        ((0.0, 0.0, -0.008), 0.0, "block"),
        ((0.0, 0.0, 0.0), 1.4, "block"),
    ],
)
def test_a_planted_shift_is_read_back(
    way: tuple[float, float, float],
    turn: float,
    verdict: str,
    scene: BoardScene,
    camera: Pose,
    reference: Located,
) -> None:
    planted = Pose.of(np.array(way), Rotation.from_euler("y", turn, degrees=True))
    rng = np.random.default_rng(1)
    now = locate(BOARD, scene.see(camera @ planted, rng, PICTURES), scene.lens)
    found = shift(reference.pose, now.pose)
    assert found.mm == pytest.approx(1e3 * np.linalg.norm(way), abs=0.8)
    assert np.allclose(found.way, np.multiply(way, 1e3), atol=0.8)
    assert found.deg == pytest.approx(turn, abs=0.1)
    assert found.verdict == verdict


def test_a_focal_length_off_by_one_per_cent_cancels_in_the_shift(
    scene: BoardScene, camera: Pose, reference: Located
) -> None:
    wrong = replace(scene.lens, fx=scene.lens.fx * 1.01, fy=scene.lens.fy * 1.01)
    rng = np.random.default_rng(2)
    then = locate(BOARD, scene.see(camera, rng, PICTURES), wrong)
    now = locate(BOARD, scene.see(camera @ Pose((0.004, 0.0, 0.0)), rng, PICTURES), wrong)
    assert then.pose.distance(reference.pose) > 4e-3
    assert shift(then.pose, now.pose).mm == pytest.approx(4.0, abs=0.8)


def test_a_shift_is_told_with_its_direction_and_what_to_do() -> None:
    moved = shift(Pose(), Pose((-0.006, 0.0, 0.0)))
    assert str(moved) == (
        "the camera is 6.0 mm and 0.00 deg from its reference (6.0 mm right, seen from the camera);"
        " put it back before any trial, or collect data anew"
    )
    assert str(shift(Pose(), Pose())) == "the camera is 0.0 mm and 0.00 deg from its reference"


def test_a_lens_is_measured(scene: BoardScene, poses: dict[str, Array]) -> None:
    lens = calibrate_lens(BOARD, poses)
    assert lens.intrinsics.fx == pytest.approx(scene.lens.fx, rel=0.005)
    assert lens.intrinsics.cx == pytest.approx(scene.lens.cx, abs=3)
    assert lens.error_px < 0.3
    assert lens.used == tuple(poses)


def test_a_picture_without_the_board_or_that_does_not_fit_is_left_out_and_named(
    poses: dict[str, Array],
) -> None:
    bent = poses["0.png"].copy()
    half = bent.shape[1] // 2
    bent[:, half:] = np.roll(bent[:, half:], 6, axis=0)  # as of a board that is not flat
    lens = calibrate_lens(BOARD, {**poses, "empty.png": np.zeros_like(bent), "bent.png": bent})
    assert lens.left_out == {
        "empty.png": "no board",
        "bent.png": "its corners do not fit the others' lens",
    }


def test_too_few_pictures_are_refused_with_the_reason(poses: dict[str, Array]) -> None:
    few = {name: poses[name] for name in ("0.png", "1.png")}
    empty = np.zeros_like(poses["0.png"])
    with pytest.raises(UsageError, match=r"8 pictures .* usable: 2 \(dark\.png: no board\)"):
        calibrate_lens(BOARD, {**few, "dark.png": empty})


def test_pictures_of_different_sizes_are_refused(poses: dict[str, Array]) -> None:
    with pytest.raises(UsageError, match="must have one size"):
        calibrate_lens(BOARD, {**poses, "small.png": poses["0.png"][:240]})


def test_a_board_seen_squarely_is_refused(scene: BoardScene) -> None:
    pictures = scene.see(scene.aimed(0.6, 4.0, 0.0), np.random.default_rng(0))
    with pytest.raises(UsageError, match="prop it up so that it is tilted by 20 degrees"):
        locate(BOARD, pictures, scene.lens)


def test_a_hidden_board_is_refused(scene: BoardScene, camera: Pose) -> None:
    (picture,) = scene.see(camera, np.random.default_rng(0))
    hidden = picture.copy()
    hidden[:, :330] = 90
    hidden[250:] = 90
    with pytest.raises(UsageError, match="of 24 corners; lay it flat in view"):
        locate(BOARD, [hidden], scene.lens)


@pytest.mark.parametrize("bad", [{"columns": 2}, {"marker": 0.03}, {"rows": 40}, {"square": 0.0}])
def test_a_board_that_cannot_be_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="must"):
        Board(**bad)
