"""What a deployment logs of an episode: every step as it comes, and at the end how it went."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drive import Ended, Period, Pilot
from benchmarks.real_trial import LATE, chain_counts
from envs.arm import Array
from envs.episode import inspect_file
from envs.episode_meta import EpisodeMeta
from envs.recorder import INTERRUPTED, Note, Recorder
from real.real_arm import RealArm
from real.safety_log import read_events
from real.teleop.album import FAILED
from real.teleop.later import LaterAlbum
from real.teleop.takeover import PERSON, POLICY, WAITING

BY = {POLICY: 0, WAITING: 1, PERSON: 2}
"""Who drove, as ``envs/step_log.py`` writes it."""
EVENTS = 20
"""Lines of the safety log that an episode carries; the file beside it has all."""


@dataclass(frozen=True)
class Duty:
    """Under what a policy is at work.

    Attributes:
        policy: what a record says of it: name, hashes, data.
        leave: by whose leave it moves the arm, ``Permission.to_json()``; or that it is a twin.
        sim: whether the arm is a twin.
        safety: file of the safety log.
        execution: how chunks are carried out, as a manifest says it.
    """

    policy: Mapping[str, Any]
    leave: Mapping[str, Any]
    sim: bool
    safety: Path
    execution: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what every record says."""
        told = {"policy": self.policy, "leave": self.leave, "execution": self.execution}
        return {name: dict(found) for name, found in told.items()}


@dataclass(frozen=True)
class Logged:
    """One episode: number, outcome, control periods, lost ones, those that a person drove."""

    index: int
    success: bool
    failure: str
    steps: int
    lost: int
    taken: int
    hz: float

    def __str__(self) -> str:
        """Return it in a line."""
        how = "success" if self.success else f"failure ({self.failure.replace('_', ' ')})"
        taken = f", {self.taken / self.hz:.1f} s by a person" if self.taken else ""
        seconds = self.steps / self.hz
        return f"episode {self.index}: {how} after {seconds:.1f} s{taken}, {self.lost} lost ticks"


@dataclass
class Take:
    """One episode while it runs.

    Attributes:
        said: what a person says of its outcome.
        discard: whether it is to be thrown away.
        stamps: when each control period ended, on the arm's clock [s].
    """

    arm: RealArm
    meta: EpisodeMeta
    recorder: Recorder
    duty: Duty
    length: int
    said: bool | None = None
    discard: bool = False
    stamps: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    taken: int = 0

    def __post_init__(self) -> None:
        """Begin at what was seen last."""
        self._begun = self._stamp = self.arm.stamp
        self._before = chain_counts(self.arm)

    def note(self, period: Period, pilot: Pilot, by: str) -> None:
        """Log a control period, whoever ``by`` drove in it.

        Raises:
            UsageError: the disk is full; the steps before are safe.
        """
        joints = self.arm.joints
        asked = period.action if pilot.action is None else pilot.action
        age = max(joints.ages.values(), default=0.0)
        sent = joints.sent
        note = Note(asked, int(sent.verdict), BY[by], pilot.seconds, age, pilot.chunk, self.length)
        self.recorder.append(period.seen, sent.target, self._stamp - self._begun, note)
        self._stamp = self.arm.stamp
        self.stamps.append(self._stamp)
        self.taken += by == PERSON
        if pilot.chunk is not None:
            self.latencies.append(1e3 * pilot.seconds)

    def ended(self, success: bool, failure: str, ended: Ended) -> tuple[EpisodeMeta, Logged]:
        """Return what the episode's file says of it, and what is said of it in a line."""
        meta = replace(self.meta, success=success, failure=failure, deployment=self._about(ended))
        hz, steps = self.arm.spec.control_hz, len(self.stamps)
        lost = int((self._periods > LATE / hz).sum())
        return meta, Logged(meta.index or 0, success, failure, steps, lost, self.taken, hz)

    @property
    def _periods(self) -> Array:
        """Time of every control period (T,) [s]."""
        return np.diff([self._begun, *self.stamps])

    def _about(self, ended: Ended) -> str:
        verdicts, findings = (
            {k: n - old.get(k, 0) for k, n in new.items() if n != old.get(k)}
            for old, new in zip(self._before, chain_counts(self.arm), strict=True)
        )
        safety = self.duty.safety
        events = read_events(safety, self._begun, self._stamp)
        told = {
            **self.duty.to_json(),
            "stage": self.arm.stage,
            "ended": {"ends": ended.ends, "reason": ended.reason},
            "safety": {
                "log": safety.name,
                "verdicts": verdicts,
                "findings": findings,
                "events": events[:EVENTS],
            },
            "latency_ms": quantiles(self.latencies),
            "period_ms": quantiles((1e3 * self._periods).tolist()),
        }
        return json.dumps(told, sort_keys=True)


def quantiles(times: list[float]) -> dict[str, float]:
    """Return p50, p95, p99 and the longest of some times; nothing of none."""
    if not times:
        return {}
    found = np.percentile(times, (50, 95, 99, 100))
    return dict(zip(("p50", "p95", "p99", "max"), np.round(found, 3).tolist(), strict=True))


def logged_episodes(album: LaterAlbum) -> int:
    """Count the episodes of an album that ran to their end."""
    failed = [album.out / FAILED / f"episode_{i}.hdf5" for i in album.failed]
    whole = [path for path in failed if inspect_file(path).meta.failure != INTERRUPTED]
    return len(album.successes) + len(whole)
