"""An operator who is a program: for the twin, where no person is needed and every step is tested.

It knows what a person standing there would see, which no front-end is told before it is labelled.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.session.session import Session
from benchmarks.session.twin_rig import Hand
from benchmarks.session.view import Operated, View
from envs.arm import InitialCondition
from envs.errors import UsageError
from envs.task import Pose

HAND_MM, HAND_DEG = 1.0, 1.0
"""Spread with which a careful hand places things [mm], [deg]."""

SLIP_MM = 25.0
"""How far off a hand puts things that it puts in a wrong place [mm]."""

WAIT_S = 60.0
"""After which the script looks again, though nothing was told [s]."""

PATIENCE = 5
"""So often in a row an arm may fail before the script leaves the session."""

Eyes = Callable[[View], Mapping[str, Any]]
"""Returns ``success``, ``stage`` and ``failure`` of the trial that a view is about."""


def eyes_of(session: Session) -> Eyes:
    """Return the eyes of somebody who stands beside the twin."""

    def look(view: View) -> Mapping[str, Any]:
        attempt = session.state.last(view.code)
        if attempt is None or not attempt.ran:
            raise ValueError(f"{view.code!r} has not run")
        seen: Mapping[str, Any] = attempt.ran["automatic"]
        return seen

    return look


def careful(slips: float, seed: int, zones: tuple[str, ...]) -> Hand:
    """Return a hand that places things to a millimetre or so, and now and then in a wrong place.

    Args:
        slips: share of the first tries that are wrong.
        seed: of the hand; the same start is placed in the same way.
        zones: what is marked on the table and nobody moves.
    """

    def place(start: InitialCondition, tries: int) -> InitialCondition:
        rng = np.random.default_rng([seed, start.seed, tries])
        wrong = tries == 0 and rng.random() < slips
        objects = {
            name: pose if name in zones else _moved(pose, rng, wrong)
            for name, pose in start.objects.items()
        }
        return replace(start, objects=objects)

    return place


def _moved(pose: Pose, rng: np.random.Generator, wrong: bool) -> Pose:
    """Return a pose as a hand gives it to a thing on a table."""
    x, y = 1e-3 * HAND_MM * rng.normal(size=2)
    if wrong:
        way = rng.uniform(0, 2 * np.pi)
        x, y = x + 1e-3 * SLIP_MM * np.cos(way), y + 1e-3 * SLIP_MM * np.sin(way)
    half = np.radians(HAND_DEG) * rng.normal() / 2
    c, s = np.cos(half), np.sin(half)
    qw, qx, qy, qz = pose[3:]
    turned = (c * qw - s * qz, c * qx - s * qy, c * qy + s * qx, c * qz + s * qw)
    return (float(pose[0] + x), float(pose[1] + y), pose[2], *map(float, turned))


@dataclass(frozen=True)
class Script:
    """What the program answers.

    Attributes:
        eyes: what it sees.
        who: the operator.
        second: the second rater.
        slips: share of the trials that it labels wrongly at first, and takes back.
        blinks: share of the films that the second rater sees otherwise.
        seed: of both.
    """

    eyes: Eyes
    who: str = "script"
    second: str = "second script"
    slips: float = 0.0
    blinks: float = 0.0
    seed: int = 0

    def answer(self, view: View) -> tuple[str, str, str, str] | None:
        """Return name, value, who and words of the answer to ``view``; None: wait."""
        if not {choice.name for choice in view.choices} - {"end"}:
            return None
        if view.phase == "rating":
            return self._rated(view)
        if view.phase == "label":
            return self._label(view)
        if view.phase == "labelled" and self._slipped(view):
            return ("undo", "undo", self.who, "")
        wanted = {
            "preflight": ("check", "waive", "no person is here to mend it"),
            "next": ("next", "next", ""),
            "reset": ("measure", "measure", ""),
            "ready": ("start", "start", ""),
            "labelled": ("next", "next", ""),
        }
        name, value, text = wanted[view.phase]
        return (name, value, self.who, text)

    def _chance(self, view: View, what: int) -> float:
        code = int.from_bytes(view.code.encode(), "big")
        return float(np.random.default_rng([self.seed, code, what]).random())

    def _slipped(self, view: View) -> bool:
        """Tell whether the labels are the wrong ones of a slip."""
        noted = view.ask.startswith("Noted: success")
        can = any(choice.name == "undo" for choice in view.choices)
        return can and noted != bool(self.eyes(view)["success"])

    def _label(self, view: View) -> tuple[str, str, str, str]:
        seen = self.eyes(view)
        asked = view.choices[0].name
        success = bool(seen["success"])
        if asked == "success":
            undone = any(f"{view.code}: labels were taken back" in note for note in view.deviations)
            slip = not undone and self._chance(view, 0) < self.slips
            return ("success", "yes" if success != slip else "no", self.who, "")
        known = [choice.value for choice in view.choices if choice.name == asked]
        value = str(seen[asked])
        return (asked, value if value in known else known[-1], self.who, "")

    def _rated(self, view: View) -> tuple[str, str, str, str]:
        blink = self._chance(view, 1) < self.blinks
        said = self.eyes(view)["success"] != blink
        return ("rating", "yes" if said else "no", self.second, "")


def operate(
    session: Operated, script: Script, tell: Callable[[View], object] = lambda view: None
) -> View:
    """Operate a session to its end; return the last view.

    Args:
        session: to operate.
        script: what is answered.
        tell: told every view that is new.

    Raises:
        UsageError: an answer was refused, the session stopped, or only a person can help.
    """
    view, told, failures = session.view(), -1, 0
    while view.phase != "closed":
        if view.phase == "stopped":
            raise UsageError(view.problem)
        if view.number != told:
            tell(view)
            told, failures = view.number, _failures(view, failures)
        if any(check.name == "stop" and check.outcome == "running" for check in view.checks):
            session.stop(script.who)
        answer = script.answer(view)
        if answer is None:
            view = session.wait(view.number, WAIT_S)
        else:
            name, value, who, text = answer
            view = session.answer(name, value, who, text, view.number)
    tell(view)
    return view


def _failures(view: View, before: int) -> int:
    """Count the failures of the arm, or of a check, up to ``view`` since a trial has run.

    Raises:
        UsageError: there were too many, or a check failed without which nothing can be done.
    """
    offered = {(choice.name, choice.value) for choice in view.choices}
    if ("check", "again") in offered and ("check", "waive") not in offered:
        raise UsageError(f"the session is left: {view.ask}")
    if view.phase == "label":
        return 0
    failures = before + (view.phase == "next" and bool(view.problem))
    if failures >= PATIENCE:
        raise UsageError(f"the session is left: the arm failed {failures} times: {view.problem}")
    return failures
