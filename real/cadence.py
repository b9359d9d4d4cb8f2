"""How regular a recording was: rate, jitter, pictures lost and shown twice, leader and follower.

Data that says 50 Hz and was recorded at 30 teaches a policy to move at the wrong speed, so what
does not keep its declared rate is not kept as a success.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from envs.arm import Array
from envs.atomic import write_atomic

CADENCE = "cadence"
"""Failure label of an episode that did not keep its rate, and the folder of the reports."""

TOLERANCE = 0.05
"""Share by which the measured rate may differ from the declared one."""

LOST = 1.5
"""A period longer than so many declared ones counts as lost ticks."""


@dataclass(frozen=True)
class CameraCadence:
    """Pictures of one camera: how many came, were missed, and how many ticks saw an old one."""

    frames: int
    dropped: int
    repeated: int


@dataclass(frozen=True)
class Cadence:
    """How regular an episode was.

    Attributes:
        declared_hz: rate that the file would say.
        hz: measured rate, by the mean period.
        p99_ms: 99th percentile of the periods.
        jitter_ms: standard deviation of the periods.
        lost: periods longer than 1.5 declared ones.
        offset: largest distance between what the leader asked for and where the follower was, by
            joint [rad; opening], in the mean over the episode.
        cameras: of every camera.
    """

    declared_hz: float
    hz: float
    p99_ms: float
    jitter_ms: float
    lost: int
    offset: Mapping[str, float] = field(default_factory=dict)
    cameras: Mapping[str, CameraCadence] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether the declared rate was kept."""
        share = self.hz / self.declared_hz
        return abs(share - 1.0) <= TOLERANCE

    @property
    def flag(self) -> str:
        """What is wrong with the rate; empty where it was kept."""
        return "" if self.kept else f"recorded at {self.hz:.1f} Hz, not {self.declared_hz:g}"

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    def __str__(self) -> str:
        """Return it in a line."""
        text = f"{self.hz:.1f} Hz, jitter {self.jitter_ms:.1f} ms, {self.lost} lost ticks"
        for name, camera in self.cameras.items():
            text += f"; {name}: {camera.dropped} pictures lost, {camera.repeated} seen twice"
        if self.offset:
            joint, most = max(self.offset.items(), key=lambda item: item[1])
            text += f"; {joint} {most:.3f} behind its leader"
        return text


class Notes:
    """What is noted of every step of an episode, to be measured at its end."""

    def __init__(self) -> None:
        """Begin an episode."""
        self._times: list[float] = []
        self._numbers: dict[str, list[int]] = {}
        self._wanted: list[Array] = []
        self._measured: list[Array] = []

    def __len__(self) -> int:
        """Return the steps noted."""
        return len(self._times)

    @property
    def first(self) -> float | None:
        """When the first observation was made [s]."""
        return self._times[0] if self._times else None

    def add(self, time: float, numbers: Mapping[str, int], wanted: Array, measured: Array) -> None:
        """Note a step.

        Args:
            time: when its observation was made [s].
            numbers: of the pictures in it, by camera.
            wanted: what was asked for (n,).
            measured: where the arm was (n,).
        """
        self._times.append(time)
        self._wanted.append(wanted)
        self._measured.append(measured)
        for camera, number in numbers.items():
            self._numbers.setdefault(camera, []).append(number)

    def measure(self, declared_hz: float, joints: Sequence[str]) -> Cadence:
        """Measure the episode; see ``measure``."""
        return measure(
            self._times,
            declared_hz,
            numbers=self._numbers,
            wanted=np.array(self._wanted),
            measured=np.array(self._measured),
            joints=joints,
        )


def report(out: Path, index: int, cadence: Cadence) -> None:
    """Leave the cadence of episode ``index`` in the folder ``out`` of the recording."""
    folder = out / CADENCE
    folder.mkdir(exist_ok=True)
    data = json.dumps(cadence.to_json(), indent=1, sort_keys=True) + "\n"
    write_atomic(folder / f"episode_{index}.json", data.encode())


def measure(
    times: Sequence[float],
    declared_hz: float,
    *,
    numbers: Mapping[str, Sequence[int]] | None = None,
    wanted: Array | None = None,
    measured: Array | None = None,
    joints: Sequence[str] = (),
) -> Cadence:
    """Measure an episode.

    Args:
        times: when each observation was made (T,) [s].
        declared_hz: rate that the file would say.
        numbers: number of the picture in each observation (T,), by camera.
        wanted: what the leader asked for (T, n).
        measured: where the follower was (T, n).
        joints: their names.

    Raises:
        ValueError: fewer than two times.
    """
    if len(times) < 2:
        raise ValueError(f"an episode must have at least 2 steps, got {len(times)}")
    periods = np.diff(np.asarray(times, float))
    offset: dict[str, float] = {}
    if wanted is not None and measured is not None:
        means = np.abs(np.asarray(wanted, float) - np.asarray(measured, float)).mean(0)
        offset = {name: round(float(mean), 4) for name, mean in zip(joints, means, strict=True)}
    cameras = {name: _camera(np.asarray(seen, int)) for name, seen in (numbers or {}).items()}
    # By the mean, so that many short periods after long ones do not hide what is missing.
    return Cadence(
        declared_hz=declared_hz,
        hz=round(float(1 / periods.mean()), 3),
        p99_ms=round(float(np.percentile(periods, 99) * 1e3), 2),
        jitter_ms=round(float(periods.std() * 1e3), 2),
        lost=int((periods > LOST / declared_hz).sum()),
        offset=offset,
        cameras=cameras,
    )


def _camera(numbers: Array) -> CameraCadence:
    steps = np.diff(numbers)
    new = int((steps != 0).sum())
    return CameraCadence(new + 1, int(np.maximum(steps - 1, 0).sum()), int((steps == 0).sum()))
