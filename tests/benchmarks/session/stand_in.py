"""A session whose arm is a few lines of Python: for tests of everything but the arm."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.session import attempt as at
from benchmarks.session.arm_checks import TITLES
from benchmarks.session.driving import NO_QUALITY
from benchmarks.session.lock import Driver, Lock, Terms, artefact_of, make_lock
from benchmarks.session.opening import Opened, open_session
from benchmarks.session.rig import Found, Placing, Probe, Ran
from benchmarks.session.script import Script, eyes_of, operate
from benchmarks.session.session import Session
from benchmarks.session.state import PASS
from benchmarks.session.view import View
from benchmarks.trial import actions_digest
from envs.arm import InitialCondition
from real.stop import StopBoard

FLOORS = ("floor:hold", "floor:random")
MADE = "2026-01-01T00:00:00+00:00"


def lock_session(
    folder: Path, sources: Sequence[str] = FLOORS, blocks: int = 2, **terms: Any
) -> Lock:
    """Lock a session of policies called ``zebra0``, ``zebra1`` ..."""
    told = {"share": 0.0, "results": str(folder / "evaluations"), **terms}
    protocol = f"{told.pop('task', 'pick_place')}/v1"
    found = Terms("test", told.pop("world", "twin"), protocol, "viperx", blocks, **told)
    drivers = [Driver(f"zebra{i}", s, artefact_of(s)) for i, s in enumerate(sources)]
    return make_lock(folder, found, drivers, MADE, salt="5a17")


class Clock:
    """A time that passes only when it is told to, and a little with every look."""

    def __init__(self) -> None:
        self.time = 1.8e9

    def __call__(self) -> float:
        self.time += 0.001
        return self.time


class StandIn:
    """An arm that does nothing; policy k succeeds where ``wins(k, start's number)`` says so."""

    def __init__(self, opened: Opened, wins: Any = lambda arm, ic: arm == 0) -> None:
        self.opened, self.wins = opened, wins
        self.stop = StopBoard()
        self.ran: list[tuple[int, int]] = []
        self.placings: Any = itertools.repeat(True)
        self.voids: Any = itertools.repeat("")

    def probes(self) -> Sequence[Probe]:
        return [Probe(name, title, lambda: Found(PASS, "fine")) for name, title in TITLES.items()]

    def prepare(self, start: InitialCondition) -> Placing:
        return Placing(False, ("cube: move 10 mm left",), {}, b"PNG")

    def measure(self, start: InitialCondition) -> Placing:
        ok = next(self.placings)
        return Placing(ok, () if ok else ("cube: move 9 mm left",), {"cube": {"off_mm": 1.0}})

    def run(self, arm: int, start: InitialCondition, seed: int) -> Ran:
        ic = next(i for i in itertools.count() if self.opened.start(i).seed == start.seed)
        self.ran.append((ic, arm))
        success = bool(self.wins(arm, ic))
        automatic = {"success": success, "stage": 6 if success else 2,
                     "failure": None if success else "dropped"}  # fmt: skip
        actions = np.full((3, 7), float(arm), np.float32)
        told: Mapping[str, Any] = {
            "automatic": automatic, "steps": 3, "duration_s": 0.06, "quality": dict(NO_QUALITY),
            "latency": {"p50_ms": 1.0, "p99_ms": 2.0, "missed": 0}, "lost_ticks": 0, "clamps": 0,
            "ends": "", "reason": "", "actions_sha256": actions_digest(actions),
            "final_sha256": actions_digest(actions),
        }  # fmt: skip
        return Ran(next(self.voids), told, {"actions": actions})

    def close(self) -> None:
        pass


def held(folder: Path, clock: Clock | None = None, rig: Any = None, **made: Any) -> Session:
    """Return a session on a stand-in, to be entered."""
    opened = open_session(folder)
    arm = rig or StandIn(opened, **made)
    return Session(opened, lambda *found: arm, clock or Clock())


def until(
    session: Session, phase: str, who: str = "kim", tell: Callable[[View], Any] = lambda view: None
) -> None:
    """Answer as a script does until ``phase`` is asked about; ``tell`` views on the way."""
    script = Script(eyes_of(session), who=who)
    while (view := session.view()).phase != phase or not view.choices:
        session.raise_failure()
        tell(view)
        answer = script.answer(view)
        if answer is None:
            session.wait(view.number, 20.0)
        else:
            name, value, said, text = answer
            session.answer(name, value, said, text, view.number)


def finish(session: Session, **script: Any) -> None:
    """Operate to the end."""
    operate(session, Script(eyes_of(session), who="kim", **script))


STEPS = (at.NEXT, at.RESET, at.READY, at.LABEL, at.LABELLED)
