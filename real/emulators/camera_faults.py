"""What can go wrong with an emulated camera, injected while it runs, also from another process.

A fault is written ``name``, ``name=value``, ``name@camera`` or ``name=value@camera``; without a
camera it is of all of them.
"""

import multiprocessing
from collections.abc import Mapping, Sequence

from envs.errors import UsageError
from real.emulators.faults import Kind, parse_fault

KINDS: Mapping[str, Kind] = {
    "drop": Kind("share of pictures that are lost", 0.1),
    "duplicate": Kind("share of pictures in whose place the one before comes again", 0.1),
    "freeze": Kind("numbers and times go on, the picture does not"),
    "stall": Kind("no pictures"),
    "delay": Kind("pictures come this much later [s]", 0.05, 10.0),
    "size": Kind("pictures of another size"),
    "unplug": Kind("the cable is out"),
}


class CameraFaults:
    """The faults in force; it can be handed to a process that is being started."""

    def __init__(self, cameras: Sequence[str]) -> None:
        """Let nothing be wrong with ``cameras``."""
        self.cameras = tuple(cameras)
        context = multiprocessing.get_context("spawn")
        self._values = context.RawArray("d", len(cameras) * len(KINDS))

    def inject(self, *faults: str) -> None:
        """Let faults begin, each written ``name[=value][@camera]``.

        Raises:
            UsageError: it cannot be read; lists what is known.
        """
        for text in faults:
            name, value, camera = parse_fault(text, KINDS, "camera")
            self._set(name, camera, value)

    def clear(self, name: str | None = None, camera: str | None = None) -> None:
        """End all faults, those called ``name``, or those of one camera."""
        for kind in KINDS if name is None else (name,):
            self._set(kind, camera, 0.0)

    def value(self, name: str, camera: str) -> float:
        """Return the value of a fault; 0 where there is none."""
        return float(self._values[self._place(name, camera)])

    def _set(self, name: str, camera: str | None, value: float) -> None:
        for one in self.cameras if camera is None else (camera,):
            self._values[self._place(name, one)] = value

    def _place(self, name: str, camera: str) -> int:
        if name not in KINDS:
            raise UsageError(f"unknown fault {name!r}; known: {', '.join(KINDS)}")
        if camera not in self.cameras:
            raise UsageError(f"unknown camera {camera!r}; known: {', '.join(self.cameras)}")
        return self.cameras.index(camera) * len(KINDS) + list(KINDS).index(name)
