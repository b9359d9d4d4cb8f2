"""RealSense cameras that are not there: D405 and D435 through librealsense's software device.

Pictures come from a function, such as a renderer of a simulation. Everything from the library's
sensors on is as with a camera: profiles, options, intrinsics, metadata, the queue, the driver.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from envs.arm import Array
from real.cameras import Mode
from real.emulators.camera_faults import CameraFaults
from real.emulators.realsense_device import EmulatedDevice, Picture, scaled
from real.emulators.realsense_models import MODELS
from real.realsense import RealSenseCamera, RealSenseConfig

Render = Callable[[str, float], tuple[Array, Array | None]]
"""What a camera sees: (name, monotonic time [s]) -> (h, w, 3) uint8 RGB, depth (h, w) [m] or None.

It is always called from one thread, in which it may keep an OpenGL context.
"""

_log = logging.getLogger(__name__)
_starting = threading.Lock()
_NOISE = 3_000_000
"""So many values of noise are drawn; a picture takes a stretch that begins anywhere."""


@runtime_checkable
class Closing(Protocol):
    """What draws and has something to release; called in the thread in which it drew."""

    def close(self) -> None:
        """Release it."""


@dataclass(frozen=True)
class EmulatedCamera:
    """A camera to emulate.

    Attributes:
        name: what it is called.
        model: ``D435`` or ``D405``.
        serial: its serial number.
        fovy: angle from the top to the bottom of its pictures [deg] where it shall not be the
            model's, such as that of the simulated camera it stands for.
        noise: standard deviation of a pixel's noise [of 255]. At 0 a scene that rests gives the
            same bytes again and again, which no camera does: it counts as frozen.
    """

    name: str
    model: str = "D435"
    serial: str = "000000000001"
    fovy: float | None = None
    noise: float = 1.5


@dataclass
class _Running:
    """What an emulated camera remembers."""

    camera: EmulatedCamera
    device: EmulatedDevice
    noise: Array | None
    origin: float | None = None
    tick: int = -1
    number: int = 0
    last: Picture | None = None
    due: deque[tuple[float, Picture]] = field(default_factory=deque)


class RealSenseEmulator:
    """Emulated cameras that share one function that draws; use ``open`` to get their drivers.

    Until then nothing runs, and the emulator can be handed to a process that is being started.

    Attributes:
        cameras: what is emulated, by name.
        faults: what is wrong; inject it while the cameras run.
    """

    def __init__(
        self,
        cameras: Sequence[EmulatedCamera],
        render: Render,
        faults: CameraFaults | None = None,
        seed: int = 0,
    ) -> None:
        """Prepare to emulate.

        Args:
            cameras: what to emulate.
            render: what they see.
            faults: what is wrong, for the same cameras.
            seed: of noise and of faults that are rates.
        """
        self.cameras = {camera.name: camera for camera in cameras}
        if len(self.cameras) != len(cameras):
            raise ValueError(f"names of cameras must differ, got {[c.name for c in cameras]}")
        for camera in cameras:
            MODELS[camera.model]
        self.faults = faults or CameraFaults([*self.cameras])
        self._render, self._seed = render, seed
        self._running: dict[str, _Running] = {}
        self._rng = np.random.default_rng(seed)
        self._thread: threading.Thread | None = None
        self._ended = False

    def device(self, name: str) -> EmulatedDevice:
        """Return librealsense's software device of a camera, for any software that takes one.

        Raises:
            UsageError: pyrealsense2 is missing.
        """
        if name not in self._running:
            camera = self.cameras[name]
            device = EmulatedDevice(MODELS[camera.model], camera.serial, camera.fovy)
            noise = None
            if camera.noise > 0:
                drawn = self._rng.normal(0.0, camera.noise, _NOISE)
                noise = drawn.round().astype(np.int16)
            self._running[name] = _Running(camera, device, noise)
        return self._running[name].device

    def open(self, name: str, config: RealSenseConfig | None = None) -> RealSenseCamera:
        """Return the driver of an emulated camera; pictures are taken from now on."""
        camera = RealSenseCamera(name, config, self.device(name))
        self.start()
        return camera

    def start(self) -> None:
        """Let time pass by itself, in a thread; without it ``tick`` does."""
        with _starting:  # cameras are opened in threads of their own
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="cameras", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended = True
        if self._thread is not None:
            self._thread.join(10)

    def _run(self) -> None:
        try:
            while not self._ended:
                wake = self.tick(time.monotonic())
                time.sleep(max(wake - time.monotonic(), 0.0005))
        except Exception:
            _log.exception("the emulated cameras stop: their pictures could not be drawn")
            for running in [*self._running.values()]:
                running.device.connected = False
        finally:
            if isinstance(self._render, Closing):
                self._render.close()

    def tick(self, now: float) -> float:
        """Take the pictures that are due at ``now`` [s]; return when the next ones are."""
        wake = now + 0.05
        for running in [*self._running.values()]:
            running.device.connected = not self.faults.value("unplug", running.camera.name)
            mode = running.device.mode
            if mode is None or not running.device.connected:
                running.origin, running.last = None, None
                running.due.clear()
                continue
            wake = min(wake, self._advance(running, mode, now))
            while running.due and running.due[0][0] <= now:
                running.device.push(running.due.popleft()[1])
            wake = min([wake, *(due for due, _ in running.due)])
        return wake

    def _advance(self, running: _Running, mode: Mode, now: float) -> float:
        """Take one picture if it is time; a slow renderer loses pictures, it does not delay them.

        Returns:
            When the next one is due [s].
        """
        if running.origin is None:
            running.origin, running.tick = now, -1
        tick = int((now - running.origin) * mode.fps + 1e-6)
        if tick > running.tick:
            name = running.camera.name
            stalled = self.faults.value("stall", name) > 0
            running.number += 0 if stalled else tick - running.tick
            running.tick = tick
            if not stalled:
                self._take(running, mode, now)
        return running.origin + (running.tick + 1) / mode.fps

    def _take(self, running: _Running, mode: Mode, now: float) -> None:
        """Draw a picture, with what is wrong with it, and let it come when it is due."""
        name = running.camera.name
        fault = self.faults.value
        lost, again = (self._rng.random() < fault(kind, name) for kind in ("drop", "duplicate"))
        due = now + fault("delay", name)
        if again and running.last is not None:
            running.due.append((due, running.last))
        if lost or (again and running.last is not None):
            return
        stamp = now - (running.origin or 0.0)
        if fault("freeze", name) and running.last is not None:
            old = running.last
            picture = Picture(old.rgb, old.depth_m, old.mode, running.number, stamp)
        else:
            rgb, depth = self._render(name, now)
            wrong = fault("size", name) > 0
            size = running.device.other(mode) if wrong else mode
            rgb, depth = scaled(rgb, size), None if depth is None else scaled(depth, size)
            picture = Picture(self._noisy(running, rgb), depth, size, running.number, stamp)
        running.last = picture
        running.due.append((due, picture))

    def _noisy(self, running: _Running, rgb: Array) -> Array:
        """Add the noise of a sensor."""
        if running.noise is None:
            return rgb
        first = int(self._rng.integers(_NOISE))
        stretch = (
            np.resize(running.noise[first:], rgb.size)
            if first + rgb.size > _NOISE
            else (running.noise[first : first + rgb.size])
        )
        noisy: Array = rgb + stretch.reshape(rgb.shape)
        return np.asarray(noisy.clip(0, 255), np.uint8)
