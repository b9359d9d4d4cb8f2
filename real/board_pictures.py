"""Pictures for a calibration: from a folder, or from a camera that runs."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from envs.arm import Array
from envs.errors import UsageError
from real.camera_opencv import OpenCVCamera, OpenCVConfig
from real.cameras import Camera, Mode
from real.charuco import LEAST_CORNERS, Board
from real.realsense import RealSenseCamera, RealSenseConfig, find

KINDS = (".png", ".jpg", ".jpeg")
REALSENSE = "realsense"
PLAIN, TAGGED = "twin", "twin-tags"
"""Kinds of sources that are a twin's, ``real/emulators/twin_place.py``."""

MOVED_PX = 12.0
"""A board whose corners moved by less on average shows nothing new."""

STILL_PX = 0.7
"""A board whose corners moved by more since the picture before is in motion, and blurred."""

WARM_UP = 5
"""So many pictures are skipped until exposure has settled."""

PATIENCE_S = 5.0


def read_pictures(folder: Path) -> dict[str, Array]:
    """Return all pictures (h, w, 3) uint8 of a folder, by name, in order.

    Raises:
        UsageError: there are none, or one cannot be read.
    """
    paths = sorted(p for p in Path(folder).glob("*") if p.suffix.lower() in KINDS)
    if not paths:
        raise UsageError(f"{folder}: no pictures ({', '.join(KINDS)})")
    pictures = {}
    for path in paths:
        try:
            pictures[path.name] = np.asarray(Image.open(path).convert("RGB"))
        except OSError as error:
            raise UsageError(f"{path}: no picture: {error}") from error
    return pictures


def open_camera(source: str, name: str, mode: Mode) -> Camera:
    """Return a camera, not yet started.

    Args:
        source: ``realsense``, ``realsense:<serial>``, a device such as ``/dev/video0``, a URL, or
            ``twin:<folder>`` as ``armtrials emulate`` names it.
        name: what it is called.
        mode: size and rate.

    Raises:
        UsageError: its library is missing.
        CameraError: it is not there.
    """
    kind, _, serial = source.partition(":")
    if kind == REALSENSE:
        return RealSenseCamera(name, RealSenseConfig(mode), find(serial or None))
    if kind in (PLAIN, TAGGED):
        from real.emulators.twin_place import twin_camera

        return twin_camera(kind, serial, name, mode)
    return OpenCVCamera(name, OpenCVConfig(source, mode))


def take_still(camera: Camera, count: int) -> list[Array]:
    """Return ``count`` pictures of a camera that was started, each (h, w, 3) uint8.

    Raises:
        CameraError: it does not deliver.
    """
    for _ in range(WARM_UP):
        camera.wait(PATIENCE_S)
    return [camera.wait(PATIENCE_S).image for _ in range(count)]


def take_poses(
    camera: Camera,
    board: Board,
    count: int,
    tell: Callable[[int, int], None],
    timeout_s: float = 300.0,
) -> dict[str, Array]:
    """Return ``count`` pictures of ``board`` in different poses while a person moves it about.

    A picture is taken by itself where the board rests for a moment in a new place.

    Args:
        camera: it was started.
        board: what is moved.
        count: so many pictures.
        tell: called with how many there are and how many corners are seen now.
        timeout_s: how long the person may take [s].

    Raises:
        CameraError: the camera does not deliver.
        UsageError: not enough poses in time.
    """
    taken: list[tuple[Array, Mapping[int, Array]]] = []
    before: Mapping[int, Array] = {}
    deadline = time.monotonic() + timeout_s
    while len(taken) < count:
        if time.monotonic() > deadline:
            raise UsageError(f"{len(taken)} of {count} poses in {timeout_s:g} s; move the board")
        image = camera.wait(PATIENCE_S).image
        seen = board.find(image)
        rests = _moved(before, seen) < STILL_PX
        new = all(_moved(other, seen) > MOVED_PX for _, other in taken)
        if len(seen) >= LEAST_CORNERS and rests and new:
            taken.append((image, seen))
        before = seen
        tell(len(taken), len(seen))
    return {f"pose_{k:02d}.png": image for k, (image, _) in enumerate(taken)}


def _moved(before: Mapping[int, Array], now: Mapping[int, Array]) -> float:
    """Return how far the corners seen both times moved on average [px]; infinite without any."""
    both = before.keys() & now.keys()
    if not both:
        return float("inf")
    return float(np.mean([np.linalg.norm(now[n] - before[n]) for n in both]))
