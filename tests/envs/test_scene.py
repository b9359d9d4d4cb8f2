"""The tabletop: what stands on it, what the sensors say, what can be grasped."""

from collections.abc import Callable

import mujoco
import numpy as np
import pytest

from envs.robots import ROBOTS
from envs.scene import DISTRACTORS, RED, TABLE_HALF, add_block, add_zone, build_scene

# Poses of the ViperX with the gripper pointing down at x = .35: above the cube and around it.
ABOVE = (0.0, 0.011, 0.282, 0.0, 1.278, 0.0)
AROUND = (0.0, 0.157, 0.463, 0.0, 0.951, 0.0)
OPEN, CLOSED = 0.037, 0.014


class Scene:
    """A ViperX, a 4 cm cube and a zone."""

    def __init__(self, distractors: int = 0, mass: float = 0.05) -> None:
        def props(spec: mujoco.MjSpec) -> None:
            add_block(spec, "cube", (0.02, 0.02, 0.02), mass=mass)
            add_zone(spec, "target", 0.05)

        self.model = build_scene(ROBOTS["viperx"], props, distractors).compile()
        self.data = mujoco.MjData(self.model)
        self.pose(ABOVE, OPEN)
        self.put("cube", (0.35, 0.0, 0.02))
        self.step(0.1)

    def pose(self, joints: tuple[float, ...], gripper: float) -> None:
        self.data.qpos[:6], self.data.qpos[6:8] = joints, gripper
        self.data.ctrl[:] = [*joints, gripper]

    def put(self, body: str, position: tuple[float, float, float]) -> None:
        at = int(self.model.joint(body).qposadr[0])
        self.data.qpos[at : at + 7] = [*position, 1, 0, 0, 0]

    def step(self, seconds: float, control: Callable[[float], None] | None = None) -> None:
        start = self.data.time
        while self.data.time < start + seconds - 1e-9:
            if control is not None:
                control(self.data.time - start)
            mujoco.mj_step(self.model, self.data, 10)

    def read(self, name: str) -> np.ndarray:
        return self.data.sensor(name).data.copy()

    def grasp(self) -> None:
        """Close around the cube and lift it."""
        self.pose(AROUND, OPEN)
        self.step(0.2)
        self.data.ctrl[6] = CLOSED
        self.step(0.5)
        low, high = np.array(AROUND), np.array(ABOVE)

        def lift(t: float) -> None:
            self.data.ctrl[:6] = low + min(t, 1.0) * (high - low)

        self.step(1.5, lift)

    def cube_in_hand(self) -> np.ndarray:
        """Return the cube's position in the frame of the tcp, m."""
        site = self.data.site("tcp")
        return site.xmat.reshape(3, 3).T @ (self.data.body("cube").xpos - site.xpos)


def test_physics_runs_at_500_hz_with_the_settings_that_grasp() -> None:
    option = Scene().model.opt
    assert option.timestep == pytest.approx(0.002)
    assert int(option.integrator) == int(mujoco.mjtIntegrator.mjINT_IMPLICITFAST)
    assert int(option.cone) == int(mujoco.mjtCone.mjCONE_ELLIPTIC)
    assert int(option.jacobian) == int(mujoco.mjtJacobian.mjJAC_DENSE)
    assert option.impratio == pytest.approx(10)


def test_the_same_scene_compiles_to_the_same_bytes() -> None:
    first, second = (Scene(distractors=2).model for _ in range(2))
    sizes = [mujoco.mj_sizeModel(model) for model in (first, second)]
    assert sizes[0] == sizes[1]
    for field in ("geom_pos", "geom_size", "body_mass", "tex_data", "sensor_adr", "geom_rgba"):
        assert np.array_equal(getattr(first, field), getattr(second, field))


def test_a_cube_on_the_table_rests_and_nothing_touches_it() -> None:
    scene = Scene()
    scene.step(1.0)
    assert scene.read("cube_pos") == pytest.approx([0.35, 0.0, 0.02], abs=1e-3)
    assert np.abs(scene.read("cube_vel")).max() < 1e-3
    for name in ("left_cube", "right_cube", "arm_cube"):
        assert scene.read(name)[0] == 0
    assert scene.read("arm_table") == pytest.approx([0, 0, 0])


