"""Cameras through OpenCV: any webcam, or a video file or stream in a camera's place.

The cheap alternative to RealSense. A webcam counts no pictures: the number is reckoned from the
time at which the system took each (V4L2 stamps them), so that a lost one leaves a gap all the same.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from real.camera_libraries import opencv
from real.cameras import CameraError, CameraState, Frame, Mode

Capture = Any
"""An object with the methods of ``cv2.VideoCapture``."""

RATE_OFF = 0.02
"""A camera's rate may differ from the one asked for by this share (29.97 is 30)."""

MANUAL = 1.0
"""``CAP_PROP_AUTO_EXPOSURE`` at which V4L2 cameras keep their exposure time."""


@dataclass(frozen=True)
class OpenCVConfig:
    """What a camera is asked for.

    Attributes:
        source: ``/dev/video0``, better a name under ``/dev/v4l/by-id``, a file or a URL.
        mode: size and rate.
        fourcc: how a webcam sends its pictures; uncompressed ones of 640 x 480 fill USB 2.
        exposure: exposure time in the camera's own units; None leaves it to the camera.
    """

    source: str = "/dev/video0"
    mode: Mode = field(default_factory=Mode)
    fourcc: str = "MJPG"
    exposure: float | None = None

    def __post_init__(self) -> None:
        """Refuse a fourcc that is none."""
        if len(self.fourcc) != 4:
            raise ValueError(f"fourcc must have four letters, got {self.fourcc!r}")

    @property
    def live(self) -> bool:
        """Whether pictures come when they are taken, not when they are asked for."""
        return not Path(self.source).is_file()


class OpenCVCamera:
    """A webcam, file or stream; a thread keeps only its newest picture.

    Attributes:
        name: what it is called in observations.
        config: what was asked for.
    """

    def __init__(
        self,
        name: str,
        config: OpenCVConfig | None = None,
        capture: Callable[[str], Capture] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to use a camera.

        Args:
            name: what it is called in observations.
            config: what is asked of it.
            capture: opens it; by default ``cv2.VideoCapture``.
            clock: what frames are stamped with [s].

        Raises:
            UsageError: OpenCV is missing.
        """
        self._cv2 = opencv()
        self.name, self.config = name, config or OpenCVConfig()
        self._open, self._clock = capture or self._cv2.VideoCapture, clock
        self._capture: Capture = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._error: CameraError | None = None
        self._ended = False

    def start(self) -> None:
        """Open it, set what is asked for, and see whether it was set.

        Raises:
            CameraError: it does not open, or has another size or rate.
        """
        self._capture = self._open(self.config.source)
        if not self._capture.isOpened():
            raise CameraError(
                f"{self.name}: {self.config.source} does not open; is it plugged in (ls /dev/v4l/"
                "by-id), used by another program, or are you not in the group video?"
            )
        try:
            if self.config.live:
                self._set_up()
            self._check()
        except CameraError:
            self._capture.release()
            raise
        self._thread = threading.Thread(target=self._read, name=self.name, daemon=True)
        self._thread.start()

    def _set_up(self) -> None:
        cv2, capture, mode = self._cv2, self._capture, self.config.mode
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*self.config.fourcc))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, mode.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, mode.height)
        capture.set(cv2.CAP_PROP_FPS, mode.fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if self.config.exposure is not None:
            capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL)
            capture.set(cv2.CAP_PROP_EXPOSURE, self.config.exposure)

    def _check(self) -> None:
        """Refuse what was not set: drivers take what they know, and say nothing."""
        cv2, mode = self._cv2, self.config.mode
        width, height, fps = (
            self._capture.get(kind)
            for kind in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS)
        )
        found = f"{width:.0f}x{height:.0f} at {fps:.4g}"
        if (width, height) != (mode.width, mode.height) or abs(fps / mode.fps - 1) > RATE_OFF:
            raise CameraError(
                f"{self.name}: {self.config.source} gives {found} instead of {mode}; "
                f"see what it has with: v4l2-ctl -d {self.config.source} --list-formats-ext",
                CameraState.WRONG_SIZE,
            )
        exposure = self.config.exposure
        if exposure is not None and self._capture.get(cv2.CAP_PROP_EXPOSURE) != exposure:
            got = self._capture.get(cv2.CAP_PROP_EXPOSURE)
            raise CameraError(
                f"{self.name}: exposure is {got:g} instead of {exposure:g}; "
                f"see its range with: v4l2-ctl -d {self.config.source} --list-ctrls"
            )

    def _read(self) -> None:
        """Keep the newest picture until the end; a file plays at its own rate."""
        number, last, began = 0, None, self._clock()
        while not self._ended:
            came, picture = self._capture.read()
            arrived = self._clock()
            if not came:
                self._tell(None, self._gone())
                return
            told = self._capture.get(self._cv2.CAP_PROP_POS_MSEC) / 1e3
            stamp = told if told > 0 or not self.config.live else arrived
            if last is not None:
                number += round((stamp - last) * self.config.mode.fps) if stamp > last else 0
                number += 1 if 0 < stamp - last < 0.5 / self.config.mode.fps else 0
            last = stamp
            if not self.config.live:
                time.sleep(max(0.0, began + stamp - arrived))
                arrived = self._clock()
            image = self._cv2.cvtColor(picture, self._cv2.COLOR_BGR2RGB)
            self._tell(Frame(image, None, number, stamp, arrived))

    def _gone(self) -> CameraError:
        if self.config.live:
            advice = "is unplugged; plug it in again and start anew"
        else:
            advice = "has ended"
        return CameraError(f"{self.name}: {self.config.source} {advice}")

    def _tell(self, frame: Frame | None, error: CameraError | None = None) -> None:
        with self._changed:
            self._newest, self._error = frame or self._newest, error
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> Frame:
        """Return the newest picture that was not returned yet.

        Raises:
            CameraError: none came in time, it has another size, or the camera is gone.
        """
        if self._thread is None:
            raise CameraError(f"{self.name} was not started")
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._error, timeout_s)
            frame, self._newest = self._newest, None
            error = self._error
        if frame is None:
            raise error or CameraError(
                f"{self.name}: no picture for {timeout_s:g} s; try another USB port and cable",
                CameraState.STALLED,
            )
        self.config.mode.check(self.name, frame.image)
        return frame

    def close(self) -> None:
        """Release it; twice does no harm."""
        self._ended = True
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(5)
            self._capture.release()
