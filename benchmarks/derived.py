"""Protocols with a change: the same starts on another arm, or before cameras that were moved.

``pick_place/v1+twin`` is ``pick_place/v1`` on an arm that is off by the gap ``ordinary``,
``+twin-hard`` by the gap ``hard``; ``+camera-5mm`` shifts every camera by 5 mm. Trial i begins as
trial i of the protocol it comes from, so the two are a pair; the definition says what changed, and
so does the hash.
"""

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from benchmarks.protocol import TEST, EvalProtocol, stream
from envs.arm import InitialCondition
from envs.errors import UsageError
from envs.factor import add_factor
from envs.gap import GAPS, differing, with_gap
from envs.robots import ROBOTS

TWIN = "twin"
ORDINARY = "ordinary"
CAMERA = re.compile(r"camera-(\d+(?:\.\d+)?)mm")
MAX_MM = 1000.0


@dataclass(frozen=True)
class Derived(EvalProtocol, ABC):
    """A protocol with a change.

    Attributes:
        base: the protocol that it comes from.
    """

    base: EvalProtocol | None = None

    @property
    def origin(self) -> EvalProtocol:
        """The protocol that it comes from."""
        if self.base is None:
            raise ValueError("a derived protocol must have a base, got none")
        return self.base

    def definition(self) -> dict[str, Any]:
        """Return the base's definition under another id, with the change."""
        return {**self.origin.definition(), "id": self.id, "change": self.change()}

    @abstractmethod
    def change(self) -> Mapping[str, Any]:
        """Return the change as JSON."""

    def seeds(self, ic: int, split: str = TEST, repeat: int = 0) -> dict[str, int]:
        """Return the base's seeds."""
        return self.origin.seeds(ic, split, repeat)


@dataclass(frozen=True)
class OnTwin(Derived):
    """A protocol on an arm with a gap to the simulation.

    Attributes:
        gap: registered gap.
    """

    gap: str = ORDINARY

    @property
    def world(self) -> str:
        """``twin``: its results are never ranked with the simulation's."""
        return TWIN

    def change(self) -> Mapping[str, Any]:
        """Return the gap, by name and by value."""
        return {"gap": self.gap, "values": GAPS[self.gap].to_json()}

    def start(self, condition: str, ic: int, split: str = TEST) -> InitialCondition:
        """Return the base's start on that arm."""
        return with_gap(self.origin.start(condition, ic, split), GAPS[self.gap])


@dataclass(frozen=True)
class CamerasMoved(Derived):
    """A protocol whose cameras are shifted; initial condition i in one direction at any distance.

    Attributes:
        shift: distance [m].
    """

    shift: float = 0.0

    def change(self) -> Mapping[str, Any]:
        """Return the distance."""
        return {"camera_shift": self.shift}

    def start(self, condition: str, ic: int, split: str = TEST) -> InitialCondition:
        """Return the base's start with every camera shifted in a random direction."""
        start = self.origin.start(condition, ic, split)
        if "camera_pose" in start.factors:
            raise UsageError(f"{condition} moves the cameras already: {self.id} cannot do it too")
        seed = stream(self.origin.id, self.task, f"camera-shift/{split}", ic)
        rng = np.random.default_rng(seed)
        poses = {}
        for camera in ROBOTS[self.robot].spec().cameras:
            way = rng.normal(size=3)
            shift = self.shift * way / np.linalg.norm(way)
            poses[camera] = {"shift": shift.tolist(), "turn": [0.0, 0.0, 0.0]}
        return add_factor(start, "camera_pose", poses)


@functools.cache
def derive(base: EvalProtocol, change: str) -> EvalProtocol:
    """Return ``base`` with a change.

    Raises:
        UsageError: an unknown change or gap, or cameras that would be moved too far.
    """
    known = {f.name: getattr(base, f.name) for f in fields(base)} | {"id": f"{base.id}+{change}"}
    if change == TWIN or change.startswith(f"{TWIN}-"):
        gap = change.removeprefix(TWIN).removeprefix("-") or ORDINARY
        if not GAPS[gap].to_json():
            raise UsageError(f"gap {gap!r} is no gap: leave out +{change}")
        return OnTwin(**known, base=base, gap=gap)
    if found := CAMERA.fullmatch(change):
        shift = float(found[1])
        if shift > MAX_MM:
            raise UsageError(f"cameras can be shifted by up to {MAX_MM:g} mm, got {shift:g}")
        return CamerasMoved(**known, base=base, shift=shift / 1000)
    gaps = ", ".join(f"{TWIN}-{name}" for name in differing())
    raise UsageError(f"unknown change {change!r} of {base.id}; known: {TWIN}, {gaps}, camera-<N>mm")
