"""Tagged objects in the pictures of a running camera: found in a process of their own.

Looking for tags takes longer than a control period may wait; here it costs the control loop
nothing. What is found in the air is left to ``real.in_hand``, which knows better by the joints.
"""

import multiprocessing
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from envs.threads import one_thread
from real.camera_libraries import opencv
from real.camera_rig import RigReader
from real.pinhole import Intrinsics, Pose
from real.real_arm import Seen
from real.shared_block import SharedBlock, memory_folder
from real.tags import TagFinder, TaggedObject

LOOK_S = 0.003
"""So often is it looked for a new picture [s]."""


@dataclass(frozen=True)
class TagSight:
    """What may be seen, and through which lens from where; see ``TagFinder``.

    Attributes:
        objects: with their tags.
        lens: of the camera.
        camera: where it is in the arm's frame.
        table: height of the table in the arm's frame [m].
    """

    objects: tuple[TaggedObject, ...]
    lens: Intrinsics
    camera: Pose
    table: float = 0.0

    def finder(self) -> TagFinder:
        """Return what finds them."""
        return TagFinder(self.objects, self.lens, self.camera, self.table)


class TagWatch:
    """Finds objects in the pictures of a rig's camera; ends with ``close`` or with its maker.

    Attributes:
        names: of the objects.
    """

    def __init__(self, reader: RigReader, camera: str, sight: TagSight) -> None:
        """Start the process.

        Raises:
            UsageError: OpenCV is missing, or a tag is on two objects.
        """
        opencv()
        sight.finder()  # refuses here what the process would refuse
        self.names = tuple(item.name for item in sight.objects)
        self._folder = memory_folder()
        path = self._folder / "tags"
        count = len(self.names)
        self._block = SharedBlock.create(path, {"pose": (count, 7), "stamp": (count,)})
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self.process = context.Process(
            target=_watch, args=(reader, camera, sight, path, far), daemon=True
        )
        with one_thread():
            self.process.start()
        far.close()

    def poses(self) -> Mapping[str, Seen]:
        """Return where every object was seen last, and when; those never seen are not there."""
        values, _ = self._block.read()
        rows = zip(self.names, values["pose"], values["stamp"].tolist(), strict=True)
        return {name: Seen(pose, stamp) for name, pose, stamp in rows if stamp}

    def close(self) -> None:
        """End the process; twice does no harm."""
        self._pipe.close()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        shutil.rmtree(self._folder, ignore_errors=True)


def _watch(reader: RigReader, camera: str, sight: TagSight, path: Path, pipe: Connection) -> None:
    """Find objects until the other end of ``pipe`` is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    opencv().setNumThreads(1)
    finder, block = sight.finder(), SharedBlock(path)
    names = [item.name for item in sight.objects]
    never_upright = {item.name for item in sight.objects if item.stands is None}
    values, _ = block.read()
    pose, stamp = values["pose"], values["stamp"]
    while not pipe.poll():  # nothing is ever sent: it ends when the other end does
        reading = reader.read()[camera]
        if not reading.new or reading.frame is None:
            time.sleep(LOOK_S)
            continue
        found = finder.find(reading.frame.image)
        for name, sighting in found.items():
            if not sighting.stands and name not in never_upright:
                continue  # in the air, or one tag at a slant that tells too little: see InHand
            row = names.index(name)
            pose[row], stamp[row] = sighting.pose.array, reading.frame.arrived_s
        block.write(pose=pose, stamp=stamp)
    reader.close()
