"""Cameras in a process of their own."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import pytest

from envs.errors import UsageError
from real.camera_memory import Memory, Place
from real.camera_rig import CameraRig, CameraSource, Reading
from real.cameras import Camera, CameraError, CameraState, Frame, Mode
from real.emulators.camera_faults import CameraFaults
from real.realsense import RealSenseConfig
from tests.real.camera_bench import needs_realsense, render, sources

DEADLINE = 120.0


def wait_for(rig: CameraRig, name: str, holds: Callable[[Reading], bool]) -> Reading:
    """Read until it holds."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        reading = rig.read()[name]
        if holds(reading):
            return reading
        time.sleep(0.005)
    raise AssertionError(f"not within {DEADLINE} s: {rig.read()[name]}")


@pytest.fixture(scope="module")
def faults() -> CameraFaults:
    return CameraFaults(["overhead", "wrist"])


@pytest.fixture(scope="module")
def rig(faults: CameraFaults) -> Iterator[CameraRig]:
    with CameraRig(sources(faults, RealSenseConfig(depth=True))) as rig:
        yield rig


@needs_realsense
def test_each_picture_is_new_once_and_both_cameras_deliver(rig: CameraRig) -> None:
    frames: list[Frame] = []
    while len(frames) < 10:
        reading = rig.read()["overhead"]
        assert reading.frame is not None
        if reading.new:
            frames.append(reading.frame)
        else:
            assert not frames or reading.frame is frames[-1]
    numbers = [frame.number for frame in frames]
    assert numbers == sorted(set(numbers))
    assert np.abs(frames[-1].image.astype(int) - render("overhead", 0)[0]).mean() < 2
    wrist = wait_for(rig, "wrist", lambda reading: reading.new).frame
    assert wrist is not None
    assert np.abs(wrist.image.astype(int) - render("wrist", 0)[0]).mean() < 2
    deep = wait_for(rig, "wrist", lambda r: r.frame is not None and r.frame.depth is not None)
    assert deep.frame is not None
    assert np.abs(deep.frame.depth * 1e-4 - render("wrist", 0)[1]).max() < 1e-3


@needs_realsense
def test_faults_injected_from_here_are_read_here_and_pass(
    rig: CameraRig, faults: CameraFaults
) -> None:
    for fault, state in (("freeze", CameraState.FROZEN), ("stall", CameraState.STALLED)):
        faults.inject(f"{fault}@overhead")
        reading = wait_for(rig, "overhead", lambda r, s=state: r.state == s)
        assert reading.fault.startswith("overhead: ")
        faults.clear()
        assert not wait_for(rig, "overhead", lambda r: r.state == CameraState.OK).fault


@needs_realsense
def test_a_reader_in_another_place_reads_the_same(rig: CameraRig) -> None:
    make, made = rig.reader().__reduce__()  # as a process that is started would make it
    reader = make(*made)
    try:
        other = reader.read()["overhead"]
        assert other.new
        assert other.frame.image.shape == (480, 640, 3)
    finally:
        reader.close()


@needs_realsense
def test_a_camera_that_is_unplugged_is_named_and_the_other_goes_on(
    rig: CameraRig, faults: CameraFaults
) -> None:
    faults.inject("unplug@wrist")
    reading = wait_for(rig, "wrist", lambda r: r.state == CameraState.UNPLUGGED)
    assert "wrist (D405 105) is unplugged; plug it in again" in reading.fault
    last = rig.read()["overhead"].frame
    assert last is not None
    wait_for(rig, "overhead", lambda r: r.frame is not None and r.frame.number > last.number + 3)


@needs_realsense
def test_a_rig_whose_camera_is_not_there_does_not_start() -> None:
    absent = CameraFaults(["overhead", "wrist"])
    absent.inject("unplug@wrist")
    with pytest.raises(CameraError, match=r"wrist \(D405 105\) is unplugged"):
        CameraRig(sources(absent))


class Ticking:
    """A camera without any library: a picture every 10 ms."""

    name = "ticking"

    def __init__(self) -> None:
        self.count = 0

    def start(self) -> None:
        pass

    def wait(self, timeout_s: float) -> Frame:
        time.sleep(0.01)
        self.count += 1
        now = time.monotonic()
        return Frame(np.full((24, 32, 3), self.count % 256, np.uint8), None, self.count, now, now)

    def close(self) -> None:
        pass


def broken() -> Camera:
    raise ValueError("no such thing")


TICKING = CameraSource("ticking", Ticking, Mode(32, 24, 100))


@pytest.mark.parametrize("blow", [signal.SIGSTOP, signal.SIGKILL])
def test_a_process_that_is_stopped_or_dead_is_noticed_and_its_memory_freed(
    blow: signal.Signals,
) -> None:
    with CameraRig([TICKING]) as rig:
        block = rig._reader._made[0]
        assert rig.process.pid is not None
        os.kill(rig.process.pid, blow)
        reading = wait_for(rig, "ticking", lambda r: r.state.stops)
        assert "the process of the cameras has ended or was stopped" in reading.fault
        if blow == signal.SIGSTOP:
            os.kill(rig.process.pid, signal.SIGCONT)
            wait_for(rig, "ticking", lambda r: r.state == CameraState.OK)
    with pytest.raises(FileNotFoundError):
        SharedMemory(block)


def test_what_a_driver_raises_comes_out_where_the_rig_is_made() -> None:
    with pytest.raises(CameraError, match="broken: ValueError: no such thing"):
        CameraRig([TICKING, CameraSource("broken", broken)])


def test_a_camera_of_another_size_than_promised_does_not_start() -> None:
    with pytest.raises(CameraError, match="32x24 px instead of 640x480") as caught:
        CameraRig([CameraSource("ticking", Ticking)])
    assert caught.value.state == CameraState.WRONG_SIZE


@pytest.mark.parametrize("given", [[], [TICKING, TICKING]])
def test_cameras_need_different_names(given: list[CameraSource]) -> None:
    with pytest.raises(UsageError, match="cameras must have different names"):
        CameraRig(given)


def test_a_picture_overwritten_while_it_is_read_is_never_half_of_each() -> None:
    place = Place(0, Mode(32, 24, 30), depth=False)
    block = SharedMemory(create=True, size=place.size)
    try:
        memory = Memory(block, place)
        for number in range(1, 4):
            pixels = np.full((24, 32, 3), number, np.uint8)
            memory.publish(Frame(pixels, None, number, float(number), float(number)))
            found = memory.newest()
            assert found is not None
            assert found[1].number == number == found[1].image.min() == found[1].image.max()
        memory.head["slots"]["count"][3 % 2] = -1  # the writer is in the middle of it
        assert memory.newest() is None
        memory.close()
    finally:
        block.close()
        block.unlink()
