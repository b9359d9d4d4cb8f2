"""RealSense cameras, D405 and D435, on the sensor level of librealsense.

The pipeline of the library delivers an old picture again when one is lost; the sensors do not. A
D435 has a colour sensor of its own, a D405 takes its colour from the stereo module. Exposure is
fixed: a picture must look the same from day to day, and automatic exposure lowers the frame rate.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from envs.arm import Array
from envs.errors import UsageError
from real.camera_libraries import realsense
from real.cameras import CameraError, CameraState, Frame, Mode
from real.pinhole import Intrinsics

SLICE_S = 0.1
"""How often it is looked whether the camera is still there while no picture comes."""

Handle = Any
"""An object of librealsense: device, sensor, profile, frame or kind of stream."""

QUEUE, QUEUE_OF_PAIRS = 1, 4
"""Pictures that wait at most: the newest, or with depth a pair or two."""

TOLD = ("frame_counter", "sensor_timestamp", "actual_exposure", "gain_level", "white_balance")
"""What is kept of the camera's metadata, by the library's names and in its units."""

EXPOSURE_UNIT = {"Stereo Module": 1e-6, "RGB Camera": 1e-4}
"""Unit of the option ``exposure`` [s], by sensor."""


@dataclass(frozen=True)
class RealSenseConfig:
    """What a camera is asked for.

    Attributes:
        mode: size and rate, of colour and depth alike.
        depth: whether depth comes with every picture.
        exposure_s: exposure time [s].
        gain: of the sensor; None for what it has from the factory.
        white_balance: colour of the light [K], where the sensor can be told.
    """

    mode: Mode = field(default_factory=Mode)
    depth: bool = False
    exposure_s: float = 0.008
    gain: float | None = None
    white_balance: float = 4600.0

    def __post_init__(self) -> None:
        """Refuse an exposure that a frame has no time for.

        Raises:
            UsageError: it is not within 0..1/fps.
        """
        if not 0 < self.exposure_s <= 1 / self.mode.fps:
            most = 1 / self.mode.fps
            raise UsageError(f"exposure_s must be 0..{most:.4f} s, got {self.exposure_s}")


class RealSenseCamera:
    """A D405 or D435.

    Attributes:
        name: what it is called in observations.
        config: what was asked for.
        label: name, model and serial number, for messages.
        fixed: the options that were set, with their values, by sensor and name.
    """

    def __init__(
        self,
        name: str,
        config: RealSenseConfig | None = None,
        device: Handle = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to use a camera.

        Args:
            name: what it is called in observations.
            config: what is asked of it.
            device: the library's object for it, from ``find``, or an emulated one; without it the
                only camera that is plugged in.
            clock: what frames are stamped with [s].

        Raises:
            UsageError: pyrealsense2 is missing.
            CameraError: no device was given and not exactly one is plugged in.
        """
        self._rs: ModuleType = realsense()
        self._device = find() if device is None else device
        self.name, self.config = name, config or RealSenseConfig()
        self._clock = clock
        self.label = f"{name} ({_label(self._rs, self._device)})"
        self.fixed: dict[str, float] = {}
        depth = self.config.depth
        self._queue = self._rs.frame_queue(QUEUE_OF_PAIRS if depth else QUEUE)
        self._newest: dict[Handle, Handle] = {}
        self._profiles: dict[Handle, Handle] = {}
        self._running: list[Handle] = []

    def start(self) -> None:
        """Set exposure, gain and white balance, and begin to take pictures.

        Raises:
            CameraError: a mode that it does not have, or it does not start.
        """
        streams = self._rs.stream
        kinds = [streams.color, *([streams.depth] if self.config.depth else [])]
        try:
            for sensor in self._device.query_sensors():
                has = {profile.stream_type() for profile in sensor.get_stream_profiles()}
                self._begin(sensor, [kind for kind in kinds if kind in has])
        except RuntimeError as error:
            self.close()
            if isinstance(error, CameraError):
                raise
            raise CameraError(
                f"{self.label} does not start: {error}; close other programs that use it, or "
                "unplug it and plug it in"
            ) from error
        for kind in kinds:
            self._profile(kind)

    def _begin(self, sensor: Handle, kinds: list[Handle]) -> None:
        """Start ``sensor`` with those of its streams that are wanted."""
        if not kinds:
            return
        chosen = [self._choose(sensor, kind) for kind in kinds]
        if self._rs.stream.color in kinds:
            self._fix(sensor)
        sensor.open(chosen)
        self._running.append(sensor)
        sensor.start(self._queue)
        self._profiles.update(zip(kinds, chosen, strict=True))

    def _choose(self, sensor: Handle, kind: Handle) -> Handle:
        """Return the profile of one stream that has the mode asked for."""
        rs, mode = self._rs, self.config.mode
        wanted = rs.format.z16 if kind == rs.stream.depth else rs.format.rgb8
        known = set()
        for profile in sensor.get_stream_profiles():
            if profile.stream_type() != kind or profile.format() != wanted:
                continue
            video = profile.as_video_stream_profile()
            found = Mode(video.width(), video.height(), profile.fps())
            if found == mode:
                return profile
            known.add((found.width, found.height, found.fps))
        listed = ", ".join(str(Mode(*item)) for item in sorted(known))
        usb = _info(rs, self._device, rs.camera_info.usb_type_descriptor)
        slow = f" (it is on USB {usb}: use a USB 3 port and cable)" if usb.startswith("2") else ""
        raise CameraError(
            f"{self.label} has no {str(kind).rpartition('.')[2]} of {mode}{slow}; known: {listed}",
            CameraState.WRONG_SIZE,
        )

    def _fix(self, sensor: Handle) -> None:
        """Set what must not change by itself, as far as the sensor can be told."""
        option, config = self._rs.option, self.config
        kind = _info(self._rs, sensor, self._rs.camera_info.name)
        self._set(sensor, "enable_auto_exposure", 0.0)
        self._set(sensor, "auto_exposure_priority", 0.0)
        self._set(sensor, "exposure", config.exposure_s / EXPOSURE_UNIT.get(kind, 1e-4))
        gain = config.gain
        if gain is None and sensor.supports(option.gain):
            gain = sensor.get_option_range(option.gain).default
        self._set(sensor, "gain", gain)
        self._set(sensor, "enable_auto_white_balance", 0.0)
        self._set(sensor, "white_balance", config.white_balance)

    def _set(self, sensor: Handle, name: str, value: float | None) -> None:
        """Set an option where the sensor has it; refuse a value outside its range."""
        option = getattr(self._rs.option, name)
        if value is None or not sensor.supports(option):
            return
        span = sensor.get_option_range(option)
        if not span.min <= value <= span.max:
            raise CameraError(
                f"{self.label}: {name} must be {span.min:g}..{span.max:g}, got {value:g}"
            )
        sensor.set_option(option, value)
        self.fixed[name] = sensor.get_option(option)

    @property
    def intrinsics(self) -> Intrinsics:
        """Those of the colour pictures, as calibrated by the maker; after ``start``."""
        return _intrinsics(self._profile(self._rs.stream.color))

    @property
    def depth_intrinsics(self) -> Intrinsics:
        """Those of the depth pictures; after ``start`` with ``depth``."""
        return _intrinsics(self._profile(self._rs.stream.depth))

    @property
    def depth_scale(self) -> float:
        """Length of one unit of depth [m]: each model has its own, and it can be changed.

        Raises:
            CameraError: the camera has no depth.
        """
        for sensor in self._device.query_sensors():
            if sensor.is_depth_sensor():
                return float(sensor.as_depth_sensor().get_depth_scale())
        raise CameraError(f"{self.label} has no depth")

    def wait(self, timeout_s: float) -> Frame:
        """Return the next picture, with depth of the same moment where that was asked for.

        Raises:
            CameraError: nothing came, it has another size, or the camera is gone.
        """
        colour = self._rs.stream.color
        self._profile(colour)
        deadline = time.monotonic() + timeout_s
        while colour not in self._newest:
            left = deadline - time.monotonic()
            if not self._pull(min(SLICE_S, left)) and left <= SLICE_S:
                raise CameraError(
                    f"{self.label}: no picture for {timeout_s:g} s; try another USB port and "
                    "cable, directly at the computer",
                    CameraState.STALLED,
                )
        frame, arrived = self._newest.pop(colour)
        image = np.array(frame.get_data())
        self.config.mode.check(self.label, image)
        number, stamp = int(frame.get_frame_number()), frame.get_timestamp() / 1e3
        return Frame(image, self._match(stamp), number, stamp, arrived, self._told(frame))

    def _pull(self, wait_s: float) -> bool:
        """Take one picture from the queue; tell whether one came. Refuse to wait in vain."""
        came, frame = self._queue.try_wait_for_frame(max(1, round(wait_s * 1e3)))
        if came:
            self._newest[frame.get_profile().stream_type()] = (frame, self._clock())
        elif not self._device.is_connected():
            raise CameraError(
                f"{self.label} is unplugged; plug it in again, fasten the plug, and start anew"
            )
        return bool(came)

    def _match(self, stamp: float) -> Array | None:
        """Return the depth (h, w) taken within half a period of ``stamp`` [s], None without."""
        if not self.config.depth:
            return None
        half = 0.5 / self.config.mode.fps
        kind = self._rs.stream.depth
        deadline = time.monotonic() + half
        while True:
            frame, _ = self._newest.get(kind, (None, 0.0))
            ahead = -np.inf if frame is None else frame.get_timestamp() / 1e3 - stamp
            if ahead > half:
                return None
            if ahead >= -half:
                return np.array(frame.get_data())
            if not self._pull(min(half, 0.005)) and time.monotonic() > deadline:
                return None

    def _told(self, frame: Handle) -> dict[str, float]:
        """Return what the camera tells of a picture."""
        kinds = {name: getattr(self._rs.frame_metadata_value, name) for name in TOLD}
        return {
            name: float(frame.get_frame_metadata(kind))
            for name, kind in kinds.items()
            if frame.supports_frame_metadata(kind)
        }

    def _profile(self, kind: Handle) -> Handle:
        if kind not in self._profiles:
            what = str(kind).rpartition(".")[2]
            raise CameraError(f"{self.label} does not deliver {what}; was it started with that?")
        return self._profiles[kind]

    def close(self) -> None:
        """Stop it; twice does no harm."""
        running, self._running = self._running, []
        self._newest.clear()
        self._profiles.clear()
        for sensor in running:
            for end in (sensor.stop, sensor.close):
                with suppress(RuntimeError):  # it is unplugged, or did not start
                    end()


