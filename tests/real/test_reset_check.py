"""What stands between a scene and a trial, in words and as a picture."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from envs.arm import Array, InitialCondition
from envs.errors import UsageError
from perf.rendered import CUBE, Seen, TaggedScene
from real.pinhole import Pose
from real.reset_check import Shape, check_reset, outline, with_picture, words
from real.reset_overlay import GOOD, UNKNOWN, WANTED, overlay
from real.tags import Sighting, TagFinder
from tests.real.camera_bench import needs_gl, needs_opencv

SHAPES = {"cube": Shape((0.02, 0.02, 0.02), 4), "target": Shape((0.05, 0.05, 0.0006), 0)}


@pytest.fixture(scope="module")
def scene() -> Iterator[TaggedScene]:
    scene = TaggedScene()
    yield scene
    scene.close()


@pytest.fixture(scope="module")
def start(scene: TaggedScene) -> InitialCondition:
    return scene.world.task.sample(np.random.default_rng(3), scene.world.arm)


@pytest.fixture(scope="module")
def seen(scene: TaggedScene, start: InitialCondition) -> Seen:
    return scene.see(np.random.default_rng(0), start=start)


@pytest.fixture(scope="module")
def bare(scene: TaggedScene, start: InitialCondition) -> Array:
    """The scene without its objects: they lie far away."""
    away = {name: (9.0, 9.0, *pose[2:]) for name, pose in start.objects.items()}
    return scene.see(np.random.default_rng(1), start=replace(start, objects=away)).image


def sighted(x: float, y: float, yaw: float) -> dict[str, Sighting]:
    return {"cube": Sighting(Pose.flat(x, y, yaw, 0.02), 0.1, (0,), stands=True)}


@needs_opencv
@needs_gl
def test_a_scene_as_it_must_be_is_ready(
    scene: TaggedScene, start: InitialCondition, seen: Seen, bare: Array
) -> None:
    found = TagFinder([CUBE], seen.lens, seen.camera).find(seen.image)
    report = check_reset(start, scene.world.arm, np.array(start.qpos), found, SHAPES)
    report = with_picture(report, seen.image, bare, seen.lens, seen.camera, SHAPES)
    assert report.ok
    assert report.share < 0.002
    assert words(report, seen.camera) == [
        (True, "cube: in its place"),
        (None, "target: has no tags; compare it with its outline"),
        (True, "arm: at its start pose"),
        (True, "rest of the scene: as it was"),
    ]
    picture = overlay(seen.image, report, seen.lens, seen.camera, SHAPES)
    assert picture.shape[1] == 1280
    assert tuple(picture[4, 4]) == GOOD
    assert (picture == UNKNOWN).all(axis=2).any()


@needs_opencv
@needs_gl
def test_a_cube_elsewhere_a_thing_left_behind_and_an_arm_astray_are_told(
    scene: TaggedScene, start: InitialCondition, seen: Seen, bare: Array
) -> None:
    x, y, *_ = start.objects["cube"]
    yaw = Pose.from_array(start.objects["cube"]).yaw + 0.3
    wanted = {**start.objects, "cube": tuple(Pose.flat(x, y - 0.05, yaw, 0.02).array)}
    found = TagFinder([CUBE], seen.lens, seen.camera).find(seen.image)
    littered = seen.image.copy()
    littered[400:440, 60:120] = (30, 60, 200)
    qpos = np.array(start.qpos)
    qpos[1] += 0.3
    moved = replace(start, objects=wanted)
    report = check_reset(moved, scene.world.arm, qpos, found, SHAPES)
    report = with_picture(report, littered, bare, seen.lens, seen.camera, SHAPES)
    assert not report.ok
    lines = dict(line.split(": ", 1) for right, line in words(report, seen.camera) if not right)
    assert lines["cube"].startswith("move 50 mm ")
    assert "turn 17 deg left" in lines["cube"]
    assert lines["shoulder"] == "+0.30 from the start pose; home the arm"
    rows, columns = np.nonzero(report.changed)
    assert (rows.min(), rows.max()) == (25, 27)
    assert 3 <= columns.min() <= columns.max() <= 7


@pytest.mark.parametrize(
    ("x", "y", "way"),
    [(0.33, 0.0, "30 mm down"), (0.27, 0.0, "30 mm up"), (0.3, 0.02, "20 mm right")],
)
def test_directions_are_those_of_the_picture(
    x: float, y: float, way: str, seen: Seen, start: InitialCondition, scene: TaggedScene
) -> None:
    pose = tuple(Pose.flat(x, y, 0.0, 0.02).array)
    wanted = replace(start, objects={"cube": pose})
    arm = scene.world.arm
    report = check_reset(wanted, arm, np.array(start.qpos), sighted(0.3, 0.0, 0.0), SHAPES)
    assert words(report, seen.camera)[0] == (False, f"cube: move {way}")
    here, there = (
        outline(p, SHAPES["cube"], seen.lens, seen.camera).mean(axis=0)
        for p in (Pose.flat(0.3, 0.0, 0.0, 0.02), Pose.from_array(pose))
    )
    axis, sign = {"down": (1, 1), "up": (1, -1), "right": (0, 1)}[way.split()[-1]]
    assert sign * (there - here)[axis] > 10


def test_a_cube_turned_by_a_right_angle_is_right_and_by_less_is_not(
    start: InitialCondition, scene: TaggedScene
) -> None:
    wanted = replace(start, objects={"cube": tuple(Pose.flat(0.3, 0.0, 0.1, 0.02).array)})
    arm, qpos = scene.world.arm, np.array(start.qpos)
    for yaw, right in ((0.1 + np.pi / 2, True), (0.1 - np.pi, True), (0.4, False)):
        report = check_reset(wanted, arm, qpos, sighted(0.3, 0.0, yaw), SHAPES)
        assert report.ok is right


def test_an_object_that_is_not_seen_blocks(
    start: InitialCondition, scene: TaggedScene, seen: Seen
) -> None:
    report = check_reset(start, scene.world.arm, np.array(start.qpos), {}, SHAPES)
    assert not report.ok
    assert words(report, seen.camera)[0][1] == "cube: not seen; put it where its outline is"
    picture = overlay(seen.image, report, seen.lens, seen.camera, SHAPES)
    assert (picture == WANTED).all(axis=2).sum() > 500


def test_a_change_of_the_light_is_no_change_of_the_scene(
    start: InitialCondition, scene: TaggedScene, seen: Seen, bare: Array
) -> None:
    report = check_reset(start, scene.world.arm, np.array(start.qpos), {}, SHAPES)
    darker = (0.8 * seen.image).astype(np.uint8)
    report = with_picture(report, darker, bare, seen.lens, seen.camera, SHAPES)
    assert report.share < 0.002


def test_what_cannot_be_compared_is_refused(
    start: InitialCondition, scene: TaggedScene, seen: Seen
) -> None:
    arm, qpos = scene.world.arm, np.array(start.qpos)
    with pytest.raises(UsageError, match="objects without a shape: target; known: cube"):
        check_reset(start, arm, qpos, {}, {"cube": SHAPES["cube"]})
    with pytest.raises(UsageError, match="viperx has 7 joints, got 6 and 7"):
        check_reset(start, arm, qpos[:6], {}, SHAPES)
    report = check_reset(start, arm, qpos, {}, SHAPES)
    with pytest.raises(UsageError, match="reference picture must be 640x480 px"):
        with_picture(report, seen.image, seen.image[:240], seen.lens, seen.camera, SHAPES)
