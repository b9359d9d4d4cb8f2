"""Pictures: what both renderers must do, and that they agree."""

import mujoco
import numpy as np
import pytest

from envs import gl
from envs.ray_bounds import VISIBLE, widen_bounds
from envs.render import Renderer
from envs.robots import ROBOTS
from envs.samples import LIGHT_RADIUS, samples
from envs.scene import add_block, add_zone, build_scene

CAMERAS = ("overhead", "wrist", "view")


def first_gl() -> str | None:
    return next((name for name in gl.BACKENDS[:3] if gl.probe(name) is None), None)


@pytest.fixture(scope="module")
def scene() -> tuple[mujoco.MjModel, mujoco.MjData]:
    def props(spec: mujoco.MjSpec) -> None:
        add_block(spec, "cube", (0.02, 0.02, 0.02))
        add_zone(spec, "target", 0.05)

    model = build_scene(ROBOTS["viperx"], props).compile()
    data = mujoco.MjData(model)
    data.qpos[:6] = [-0.1, 0.011, 0.282, 0.0, 1.278, 0.3]
    data.qpos[6:8] = 0.03
    at = int(model.joint("cube").qposadr[0])
    data.qpos[at : at + 7] = [0.38, -0.03, 0.02, 0.966, 0, 0, 0.259]
    data.mocap_pos[0] = [0.33, 0.2, 0.0]
    mujoco.mj_forward(model, data)
    return model, data


@pytest.fixture(params=["ray", pytest.param("gl", marks=pytest.mark.gl)])
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "ray":
        return "ray"
    found = first_gl()
    if found is None:
        pytest.skip(f"no OpenGL works here: {gl.probe('egl')}")
    return found


Scene = tuple[mujoco.MjModel, mujoco.MjData]


def draw(scene: Scene, camera: str, backend: str, size: int = 84, **quality: int) -> np.ndarray:
    with Renderer(scene[0], size, size, backend=backend, **quality) as renderer:
        return renderer.render(*scene, camera)


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_picture_is_the_same_every_time(scene: Scene, backend: str, camera: str) -> None:
    first, second = (draw(scene, camera, backend) for _ in range(2))
    assert first.shape == (84, 84, 3)
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    assert np.array_equal(first, second)


def test_cube_and_zone_are_seen_from_above_where_they_lie(scene: Scene, backend: str) -> None:
    image = draw(scene, "overhead", backend).astype(int)
    red = (image[..., 0] > 120) & (image[..., 1] < 60)
    green = (image[..., 1] > 120) & (image[..., 0] < 80)
    for mask, point in ((red, scene[1].body("cube").xpos), (green, (0.33, 0.2, 0.0))):
        assert 10 < mask.sum() < 400
        camera = scene[0].camera("overhead").id
        local = scene[1].cam_xmat[camera].reshape(3, 3).T @ (point - scene[1].cam_xpos[camera])
        focal = 42 / np.tan(np.radians(scene[0].cam_fovy[camera]) / 2)
        expected = 42 + focal * np.array([local[1], -local[0]]) / local[2]
        assert np.argwhere(mask).mean(axis=0) == pytest.approx(expected, abs=3)


def test_the_wrist_camera_sees_both_fingers_and_the_cube_below(scene: Scene, backend: str) -> None:
    image = draw(scene, "wrist", backend).astype(int)
    dark = image.max(axis=2) < 80
    assert dark[60:, :42].sum() > 50
    assert dark[60:, 42:].sum() > 50
    assert ((image[..., 0] > 120) & (image[..., 1] < 60)).sum() > 100


def test_changes_in_place_are_drawn_without_a_new_renderer(scene: Scene, backend: str) -> None:
    model, data = scene
    changed = model.__copy__()
    changed.geom_rgba[changed.geom("cube").id, :3] = [0.1, 0.1, 0.9]
    changed.light_diffuse[changed.light("key").id] *= 0.5
    changed.geom_matid[changed.geom("table").id] = changed.material("table_plain").id
    changed.mat_rgba[changed.material("table_plain").id, :3] = [0.2, 0.5, 0.2]
    with Renderer(model, 84, 84, backend=backend) as renderer:
        before = renderer.render(model, data, "overhead")
        after = renderer.render(changed, data, "overhead").astype(int)
        again = renderer.render(model, data, "overhead")
    assert np.array_equal(before, again)
    assert ((after[..., 2] > 90) & (after[..., 0] < 60)).sum() > 10  # the cube is blue
    corner = after[60:, :20].reshape(-1, 3).mean(axis=0)
    assert corner[1] > 1.5 * corner[0]  # the table is green
    assert after.mean() < before.mean()


def test_a_moved_camera_sees_another_picture(scene: Scene, backend: str) -> None:
    model, data = scene
    moved, there = model.__copy__(), mujoco.MjData(model)
    moved.cam_pos[moved.camera("overhead").id, 1] += 0.1
    there.qpos[:], there.mocap_pos[:] = data.qpos, data.mocap_pos
    mujoco.mj_forward(moved, there)
    difference = draw((moved, there), "overhead", backend).astype(int) - draw(
        scene, "overhead", backend
    )
    assert np.abs(difference).mean() > 2


