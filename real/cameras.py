"""What a camera is: frames that carry their number and their time, and errors that say what to do.

Drivers: ``real/realsense.py``, ``real/camera_opencv.py``. Several cameras in a process of their
own: ``real/camera_rig.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from envs.arm import Array
from envs.errors import UsageError
from real.machine import MachineError


class CameraState(StrEnum):
    """How a camera does, by its newest frame.

    ``ok``, ``waiting`` (no frame yet) and ``late`` go on, the latter two flagged; the others stop
    a trial: what the arm would act on is not what is there.
    """

    OK = "ok"
    WAITING = "waiting"
    LATE = "late"
    FROZEN = "frozen"
    STALLED = "stalled"
    WRONG_SIZE = "wrong_size"
    UNPLUGGED = "unplugged"

    @property
    def stops(self) -> bool:
        """Whether a trial must not go on."""
        return self not in (CameraState.OK, CameraState.WAITING, CameraState.LATE)


class CameraError(MachineError):
    """A camera cannot be used. The message names it and says what to do.

    Attributes:
        state: what is wrong with it.
    """

    def __init__(self, text: str, state: CameraState = CameraState.UNPLUGGED) -> None:
        """Say what is wrong and what to do."""
        super().__init__(text)
        self.state = state


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        depth: (h, w) uint16 in units of the camera's ``depth_scale``, 0 where unknown, or None.
        number: counts up by one with every picture the camera takes.
        hardware_s: when it was taken, on the camera's own clock [s].
        arrived_s: when it arrived here, on the monotonic clock [s].
        metadata: what else the camera tells, such as ``exposure_s`` and ``gain``.
    """

    image: Array
    depth: Array | None
    number: int
    hardware_s: float
    arrived_s: float
    metadata: Mapping[str, float] = field(default_factory=dict)


class Camera(Protocol):
    """A camera that delivers pictures one after the other.

    Attributes:
        name: what it is called in observations and files, such as ``overhead``.
    """

    name: str

    def start(self) -> None:
        """Begin to take pictures.

        Raises:
            CameraError: it is absent, or cannot do what is asked of it.
        """

    def wait(self, timeout_s: float) -> Frame:
        """Return the next frame as soon as it is there.

        Raises:
            CameraError: no frame within ``timeout_s``, a frame of another size, or it is gone.
        """

    def close(self) -> None:
        """Release it; twice does no harm."""


@dataclass(frozen=True)
class Mode:
    """What is asked of a camera: size of the pictures [px] and their rate [1/s]."""

    width: int = 640
    height: int = 480
    fps: int = 30

    def __post_init__(self) -> None:
        """Refuse what no camera does.

        Raises:
            UsageError: a size outside 1..4096 px or a rate outside 1..300.
        """
        if not (0 < self.width <= 4096 and 0 < self.height <= 4096 and 0 < self.fps <= 300):
            raise UsageError(f"a camera's mode must be 1..4096 px at 1..300 frames/s, got {self}")

    def __str__(self) -> str:
        """Return it as ``640x480 at 30``."""
        return f"{self.width}x{self.height} at {self.fps}"

    def check(self, name: str, image: Array) -> None:
        """Refuse a picture (h, w, 3) of another size.

        Raises:
            CameraError: it has another size.
        """
        height, width = image.shape[:2]
        if (width, height) != (self.width, self.height):
            raise CameraError(
                f"{name}: pictures of {width}x{height} px instead of {self.width}x{self.height}; "
                "another program changed its mode: close that, unplug the camera and plug it in",
                CameraState.WRONG_SIZE,
            )
