"""Variations: within their bounds, reproducible, and doing what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.arm import CameraSpec
from envs.batch import SimBatch
from envs.env import PIXELS
from envs.factor import LEVELS, Draw
from envs.frames import Frames
from envs.optics import Lens
from envs.render import Renderer
from envs.tasks import TASKS
from envs.variation import VARIATIONS, distractors_of, perturb
from envs.world import world

TASK = TASKS["pick_place"]
SEEDS = st.integers(0, 2**31)


def drawn(name, level, seed, at_bound=True):
    rng = np.random.default_rng(seed)
    start = TASK.sample(rng, world(TASK).arm)
    return start, perturb(start, TASK, [(name, level)], rng, at_bound)


def reset(name, level, seed=0):
    _, start = drawn(name, level, seed)
    batch = SimBatch(TASK, distractors=distractors_of([(name, level)]))
    batch.reset([start])
    return batch, start.factors[name]


@given(
    SEEDS,
    st.sampled_from([name for name, v in VARIATIONS.items() if not v.words]),
    st.sampled_from(LEVELS),
)
def test_the_same_seed_draws_the_same(seed, name, level):
    assert drawn(name, level, seed) == drawn(name, level, seed)


@given(SEEDS, st.floats(1.01, 4.0))
def test_a_protocol_draws_at_the_bound_and_randomisation_within_it(seed, bound):
    exact, within = (Draw(np.random.default_rng(seed), at) for at in (True, False))
    assert abs(exact.signed(bound)) == bound
    assert exact.magnitude(bound) == bound
    assert np.isclose(abs(np.log(exact.ratio(bound))), np.log(bound))
    assert abs(within.signed(bound)) <= bound
    assert 0 <= within.magnitude(bound) <= bound
    assert 1 / bound <= within.ratio(bound) <= bound


@given(SEEDS, st.sampled_from(LEVELS))
def test_object_pose_leaves_the_training_box_by_the_stated_distance(seed, level):
    start, moved = drawn("object_pose", level, seed)
    shift = VARIATIONS["object_pose"].level(level)["shift"]
    x, y = moved.objects["cube"][:2]
    ranges = (TASK.region.x, TASK.region.y)
    outside = [max(lo - v, v - hi, 0.0) for v, (lo, hi) in zip((x, y), ranges, strict=True)]
    assert np.isclose(max(outside), shift)
    gap = np.subtract(moved.objects["cube"][:2], moved.objects["target"][:2])
    assert np.linalg.norm(gap) > 0.1
    assert moved.objects["target"] == start.objects["target"]
    assert start.qpos == moved.qpos


@pytest.mark.parametrize("name", [name for name in TASKS if name != "two_ways"])
def test_object_pose_moves_one_thing_and_leaves_the_others_where_they_are(name):
    task = TASKS[name]
    for seed in range(30):
        rng = np.random.default_rng(seed)
        start = task.sample(rng, world(task).arm)
        moved = perturb(start, task, [("object_pose", "L2")], rng)
        subject = task.subject(start)
        assert {k for k in start.objects if moved.objects[k] != start.objects[k]} == {subject}


def test_object_pose_of_a_goal_behind_a_post_takes_the_post_along():
    task = TASKS["two_ways"]
    rng = np.random.default_rng(0)
    start = task.sample(rng, world(task).arm)
    moved = perturb(start, task, [("object_pose", "L2")], rng)
    assert moved.objects["goal"] != start.objects["goal"]
    assert dict(task.separate(moved.objects)) == dict(moved.objects)


@given(SEEDS, st.sampled_from(LEVELS))
def test_home_pose_moves_by_the_stated_norm(seed, level):
    start, moved = drawn("home_pose", level, seed)
    norm = np.linalg.norm(np.subtract(moved.qpos, start.qpos))
    assert np.isclose(norm, VARIATIONS["home_pose"].level(level)["norm"])
    assert start.objects == moved.objects


@given(SEEDS)
def test_distractors_lie_apart_from_everything(seed):
    _, moved = drawn("distractors", "L3", seed)
    at = np.array([pose[:2] for pose in moved.objects.values()])
    gaps = np.linalg.norm(at[:, None] - at[None], axis=-1)[np.triu_indices(len(at), 1)]
    assert gaps.min() > 0.08


def test_friction_and_mass_reach_the_model():
    batch, factors = reset("friction_mass", "L3")
    model, nominal = batch.models[0], batch.world.model
    cube = model.body("cube").id
    assert np.isclose(model.body_mass[cube], nominal.body_mass[cube] * factors["mass"])
    for geom in ("cube", "left_pad", "right_pad"):
        i = model.geom(geom).id
        assert np.isclose(
            model.geom_friction[i, 0], nominal.geom_friction[i, 0] * factors["friction"]
        )
    assert not np.isclose(model.body_invweight0[cube, 0], nominal.body_invweight0[cube, 0])


def test_gain_changes_the_actuator_on_both_sides():
    batch, factors = reset("damping_gain", "L2")
    model, nominal = batch.models[0], batch.world.model
    assert np.allclose(
        model.actuator_gainprm[:, 0], nominal.actuator_gainprm[:, 0] * factors["gain"]
    )
    assert np.allclose(model.actuator_biasprm[:, 1], -model.actuator_gainprm[:, 0])


@pytest.mark.parametrize("name", ["camera_pose", "lighting", "texture", "distractors"])
@pytest.mark.parametrize("level", LEVELS)
def test_what_the_cameras_see_changes(name, level):
    _, start = drawn(name, level, 1)
    nominal, _ = drawn(name, level, 1)
    batch = SimBatch(TASK, size=2, cameras=PIXELS, distractors=distractors_of([(name, level)]))
    batch.reset([nominal, start])
    images = batch.observe()["images/overhead"].astype(float)
    assert np.abs(images[0] - images[1]).mean() > 0.3


def test_images_pass_through_a_jpeg_only_when_asked():
    _, start = drawn("observation", "L3", 1)
    nominal, _ = drawn("observation", "L3", 1)
    batch = SimBatch(TASK, size=2, cameras=PIXELS)
    batch.reset([nominal, start])
    images = batch.observe()["images/overhead"].astype(float)
    assert 0.1 < np.abs(images[0] - images[1]).mean() < 10


@pytest.mark.parametrize("level", LEVELS)
def test_a_camera_out_of_focus_or_badly_exposed_changes_only_its_pictures(level):
    _, start = drawn("image_quality", level, 1)
    nominal, _ = drawn("image_quality", level, 1)
    batch = SimBatch(TASK, size=2, cameras=PIXELS)
    batch.reset([nominal, start])
    seen = batch.observe()
    brighter = seen["images/overhead"][1].mean() / seen["images/overhead"][0].mean()
    assert (brighter > 1) == (start.factors["image_quality"]["gain"] > 1)
    assert np.array_equal(seen["qpos"][0], seen["qpos"][1])


def test_a_blur_takes_the_detail_and_keeps_the_brightness():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (84, 84, 3), np.uint8)
    soft = Lens(sigma=1.0).take(frame)
    assert soft.std() < 0.5 * frame.std()
    assert abs(soft.mean() - frame.mean()) < 2
    assert Lens().take(frame) is frame
    large = np.kron(frame, np.ones((4, 4, 1), np.uint8))
    assert abs(Lens(sigma=1.0).take(large).std() - soft.std()) < 0.15 * soft.std()


@pytest.mark.parametrize("level", LEVELS)
def test_an_object_of_another_size_rests_on_the_table_and_weighs_accordingly(level):
    batch, factors = reset("object_size", level, seed=4)
    model, nominal = batch.models[0], batch.world.model
    cube, scale = model.body("cube").id, factors["scale"]
    assert abs(scale - 1) == pytest.approx(VARIATIONS["object_size"].level(level)["size"])
    solid = np.pi / 4 if factors["new_shape"] else 1.0
    assert np.isclose(model.body_mass[cube], nominal.body_mass[cube] * scale**3 * solid)
    for _ in range(25):
        batch.step(np.array([batch.starts[0].qpos]))
    assert batch.readings["cube_pos"][2] == pytest.approx(0.02 * scale, abs=5e-4)
    assert factors["new_shape"] == (level == "L3")


def test_what_an_instruction_tells_by_its_shape_keeps_it():
    task, rng = TASKS["language_pick"], np.random.default_rng(0)
    start = task.sample(rng, world(task).arm)
    new = perturb(start, task, [("object_size", "L3")], rng, at_bound=True)
    assert not new.factors["object_size"]["new_shape"]
    assert abs(new.factors["object_size"]["scale"] - 1) == pytest.approx(0.25)


@pytest.mark.parametrize("backend", ["ray", None])
def test_the_new_size_is_drawn(backend):
    _, start = drawn("object_size", "L3", 1)
    nominal, _ = drawn("object_size", "L3", 1)
    batch = SimBatch(TASK, size=2, cameras=[CameraSpec("overhead", 160, 160)])
    batch.reset([nominal, start])
    if backend:
        scene = batch._frames = Frames(batch.world)
        caster = Renderer(batch.world.model, 160, 160, backend=backend)
        scene._renderers[(160, 160, False, 0)] = caster
    red = batch.observe()["images/overhead"].astype(int) @ (1, -1, -1) > 40
    areas = red.sum(axis=(1, 2))
    larger = start.factors["object_size"]["scale"] > 1
    assert (areas[1] > 1.15 * areas[0]) == larger
    assert (areas[1] < 0.85 * areas[0]) != larger