def test_shadows_darken_and_light_elsewhere_stays(scene: Scene, backend: str) -> None:
    plain = draw(scene, "view", backend).astype(int)
    shadowed = draw(scene, "view", backend, shadows=True).astype(int)
    darker = (plain - shadowed).sum(axis=2) > 60
    assert 100 < darker.sum() < 3000
    assert np.median(np.abs(plain - shadowed)) <= 2


def test_antialiasing_smooths_edges_and_keeps_the_picture(scene: Scene, backend: str) -> None:
    plain = draw(scene, "view", backend)
    smooth = draw(scene, "view", backend, antialias=3)
    small = draw(scene, "view", backend, size=252).astype(float)
    reference = small.reshape(84, 3, 84, 3, 3).mean(axis=(1, 3))
    assert np.abs(smooth - reference).mean() < 0.5 * np.abs(plain - reference).mean()


def test_a_changed_texture_is_drawn_once_it_is_uploaded(scene: Scene, backend: str) -> None:
    model, data = scene
    dark = model.__copy__()
    texture = dark.texture("table").id
    start = int(dark.tex_adr[texture])
    size = int(dark.tex_height[texture] * dark.tex_width[texture] * dark.tex_nchannel[texture])
    dark.tex_data[start : start + size] = 20
    with Renderer(model, 84, 84, backend=backend) as renderer:
        bright = renderer.render(dark, data, "overhead")
        renderer.upload_texture(dark, "table")
        assert renderer.render(dark, data, "overhead").mean() < 0.6 * bright.mean()


def test_two_sizes_can_be_drawn_in_turn(scene: Scene, backend: str) -> None:
    small = Renderer(scene[0], 48, 32, backend=backend)
    large = Renderer(scene[0], 300, 200, backend=backend, shadows=True)
    first = small.render(*scene, "view")
    assert large.render(*scene, "view").shape == (200, 300, 3)
    assert np.array_equal(small.render(*scene, "view"), first)
    assert small.render(*scene, scene[0].camera("view").id).shape == (32, 48, 3)
    large.close()
    assert np.array_equal(small.render(*scene, "view"), first)


def test_wrong_use_is_refused(scene: Scene, backend: str) -> None:
    with pytest.raises(ValueError, match=r"1\.\.4096 px, got 0x84"):
        Renderer(scene[0], 0, 84, backend=backend)
    with pytest.raises(ValueError, match="antialias must be"):
        Renderer(scene[0], 84, 84, backend=backend, antialias=9)
    renderer = Renderer(scene[0], 16, 16, backend=backend)
    with pytest.raises(KeyError, match="side"):
        renderer.render(*scene, "side")
    with pytest.raises(ValueError, match="camera must be"):
        renderer.render(*scene, 99)
    renderer.close()
    renderer.close()
    with pytest.raises(ValueError, match="must be open"):
        renderer.render(*scene, "view")


@pytest.mark.gl
@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("shadows", [False, True])
def test_the_ray_caster_agrees_with_opengl(scene: Scene, camera: str, shadows: bool) -> None:
    found = first_gl()
    if found is None:
        pytest.skip(f"no OpenGL works here: {gl.probe('egl')}")
    images = [draw(scene, camera, name, 128, shadows=shadows) for name in (found, "ray")]
    difference = np.abs(images[0].astype(int) - images[1])
    assert difference.mean() < 3.0
    assert np.median(difference) <= 1


def test_many_rays_at_once_hit_what_single_rays_hit(scene: Scene) -> None:
    model, data = scene[0], mujoco.MjData(scene[0])
    wide = widen_bounds(model)
    rng = np.random.default_rng(3)
    geom, distance, one = np.empty(400, np.int32), np.empty(400), np.empty(1, np.int32)
    for _ in range(10):
        data.qpos[:6] = rng.uniform(model.jnt_range[:6, 0], model.jnt_range[:6, 1])
        mujoco.mj_forward(model, data)
        origin = np.array([1.0, rng.uniform(-0.7, 0.7), rng.uniform(0.3, 0.8)])
        rays = data.geom_xpos[rng.integers(model.ngeom, size=400)] - origin
        rays += rng.normal(scale=0.02, size=rays.shape)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        mujoco.mj_multiRay(
            wide, data, origin, rays.ravel(), VISIBLE, True, -1, geom, distance, None, 400, 1e6
        )
        for k in range(400):
            single = mujoco.mj_ray(model, data, origin, rays[k], VISIBLE, True, -1, one)
            assert (geom[k], distance[k]) == (one[0], pytest.approx(single))


def test_samples_lie_within_the_pixel_and_the_light() -> None:
    assert len(samples(0)) == len(samples(1)) == 1
    passes = samples(4)
    assert len(passes) == 16
    assert np.abs([(s.x, s.y) for s in passes]).max() < 0.5
    assert np.hypot(*np.array([(s.light_x, s.light_y) for s in passes]).T).max() < LIGHT_RADIUS
    assert np.mean([(s.x, s.y) for s in passes], axis=0) == pytest.approx([0, 0])
    direction = np.array([0.0, 0.6, -0.8])
    for sample in passes:
        assert np.linalg.norm(sample.tilt(direction)) == pytest.approx(1.0)
        assert sample.tilt(direction) @ direction > np.cos(LIGHT_RADIUS)
