"""Has a camera moved since the data was collected? Its pose from a board, against the reference.

The *relative* pose is what counts: an error of the lens shifts both by the same and cancels.
"""

from dataclasses import dataclass

import numpy as np

from real.pinhole import Pose

WARN_MM, BLOCK_MM, BLOCK_DEG = 2.0, 5.0, 1.0
"""A policy that saw the data through a camera this far off no longer sees what it learnt from."""

PICTURES = 10
"""So many pictures are averaged."""


@dataclass(frozen=True)
class Shift:
    """How far a camera is from where it was.

    Attributes:
        mm: distance [mm].
        deg: angle [deg].
        way: in the camera's frame as it was, right, down and forward [mm].
    """

    mm: float
    deg: float
    way: tuple[float, float, float]

    @property
    def verdict(self) -> str:
        """``ok``, ``warn`` or ``block``."""
        if self.mm > BLOCK_MM or self.deg > BLOCK_DEG:
            return "block"
        return "warn" if self.mm > WARN_MM else "ok"

    def __str__(self) -> str:
        """Return it in words, with what to do."""
        x, y, z = (round(value, 1) + 0.0 for value in self.way)
        words = [
            f"{abs(amount):.1f} mm {plus if amount > 0 else minus}"
            for amount, plus, minus in (
                (x, "right", "left"),
                (y, "down", "up"),
                (z, "forward", "back"),
            )
            if amount
        ]
        where = f" ({', '.join(words)}, seen from the camera)" if words else ""
        text = f"the camera is {self.mm:.1f} mm and {self.deg:.2f} deg from its reference{where}"
        advice = {
            "ok": "",
            "warn": "; put it back, or trials differ a little from the data",
            "block": "; put it back before any trial, or collect data anew",
        }
        return text + advice[self.verdict]


def shift(reference: Pose, now: Pose) -> Shift:
    """Compare two poses of one unmoved board, each in the camera's frame of its time."""
    moved = reference @ now.inverse  # the camera now, in the frame of the camera then
    x, y, z = (1e3 * value for value in moved.position)
    angle = float(np.degrees(moved.rotation.magnitude()))
    return Shift(1e3 * moved.distance(Pose()), angle, (x, y, z))