def test_the_sensors_give_what_they_are_named_after() -> None:
    scene = Scene()
    mujoco.mj_forward(scene.model, scene.data)
    assert scene.read("tcp_pos") == pytest.approx(scene.data.site("tcp").xpos)
    assert scene.read("cube_quat") == pytest.approx(scene.data.body("cube").xquat)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, scene.data.site("tcp").xmat)
    assert abs(scene.read("tcp_quat") @ quat) == pytest.approx(1.0)


def test_a_grasped_cube_touches_both_fingers_and_follows_the_arm() -> None:
    scene = Scene()
    scene.grasp()
    assert scene.read("left_cube")[0] > 0
    assert scene.read("right_cube")[0] > 0
    assert scene.read("arm_cube")[0] >= 2
    assert scene.read("cube_pos")[2] > 0.1
    assert scene.read("cube_pos") == pytest.approx(scene.read("tcp_pos"), abs=0.01)


@pytest.mark.parametrize("mass", [0.05, 0.2])
def test_a_held_cube_slips_less_than_a_millimetre_in_four_seconds(mass: float) -> None:
    scene = Scene(mass=mass)
    scene.grasp()
    before = scene.cube_in_hand()
    scene.step(4.0)
    assert np.linalg.norm(scene.cube_in_hand() - before) < 1e-3


def test_a_waved_cube_slips_less_than_a_millimetre() -> None:
    scene = Scene()
    scene.grasp()
    before = scene.cube_in_hand()

    def wave(t: float) -> None:
        swing = np.sin(2 * np.pi * 0.25 * t)
        scene.data.ctrl[:6] = np.array(ABOVE) + swing * np.array([0.3, 0.15, 0, 0, 0, 0.4])

    scene.step(4.0, wave)
    assert np.linalg.norm(scene.cube_in_hand() - before) < 1e-3
    assert scene.read("left_cube")[0] > 0


def test_a_released_cube_is_no_longer_touched() -> None:
    scene = Scene()
    scene.grasp()
    scene.data.ctrl[6] = OPEN
    scene.step(1.0)
    assert scene.read("arm_cube")[0] == 0
    assert scene.read("cube_pos")[2] < 0.03


def test_pressing_on_the_table_is_felt_as_a_force() -> None:
    scene = Scene()
    scene.put("cube", (0.2, 0.3, 0.02))
    scene.pose(AROUND, OPEN)
    scene.data.ctrl[1] += 0.15
    scene.step(1.0)
    assert np.abs(scene.read("arm_table")[2]) > 5.0


def test_a_zone_is_moved_without_compiling_and_touches_nothing() -> None:
    scene = Scene()
    scene.data.mocap_pos[0] = [0.35, 0.0, 0.0]  # right under the cube
    scene.step(0.5)
    assert scene.read("target_pos") == pytest.approx([0.35, 0.0, 0.0])
    assert scene.read("cube_pos")[2] == pytest.approx(0.02, abs=1e-3)


def test_what_falls_off_the_table_comes_to_rest_on_the_floor() -> None:
    scene = Scene()
    scene.put("cube", (0.3, TABLE_HALF[1] + 0.1, 0.1))
    scene.step(2.0)
    assert scene.read("cube_pos")[2] == pytest.approx(-0.73, abs=5e-3)
    assert np.abs(scene.read("cube_vel")).max() < 0.01


def test_distractors_are_all_different_and_the_fifth_is_red_as_the_cube() -> None:
    looks = {(int(kind), size, rgba) for kind, size, rgba in DISTRACTORS}
    assert len(looks) == len(DISTRACTORS)
    assert DISTRACTORS[4][2] == RED
    scene = Scene(distractors=5)
    scene.step(0.5)
    for index in range(5):
        position = scene.data.body(f"distractor{index}").xpos
        assert position[2] < -0.6  # on the floor, out of the way


def test_too_many_distractors_are_refused() -> None:
    with pytest.raises(ValueError, match=f"at most {len(DISTRACTORS)}, got"):
        build_scene(ROBOTS["viperx"], None, len(DISTRACTORS) + 1)


def test_the_overhead_camera_sees_the_whole_workspace() -> None:
    scene = Scene()
    mujoco.mj_forward(scene.model, scene.data)
    camera = scene.model.camera("overhead").id
    edge = np.tan(np.radians(scene.model.cam_fovy[camera]) / 2)
    for x in (0.2, 0.48):
        for y in (-0.26, 0.26):
            ray = np.array([x, y, 0.0]) - scene.data.cam_xpos[camera]
            local = scene.data.cam_xmat[camera].reshape(3, 3).T @ ray
            assert np.abs(local[:2] / local[2]).max() < edge
