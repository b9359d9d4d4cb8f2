"""Where tagged objects are, on pictures that MuJoCo renders."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from envs.errors import UsageError
from envs.pictures import Picture, with_pictures
from envs.tasks.pick_place import PickPlace
from envs.world import World
from perf.rendered import CUBE, TaggedScene, tag_pictures
from real.pinhole import Intrinsics, Pose
from real.tags import Tag, TagFinder, TaggedObject, read_objects, tag_image, tagged_box
from tests.real.camera_bench import needs_opencv

pytestmark = needs_opencv


@pytest.fixture(scope="module")
def scene() -> Iterator[TaggedScene]:
    scene = TaggedScene()
    yield scene
    scene.close()


def test_a_cube_on_the_table_is_found_within_a_millimetre_and_two_degrees(
    scene: TaggedScene,
) -> None:
    rng = np.random.default_rng(4)
    for _ in range(3):
        seen = scene.see(rng)
        found = TagFinder([CUBE], seen.lens, seen.camera).find(seen.image)["cube"]
        assert found.stands
        assert found.pose.distance(seen.cube) < 1e-3
        assert found.pose.angle(seen.cube) < np.radians(2)


@pytest.mark.parametrize(("lifted", "tilt"), [(0.08, 0.0), (0.06, 0.4)])
def test_a_cube_in_the_air_is_found_where_it_is_and_not_on_the_table(
    scene: TaggedScene, lifted: float, tilt: float
) -> None:
    seen = scene.see(np.random.default_rng(1), lifted, tilt)
    found = TagFinder([CUBE], seen.lens, seen.camera).find(seen.image)["cube"]
    assert not found.stands
    assert found.pose.distance(seen.cube) < 0.02
    assert found.pose.angle(seen.cube) < np.radians(6)


def test_what_is_not_in_the_picture_is_not_found(scene: TaggedScene) -> None:
    seen = scene.see(np.random.default_rng(2))
    other = tagged_box("other", (0.02, 0.02, 0.02), 20, 0.03)
    finder = TagFinder([CUBE, other], seen.lens, seen.camera)
    assert [*finder.find(seen.image)] == ["cube"]
    assert finder.find(np.full_like(seen.image, 128)) == {}


def test_tags_that_do_not_lie_as_on_the_object_are_not_taken_for_it() -> None:
    image = np.full((480, 640, 3), 255, np.uint8)
    for number, left in ((0, 200), (1, 320)):
        image[200:280, left : left + 80] = tag_image(number, 10)[:, :, None]
    lens = Intrinsics.simulated(640, 480, 40.0)

    def pair(apart: float) -> TaggedObject:
        return TaggedObject("pair", (Tag(0, 0.03, Pose()), Tag(1, 0.03, Pose((apart, 0, 0)))))

    found = TagFinder([pair(0.06)], lens, Pose()).find(image)["pair"]
    assert found.tags == (0, 1)
    assert found.pose.position[2] == pytest.approx(lens.fx * 0.03 / 60, rel=0.02)
    assert TagFinder([pair(0.3)], lens, Pose()).find(image) == {}


def test_a_picture_of_another_size_is_refused(scene: TaggedScene) -> None:
    finder = TagFinder([CUBE], Intrinsics.simulated(640, 480, 40.0), Pose())
    with pytest.raises(ValueError, match="a picture must be 640x480 px"):
        finder.find(np.zeros((240, 320, 3), np.uint8))


def test_objects_are_data(tmp_path: Path) -> None:
    path = tmp_path / "objects.json"
    path.write_text(json.dumps([CUBE.to_json()]))
    assert read_objects(path) == (CUBE,)
    path.write_text(json.dumps([CUBE.to_json(), {**CUBE.to_json(), "name": "other"}]))
    with pytest.raises(UsageError, match=r"each tag must be on one object only, got twice: \[0, 1"):
        read_objects(path)
    path.write_text('[{"name": "cube"}]')
    with pytest.raises(UsageError, match=r"objects\.json: no list of tagged objects"):
        read_objects(path)


def test_a_tag_lies_flat_on_each_side_of_a_box_and_looks_outwards() -> None:
    half = np.array([0.01, 0.02, 0.03])
    for tag in tagged_box("box", half, 0, 0.01).tags:
        out = tag.mount.rotation.apply([0.0, 0.0, 1.0])
        assert np.allclose(out * half, tag.mount.position)
        if abs(out[2]) < 0.5:  # on an upright side it stands upright
            assert np.allclose(tag.mount.rotation.apply([0.0, 1.0, 0.0]), [0, 0, 1])


def test_pictures_in_a_scene_change_nothing_but_looks() -> None:
    plain, tagged = World(PickPlace()), World(with_pictures(PickPlace(), tag_pictures(CUBE)))
    assert tagged.model.ngeom == plain.model.ngeom + 5
    assert tagged.model.body("cube").mass == plain.model.body("cube").mass
    assert np.array_equal(tagged.model.body("cube").inertia, plain.model.body("cube").inertia)
    assert tagged.model.nq == plain.model.nq
    extra = [tagged.model.geom(f"tag{number}") for number in range(5)]
    assert all(geom.contype == geom.conaffinity == 0 for geom in extra)


def test_a_picture_on_a_body_that_is_none_is_refused() -> None:
    lost = Picture("lost", tag_image(0, 4), (0.02, 0.02), body="nobody")
    with pytest.raises(ValueError, match="fixed to a body of the scene, got 'nobody'"):
        World(with_pictures(PickPlace(), [lost]))


def test_poses_compose_and_invert() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = (Pose.of(rng.normal(size=3), Rotation.random(rng=rng)) for _ in range(2))
        points = rng.normal(size=(5, 3))
        assert np.allclose((a @ b).apply(points), a.apply(b.apply(points)))
        assert (a @ a.inverse).distance(Pose()) < 1e-12
        assert Pose.from_array(a.array) == a


def test_a_point_is_projected_as_opencv_does() -> None:
    import cv2

    rng = np.random.default_rng(0)
    lens = Intrinsics(640, 480, 600.0, 610.0, 318.0, 242.0, (0.1, -0.05, 0.002, -0.001, 0.01))
    points = rng.normal(size=(20, 3)) * 0.2 + (0, 0, 1)
    still = np.zeros(3)
    wanted, _ = cv2.projectPoints(points, still, still, lens.matrix, np.array(lens.distortion))
    assert np.allclose(lens.project(points), wanted.reshape(-1, 2), atol=1e-6)
    assert np.isnan(lens.project(np.array([[0.0, 0.0, -1.0]]))).all()
