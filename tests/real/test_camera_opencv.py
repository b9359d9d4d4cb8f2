"""Cameras through OpenCV: a video file, and a webcam that is told what to do."""

import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from real.camera_opencv import OpenCVCamera, OpenCVConfig
from real.cameras import CameraError, CameraState, Mode
from tests.real.camera_bench import needs_opencv

pytestmark = needs_opencv
SMALL = Mode(64, 48, 30)


def film(path: Path, count: int, mode: Mode = SMALL) -> Path:
    """Write pictures that grow brighter, red first."""
    import cv2

    size = (mode.width, mode.height)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), mode.fps, size)
    for k in range(count):
        picture = np.full((mode.height, mode.width, 3), 8 * k, np.uint8)
        picture[:, :, 2] = 255
        writer.write(picture)
    writer.release()
    return path


class Webcam:
    """Stands in for ``cv2.VideoCapture`` of a webcam that takes what it likes."""

    def __init__(self, mode: Mode = SMALL, stamps: tuple[float, ...] = ()) -> None:
        import cv2

        self.cv2 = cv2
        self.values = {
            cv2.CAP_PROP_FRAME_WIDTH: float(mode.width),
            cv2.CAP_PROP_FRAME_HEIGHT: float(mode.height),
            cv2.CAP_PROP_FPS: float(mode.fps),
        }
        self.fixed = set(self.values)
        self.asked: dict[int, float] = {}
        self.stamps = [*stamps]
        self.next = threading.Semaphore(0)
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802  (OpenCV's name)
        return True

    def set(self, kind: int, value: float) -> bool:
        self.asked[kind] = value
        if kind not in self.fixed:
            self.values[kind] = value
        return True

    def get(self, kind: int) -> float:
        return self.values.get(kind, 0.0)

    def read(self) -> tuple[bool, object]:
        self.next.acquire()
        if not self.stamps:
            return False, None
        self.values[self.cv2.CAP_PROP_POS_MSEC] = self.stamps.pop(0) * 1e3
        return True, np.full((48, 64, 3), len(self.stamps), np.uint8)

    def release(self) -> None:
        self.released = True


def test_a_film_comes_in_order_at_its_rate_in_rgb_and_ends_with_a_clear_error(
    tmp_path: Path,
) -> None:
    path = film(tmp_path / "a.avi", 12)
    camera = OpenCVCamera("overhead", OpenCVConfig(str(path), SMALL))
    camera.start()
    frames = []
    began = time.monotonic()
    with suppress(CameraError):
        while True:
            frames.append(camera.wait(20))
    with pytest.raises(CameraError, match=r"overhead: .*a\.avi has ended"):
        camera.wait(20)
    took = time.monotonic() - began
    camera.close()
    camera.close()
    numbers = [frame.number for frame in frames]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 11
    assert took > 10 / 30  # it was not read faster than it plays
    assert frames[0].image[0, 0, 0] > 200 > frames[0].image[0, 0, 2]


def test_a_size_that_was_not_set_is_told_with_the_way_to_the_right_one() -> None:
    webcam = Webcam(Mode(32, 24, 30))
    config = OpenCVConfig("/dev/video9", SMALL)
    camera = OpenCVCamera("overhead", config, lambda source: webcam)
    with pytest.raises(CameraError, match="32x24 at 30 instead of 64x48 at 30") as caught:
        camera.start()
    assert caught.value.state == CameraState.WRONG_SIZE
    assert "v4l2-ctl -d /dev/video9 --list-formats-ext" in str(caught.value)
    assert webcam.released


def test_a_rate_that_was_not_set_is_told() -> None:
    webcam = Webcam(Mode(64, 48, 15))
    camera = OpenCVCamera("overhead", OpenCVConfig("/dev/video9", SMALL), lambda source: webcam)
    with pytest.raises(CameraError, match="64x48 at 15 instead of 64x48 at 30"):
        camera.start()


def test_a_webcam_is_asked_for_size_format_exposure_and_a_buffer_of_one() -> None:
    webcam = Webcam()
    config = OpenCVConfig("/dev/video9", SMALL, exposure=80.0)
    camera = OpenCVCamera("overhead", config, lambda source: webcam)
    camera.start()
    webcam.next.release()
    camera.close()
    cv2 = webcam.cv2
    assert webcam.asked[cv2.CAP_PROP_BUFFERSIZE] == 1
    assert webcam.asked[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert webcam.asked[cv2.CAP_PROP_EXPOSURE] == 80.0
    assert webcam.released


def test_numbers_of_a_webcam_show_what_is_lost_and_what_comes_twice() -> None:
    step = 1 / 30
    stamps = (5.0, 5.0 + step, 5.0 + 4 * step, 5.0 + 4 * step, 5.0 + 5 * step)
    webcam = Webcam(stamps=stamps)
    camera = OpenCVCamera("overhead", OpenCVConfig("/dev/video9", SMALL), lambda source: webcam)
    camera.start()
    numbers = []
    for _ in stamps:
        webcam.next.release()
        numbers.append(camera.wait(20).number)
    assert numbers == [0, 1, 4, 4, 5]
    webcam.next.release()
    with pytest.raises(CameraError, match="is unplugged; plug it in again") as caught:
        camera.wait(20)
    assert caught.value.state == CameraState.UNPLUGGED
    camera.close()


def test_a_webcam_that_stalls_is_told_in_time() -> None:
    webcam = Webcam()
    camera = OpenCVCamera("overhead", OpenCVConfig("/dev/video9", SMALL), lambda source: webcam)
    camera.start()
    with pytest.raises(CameraError, match=r"no picture for 0\.05 s") as caught:
        camera.wait(0.05)
    assert caught.value.state == CameraState.STALLED
    webcam.next.release()
    camera.close()


def test_a_camera_that_is_not_there_says_where_to_look() -> None:
    camera = OpenCVCamera("overhead", OpenCVConfig("/dev/video99", SMALL))
    with pytest.raises(CameraError, match="does not open; is it plugged in"):
        camera.start()
