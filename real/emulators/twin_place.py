"""A twin that another program runs, seen from this one: cameras, tags, calibration as of an arm.

``offer`` leaves in a folder what is to be known of a running scene; ``twin:FOLDER`` is then where
each of its cameras is, ``twin-tags:FOLDER`` where its things carry tags.
"""

import json
import threading
from functools import cache
from pathlib import Path

from envs.atomic import write_atomic
from envs.errors import UsageError
from envs.gap import NONE
from envs.tasks import TASKS
from envs.world import World, world
from real.board_pictures import PLAIN, TAGGED
from real.calibration import FILE, Calibration, CameraCalibration
from real.camera_libraries import realsense
from real.cameras import Camera, Mode
from real.emulators.realsense import RealSenseEmulator
from real.emulators.twin import simulated_ranges
from real.emulators.twin_cameras import TwinEye, emulated_cameras, tag_sight
from real.emulators.twin_plant import Scenery
from real.emulators.twin_tags import tagged_objects
from real.openarm import OPENARM
from real.real_senses import OVERHEAD
from real.realsense import RealSenseCamera, RealSenseConfig

SCENE, TRUTH, OBJECTS = "scene.json", "truth", "objects.json"

_one_at_a_time = threading.Lock()


def offer(scenery: Scenery) -> dict[str, str]:
    """Leave beside the truth of ``scenery`` what other programs need to see it.

    Returns:
        Options of ``armtrials record`` and ``teleop`` by what they are for: ``cameras``, and
        ``tags`` where a thing of the task can carry tags.
    """
    folder, made = scenery.truth.parent, world(TASKS[scenery.task], scenery.robot)
    told = {"task": scenery.task, "robot": scenery.robot}
    write_atomic(folder / SCENE, json.dumps(told).encode())
    known = simulated_ranges() if scenery.robot == OPENARM else Calibration(scenery.robot)
    names = made.arm.cameras
    options = {"cameras": f"--cameras {' '.join(f'{name}={PLAIN}:{folder}' for name in names)}"}
    if objects := tagged_objects(made):
        sight = tag_sight(made, Mode())
        lens = CameraCalibration(sight.lens, pose=sight.camera)
        known = known.with_camera(OVERHEAD, lens)
        data = json.dumps([item.to_json() for item in objects])
        write_atomic(folder / OBJECTS, data.encode())
        options["tags"] = (
            f"--cameras {OVERHEAD}={TAGGED}:{folder} --tags {folder / OBJECTS} "
            f"--calibration {folder / FILE}"
        )
    known.save(folder / FILE)
    return options


def twin_camera(kind: str, folder: str, name: str, mode: Mode) -> Camera:
    """Return a camera of the twin whose scene was offered in ``folder``, not yet started.

    Raises:
        UsageError: there is no twin, no such camera, or pyrealsense2 is missing.
    """
    realsense()
    with _one_at_a_time:  # cameras of one process share the thread that draws
        return TwinCamera(name, RealSenseConfig(mode), _emulator(kind, Path(folder), mode))


class TwinCamera(RealSenseCamera):
    """The driver of a twin's camera; the last one that is closed ends the thread that draws."""

    def __init__(self, name: str, config: RealSenseConfig, emulator: RealSenseEmulator) -> None:
        """Open camera ``name`` of ``emulator``; nobody else opens one meanwhile.

        Raises:
            UsageError: there is no such camera.
        """
        if name not in emulator.cameras:
            known = ", ".join(emulator.cameras)
            raise UsageError(f"the twin has no camera {name!r}; known: {known}")
        super().__init__(name, config, emulator.device(name))
        self._emulator = emulator
        _open.append(self)
        emulator.start()

    def close(self) -> None:
        """Release it; twice does no harm."""
        super().close()
        with _one_at_a_time:
            if self in _open:
                _open.remove(self)
            if not any(other._emulator is self._emulator for other in _open):
                self._emulator.close()
                _emulator.cache_clear()


_open: list[TwinCamera] = []


@cache
def _emulator(kind: str, folder: Path, mode: Mode) -> RealSenseEmulator:
    try:
        told = json.loads((folder / SCENE).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{folder}: there is no twin (any more): {error.strerror}") from error
    made: World = world(TASKS[told["task"]], told["robot"])
    tags = tagged_objects(made) if kind == TAGGED else ()
    # Without a GPU two pictures of 640 x 480 take MuJoCo 52 ms. Tags need every pixel; what a
    # policy sees is drawn at half the size.
    drawn = mode if tags else Mode(max(1, mode.width // 2), max(1, mode.height // 2), mode.fps)
    eye = TwinEye(folder / TRUTH, told["task"], told["robot"], NONE, drawn, tuple(tags))
    return RealSenseEmulator(emulated_cameras(made, made.arm.cameras), eye)