class _Found:
    """A device with the context that found it: without that nobody notices that it is unplugged."""

    def __init__(self, device: Handle, context: Handle) -> None:
        self._device, self._context = device, context

    def __getattr__(self, name: str) -> Handle:
        return getattr(self._device, name)


def find(serial: str | None = None) -> Handle:
    """Return the camera with this serial number, or the only one that is plugged in.

    Raises:
        UsageError: pyrealsense2 is missing.
        CameraError: there is none, or there are several and none was named.
    """
    rs = realsense()
    context = rs.context()
    known = {
        _info(rs, item, rs.camera_info.serial_number): item for item in context.query_devices()
    }
    listed = ", ".join(known) or "none"
    if serial is None and len(known) == 1:
        return _Found(next(iter(known.values())), context)
    if serial in known:
        return _Found(known[serial], context)
    wanted = "exactly one RealSense camera" if serial is None else f"RealSense camera {serial}"
    hint = "name one by its serial number" if known else "plug it into a USB 3 port (see lsusb)"
    raise CameraError(f"{wanted} expected, plugged in: {listed}; {hint}")


def _info(rs: ModuleType, thing: Handle, what: Handle) -> str:
    return str(thing.get_info(what)) if thing.supports(what) else ""


def _label(rs: ModuleType, device: Handle) -> str:
    model = _info(rs, device, rs.camera_info.name).removeprefix("Intel RealSense ")
    return f"{model} {_info(rs, device, rs.camera_info.serial_number)}".strip()


def _intrinsics(profile: Handle) -> Intrinsics:
    told = profile.as_video_stream_profile().get_intrinsics()
    k1, k2, p1, p2, k3 = map(float, told.coeffs)
    lens = (k1, k2, p1, p2, k3)
    return Intrinsics(told.width, told.height, told.fx, told.fy, told.ppx, told.ppy, lens)
