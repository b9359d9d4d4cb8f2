"""What tests of cameras share: scenes to look at, and emulated cameras on a clock of their own."""

import importlib.util
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from envs.arm import Array
from envs.gl import choose_backend
from real.camera_rig import CameraSource
from real.cameras import CameraError, CameraState, Frame
from real.emulators.camera_faults import CameraFaults
from real.emulators.realsense import EmulatedCamera, RealSenseEmulator
from real.realsense import RealSenseCamera, RealSenseConfig

CAMERAS = (EmulatedCamera("overhead", "D435", "135"), EmulatedCamera("wrist", "D405", "105"))

needs_realsense = pytest.mark.skipif(
    importlib.util.find_spec("pyrealsense2") is None,
    reason="pyrealsense2 is not installed: pip install 'armtrials[cameras]'",
)
needs_opencv = pytest.mark.skipif(
    importlib.util.find_spec("cv2") is None,
    reason="OpenCV is not installed: pip install 'armtrials[cameras]'",
)

needs_gl = pytest.mark.skipif(
    choose_backend() == "ray",
    reason="no OpenGL: edges of the ray caster's pictures are too rough to measure by",
)


def render(camera: str, t: float) -> tuple[Array, Array]:
    """A red square (overhead) or a blue one (wrist) on grey; .5 m away, the square .4 m."""
    rgb = np.full((480, 640, 3), 120, np.uint8)
    rgb[100:200, 100:200] = (255, 0, 0) if camera == "overhead" else (0, 0, 255)
    depth = np.full((480, 640), 0.5)
    depth[100:200, 100:200] = 0.4
    return rgb, depth


def sources(
    faults: CameraFaults | None = None, config: RealSenseConfig | None = None
) -> list[CameraSource]:
    """Emulated cameras for a rig."""
    emulator = RealSenseEmulator(CAMERAS, render, faults)
    config = config or RealSenseConfig()
    return [
        CameraSource(name, partial(emulator.open, name, config), config.mode, config.depth)
        for name in emulator.cameras
    ]


class Stepped:
    """One emulated camera whose time passes only in ``frames``."""

    def __init__(self, model: str = "D435", config: RealSenseConfig | None = None) -> None:
        self.now = 50.0
        self.emulator = RealSenseEmulator([EmulatedCamera("overhead", model, "7")], render)
        device = self.emulator.device("overhead")
        self.camera = RealSenseCamera("overhead", config, device, lambda: self.now)
        self.camera.start()

    def step(self) -> None:
        """Let one period pass."""
        self.emulator.tick(self.now)
        self.now += 1 / self.camera.config.mode.fps

    def frames(self, periods: int, patience: float = 0.02) -> Iterator[Frame]:
        """Let so many periods pass; yield the pictures that come."""
        for _ in range(periods):
            self.step()
            try:
                yield self.camera.wait(patience)
            except CameraError as error:
                if error.state != CameraState.STALLED:
                    raise
