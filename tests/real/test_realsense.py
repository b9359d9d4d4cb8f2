"""The RealSense driver against librealsense's own software device."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from envs.errors import UsageError
from real.cameras import CameraError, CameraState, Mode
from real.emulators.realsense import EmulatedCamera, RealSenseEmulator
from real.emulators.realsense_models import MODELS
from real.realsense import RealSenseCamera, RealSenseConfig, find
from tests.real.camera_bench import Stepped, needs_realsense, render
from tests.test_layout import ROOT

pytestmark = needs_realsense
DEEP = RealSenseConfig(depth=True)


@pytest.mark.parametrize("model", [*MODELS])
def test_pictures_come_as_they_were_drawn_with_number_and_time(model: str) -> None:
    bench = Stepped(model, DEEP)
    frames = [*bench.frames(5, 5.0)]
    assert [frame.number for frame in frames] == [1, 2, 3, 4, 5]
    assert np.allclose(np.diff([frame.hardware_s for frame in frames]), 1 / 30, atol=1e-6)
    assert all(frame.image.dtype == np.uint8 for frame in frames)
    drawn, depth = render("overhead", 0.0)
    assert np.abs(frames[-1].image.astype(int) - drawn).mean() < 2  # noise alone
    assert np.abs(frames[-1].image.astype(int) - frames[-2].image).any()
    for frame in frames:
        assert frame.depth is not None
        assert np.abs(frame.depth * bench.camera.depth_scale - depth).max() < 1e-3
        assert frame.metadata["frame_counter"] == frame.number
        assert frame.metadata["actual_exposure"] > 0


def test_a_d405_takes_colour_and_depth_from_its_one_sensor_with_a_scale_of_its_own() -> None:
    d405, d435 = Stepped("D405", DEEP), Stepped("D435", DEEP)
    assert d405.camera.intrinsics == d405.camera.depth_intrinsics
    assert d435.camera.intrinsics != d435.camera.depth_intrinsics
    assert d405.camera.depth_scale == pytest.approx(1e-4)
    assert d435.camera.depth_scale == pytest.approx(1e-3)


@pytest.mark.parametrize(("model", "unit"), [("D405", 1e-6), ("D435", 1e-4)])
def test_exposure_is_fixed_in_the_units_of_the_sensor(model: str, unit: float) -> None:
    camera = Stepped(model, RealSenseConfig(exposure_s=0.01)).camera
    assert camera.fixed["enable_auto_exposure"] == 0
    assert camera.fixed["exposure"] == pytest.approx(0.01 / unit)
    assert ("white_balance" in camera.fixed) == (model == "D435")


def test_an_exposure_longer_than_a_period_or_a_gain_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"exposure_s must be 0\.\.0\.0333 s, got 0\.05"):
        RealSenseConfig(exposure_s=0.05)
    with pytest.raises(CameraError, match=r"overhead \(D435 7\): gain must be 0\.\.128, got 500"):
        Stepped("D435", RealSenseConfig(gain=500.0))


def test_a_mode_that_the_camera_has_not_is_refused_with_those_it_has() -> None:
    with pytest.raises(CameraError, match="no color of 640x480 at 90; known: 424x240 at 15"):
        Stepped("D435", RealSenseConfig(Mode(640, 480, 90)))


def test_a_camera_on_usb_2_is_told_to_go_to_usb_3() -> None:
    bench = Stepped()
    rs = bench.camera._rs
    device = bench.emulator.device("overhead")
    device.update_info(rs.camera_info.usb_type_descriptor, "2.1")
    slow = RealSenseCamera("overhead", RealSenseConfig(Mode(1280, 720, 60)), device)
    with pytest.raises(CameraError, match=r"it is on USB 2\.1: use a USB 3 port and cable"):
        slow.start()


def test_depth_of_another_moment_is_not_taken_for_this_ones() -> None:
    bench = Stepped("D435", DEEP)
    device = bench.emulator.device("overhead")
    push, held = device.push, []

    def colour_only(picture: object) -> None:
        held.append(picture)
        push(replace(picture, depth_m=None))

    device.push = colour_only
    assert [frame.depth for frame in bench.frames(2, 5.0)] == [None, None]
    device.push = push
    assert all(frame.depth is not None for frame in bench.frames(2, 5.0))
    assert len(held) == 2


def test_a_stall_and_a_pulled_cable_are_told_apart_and_the_camera_starts_anew() -> None:
    bench = Stepped()
    bench.emulator.faults.inject("stall")
    bench.step()
    with pytest.raises(CameraError, match=r"no picture for 0\.1 s; try another USB port") as caught:
        bench.camera.wait(0.1)
    assert caught.value.state == CameraState.STALLED
    bench.emulator.faults.inject("unplug")
    bench.step()
    with pytest.raises(CameraError, match=r"overhead \(D435 7\) is unplugged") as caught:
        bench.camera.wait(5.0)
    assert caught.value.state == CameraState.UNPLUGGED
    bench.camera.close()
    bench.camera.close()
    with pytest.raises(CameraError, match="was it started"):
        bench.camera.wait(0.1)
    bench.emulator.faults.clear()
    bench.camera.start()
    assert len([*bench.frames(3, 5.0)]) == 3


def test_pictures_of_another_size_are_refused() -> None:
    bench = Stepped()
    bench.emulator.faults.inject("size")
    with pytest.raises(CameraError, match="424x240 px instead of 640x480") as caught:
        [*bench.frames(1, 5.0)]
    assert caught.value.state == CameraState.WRONG_SIZE


def test_a_renderer_of_another_size_is_scaled_to_the_mode() -> None:
    config = RealSenseConfig(Mode(424, 240, 15), depth=True)
    (frame,) = Stepped("D435", config).frames(1, 5.0)
    assert frame.image.shape == (240, 424, 3)
    assert frame.depth is not None
    assert frame.depth.shape == (240, 424)


def test_a_field_of_view_can_replace_the_models() -> None:
    emulator = RealSenseEmulator([EmulatedCamera("overhead", fovy=36.0)], render)
    camera = RealSenseCamera("overhead", device=emulator.device("overhead"))
    camera.start()
    assert camera.intrinsics.fovy == pytest.approx(36.0, abs=1e-4)
    camera.close()


def test_without_a_camera_the_error_says_what_is_plugged_in() -> None:
    with pytest.raises(CameraError, match="RealSense camera no-such-serial expected, plugged in:"):
        find("no-such-serial")


def test_an_unknown_model_lists_the_known() -> None:
    with pytest.raises(UsageError, match="unknown RealSense camera 'D999'; known: D405, D435"):
        RealSenseEmulator([EmulatedCamera("overhead", "D999")], render)


def test_a_fault_that_is_none_lists_the_known() -> None:
    faults = RealSenseEmulator([EmulatedCamera("overhead")], render).faults
    for text, told in {
        "fire": "unknown fault 'fire'; write name",
        "drop=2": "the value must be 0..1",
        "drop=x": "unknown fault 'drop=x'",
        "drop=1e": "'1e' is no number",
        "drop@top": "unknown camera 'top'; known: overhead",
    }.items():
        with pytest.raises(UsageError, match=told):
            faults.inject(text)


def test_without_the_library_everything_imports_and_says_how_to_install_it() -> None:
    program = """
import sys
for name in ("pyrealsense2", "cv2"):
    sys.modules[name] = None
from envs.errors import UsageError
from real.camera_opencv import OpenCVCamera
from real.realsense import RealSenseCamera
import real.camera_rig, real.emulators.realsense
for make in (RealSenseCamera, OpenCVCamera):
    try:
        make("overhead")
    except UsageError as error:
        print("pip install 'armtrials[cameras]'" in str(error))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_the_example_in_the_document_runs(capsys: pytest.CaptureFixture[str]) -> None:
    document = (ROOT / "docs" / "cameras.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    exec(compile(example, "cameras.md", "exec"), {})
    assert "(480, 640, 3) 0.5" in capsys.readouterr().out
