"""One emulated camera as librealsense sees it: a software device with the sensors of a model."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from envs.arm import Array
from real.camera_libraries import realsense
from real.cameras import Mode
from real.emulators.realsense_models import Model

FIRMWARE, USB = "5.16.0.1", "3.2"


@dataclass(frozen=True, eq=False)
class Picture:
    """What a camera took.

    Attributes:
        rgb: (h, w, 3) uint8.
        depth_m: (h, w) [m], or None.
        mode: its size.
        number: of the picture.
        stamp: when it was taken, on the camera's clock [s].
    """

    rgb: Array
    depth_m: Array | None
    mode: Mode
    number: int
    stamp: float


class EmulatedDevice:
    """A software device; what it has not is asked of librealsense's.

    Attributes:
        model: what it is like.
        connected: whether its cable is in.
    """

    def __init__(self, model: Model, serial: str, fovy: float | None = None) -> None:
        """Make the device with all sensors, modes and options of ``model``.

        ``fovy`` [deg] replaces the model's focal lengths.
        """
        rs = self._rs = realsense()
        self.model, self.connected, self._fovy = model, True, fovy
        self._device = rs.software_device()
        facts = {
            rs.camera_info.name: model.name,
            rs.camera_info.serial_number: serial,
            rs.camera_info.product_line: "D400",
            rs.camera_info.product_id: model.product,
            rs.camera_info.usb_type_descriptor: USB,
            rs.camera_info.firmware_version: FIRMWARE,
        }
        for key, value in facts.items():
            self._device.register_info(key, value)
        self._sensors: dict[str, Any] = {}
        self._profiles: dict[tuple[str, Mode], Any] = {}
        for name, streams in model.sensors.items():
            self._add_sensor(name, streams)
        self._relate()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (librealsense's)
        """Return what the software device has."""
        return getattr(self._device, name)

    def is_connected(self) -> bool:
        """Tell whether the cable is in."""
        return self.connected

    @property
    def mode(self) -> Mode | None:
        """The mode in which colour is being taken; None while it is not."""
        for sensor in self._sensors.values():
            for profile in sensor.get_active_streams():
                if profile.stream_type() == self._rs.stream.color:
                    video = profile.as_video_stream_profile()
                    return Mode(video.width(), video.height(), profile.fps())
        return None

    def other(self, mode: Mode) -> Mode:
        """Return a mode of another size."""
        return next(m for m in self.model.modes if (m.width, m.height) != (mode.width, mode.height))

    def push(self, picture: Picture) -> None:
        """Deliver a picture: depth first, as far as it is being taken, then colour."""
        for stream in ("depth", "color"):
            sensor = self._sensors[stream]
            if stream == "depth" and (picture.depth_m is None or not self._takes(stream)):
                continue
            pixels = picture.rgb if stream == "color" else self._units(picture)
            self._send(sensor, stream, pixels, picture)

    def _takes(self, stream: str) -> bool:
        wanted = getattr(self._rs.stream, stream)
        active = self._sensors[stream].get_active_streams()
        return any(profile.stream_type() == wanted for profile in active)

    def _units(self, picture: Picture) -> Array:
        """Return depth (h, w) uint16 in the model's units, 0 where it sees none."""
        depth = np.asarray(picture.depth_m, float)
        units = np.round(depth / self.model.depth_units)
        seen = (depth >= self.model.nearest) & (units < 65535)
        return np.where(seen, units, 0).astype(np.uint16)

    def _send(self, sensor: Any, stream: str, pixels: Array, picture: Picture) -> None:  # noqa: ANN401
        rs = self._rs
        kind = rs.frame_metadata_value
        told = {
            kind.frame_counter: picture.number,
            kind.sensor_timestamp: round(picture.stamp * 1e6),
            kind.actual_exposure: round(_option(rs, sensor, "exposure")),
            kind.gain_level: round(_option(rs, sensor, "gain")),
        }
        for key, value in told.items():
            sensor.set_metadata(key, value)
        frame = rs.software_video_frame()
        frame.pixels = np.ascontiguousarray(pixels)
        frame.bpp = pixels.itemsize * (pixels.shape[2] if pixels.ndim == 3 else 1)
        frame.stride = pixels.shape[1] * frame.bpp
        frame.timestamp = picture.stamp * 1e3
        frame.domain = rs.timestamp_domain.hardware_clock
        frame.frame_number = picture.number
        frame.profile = self._profiles[stream, picture.mode].as_video_stream_profile()
        frame.depth_units = self.model.depth_units
        sensor.on_video_frame(frame)

    def _add_sensor(self, name: str, streams: tuple[str, ...]) -> None:
        rs = self._rs
        sensor = self._device.add_sensor(name)
        for option, (least, most, step, default) in self.model.options[name].items():
            span = rs.option_range()
            span.min, span.max, span.step, span.default = least, most, step, default
            sensor.add_option(getattr(rs.option, option), span)
        if "depth" in streams:
            sensor.add_read_only_option(rs.option.depth_units, self.model.depth_units)
        for stream in streams:
            self._sensors[stream] = sensor
            for mode in self.model.modes:
                profile = sensor.add_video_stream(self._stream(stream, mode), mode == Mode())
                self._profiles[stream, mode] = profile

    def _stream(self, stream: str, mode: Mode) -> Any:  # noqa: ANN401
        rs = self._rs
        video = rs.video_stream()
        video.type = getattr(rs.stream, stream)
        video.index, video.uid = 0, len(self._profiles)
        video.width, video.height, video.fps = mode.width, mode.height, mode.fps
        video.bpp = 3 if stream == "color" else 2
        video.fmt = rs.format.rgb8 if stream == "color" else rs.format.z16
        lens = rs.intrinsics()
        lens.width, lens.height = mode.width, mode.height
        lens.ppx, lens.ppy = (mode.width - 1) / 2, (mode.height - 1) / 2
        lens.fx = lens.fy = self._focal(stream, mode)
        lens.model, lens.coeffs = rs.distortion.brown_conrady, [0.0] * 5
        video.intrinsics = lens
        return video

    def _focal(self, stream: str, mode: Mode) -> float:
        if self._fovy is None:
            return self.model.focal(stream, mode)
        return mode.height / 2 / float(np.tan(np.radians(self._fovy) / 2))

    def _relate(self) -> None:
        """Tell where the colour's imager is, seen from the depth's."""
        away = self._rs.extrinsics()
        away.rotation = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        away.translation = [self.model.baseline, 0.0, 0.0]
        for mode in self.model.modes:
            depth, colour = self._profiles["depth", mode], self._profiles["color", mode]
            depth.register_extrinsics_to(colour, away)


def scaled(picture: Array, mode: Mode) -> Array:
    """Return a picture (h, w, 3), or depth (h, w), in the size of ``mode``."""
    if picture.shape[:2] == (mode.height, mode.width):
        return picture
    image = Image.fromarray(picture)
    how = Image.Resampling.BOX if picture.ndim == 3 else Image.Resampling.NEAREST
    return np.asarray(image.resize((mode.width, mode.height), how))


def _option(rs: Any, sensor: Any, name: str) -> float:  # noqa: ANN401
    option = getattr(rs.option, name)
    return float(sensor.get_option(option)) if sensor.supports(option) else 0.0
