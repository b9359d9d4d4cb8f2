"""One attempt at a trial: the steps it goes through, each by an event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from envs.errors import UsageError

NEXT, MOVING, RESET, MEASURING = "next", "moving", "reset", "measuring"
READY, RUNNING, LABEL, LABELLED = "ready", "running", "label", "labelled"
FINAL, VOID = "final", "void"

QUESTIONS = ("success", "stage", "failure")
INTERRUPTED = "interrupted: the program ended while the policy drove"


@dataclass(frozen=True)
class Attempt:
    """What is known of an attempt.

    Attributes:
        order: its place among all attempts of the session.
        step: one of the constants above.
        placed: what the reset check measured last.
        accepted: a reason to run although it was not within the tolerance.
        ran: what the run gave, without its labels.
        labels: what the operator said so far, by question.
        labelled: when the last question was answered [s since 1970].
        who: who labelled.
        undone: how often labels were taken back.
        void: why it does not count.
    """

    order: int
    step: str = MOVING
    placed: Mapping[str, Any] = field(default_factory=dict)
    accepted: str = ""
    ran: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    labelled: float = 0.0
    who: str = ""
    undone: int = 0
    void: str = ""


Event = Mapping[str, Any]


def advance(attempt: Attempt, event: Event, goal: int) -> Attempt:
    """Return the attempt after an event of its own.

    Args:
        attempt: before it.
        event: of a kind in `RULES`.
        goal: number of the task's stages.

    Raises:
        UsageError: it does not fit the step, such as an outcome that was entered already.
    """
    steps, rule = RULES[event["kind"]]
    if attempt.step not in steps:
        raise UsageError(_refusal(event, attempt))
    return rule(attempt, event, goal)


def _refusal(event: Event, attempt: Attempt) -> str:
    if event["kind"] == "answered" and attempt.step in (LABELLED, FINAL):
        return f"the outcome of this trial was entered already: {said(attempt.labels)}"
    return f"{event['kind']!r} cannot follow here: the trial is at {attempt.step!r}"


def said(labels: Mapping[str, Any]) -> str:
    """Return labels in words."""
    if labels.get("success"):
        return "success"
    told = f"no success, stage {labels.get('stage')}"
    return f"{told}, {labels['failure']}" if labels.get("failure") else told


def _answered(attempt: Attempt, event: Event, goal: int) -> Attempt:
    name, value = event["name"], event["value"]
    asked = question(attempt)
    if name in attempt.labels:
        raise UsageError(f"{name} of this trial was entered already")
    if name != asked:
        raise UsageError(f"asked is {asked!r}, not {name!r}")
    labels = {**attempt.labels, name: value}
    if name == "success" and value:
        labels |= {"stage": goal, "failure": None}
    if len(labels) < len(QUESTIONS):
        return replace(attempt, labels=labels)
    return replace(attempt, labels=labels, step=LABELLED, labelled=event["t"], who=event["who"])


def question(attempt: Attempt) -> str:
    """Return what is asked of a trial that has run."""
    return next((name for name in QUESTIONS if name not in attempt.labels), "")


def _undone(attempt: Attempt, event: Event, goal: int) -> Attempt:
    return replace(attempt, step=LABEL, labels={}, labelled=0.0, undone=attempt.undone + 1)


def _measured(attempt: Attempt, event: Event, goal: int) -> Attempt:
    placed = dict(event["placed"])
    return replace(attempt, step=READY if placed["ok"] else RESET, placed=placed)


def _to(step: str) -> Callable[[Attempt, Event, int], Attempt]:
    return lambda attempt, event, goal: replace(attempt, step=step)


Rule = Callable[[Attempt, Event, int], Attempt]

RULES: Mapping[str, tuple[tuple[str, ...], Rule]] = {
    "begun": ((NEXT,), _to(MOVING)),
    "prepared": ((MOVING,), _to(RESET)),
    "hitch": ((MOVING, RESET, MEASURING, READY), _to(NEXT)),
    "measuring": ((RESET, READY), _to(MEASURING)),
    "measured": ((MEASURING,), _measured),
    "accepted": (
        (RESET,),
        lambda a, e, goal: replace(a, step=READY, accepted=e["reason"]),
    ),
    "started": ((READY,), _to(RUNNING)),
    "ran": (
        (RUNNING,),
        lambda a, e, goal: replace(a, step=LABEL, ran=dict(e["ran"])),
    ),
    "answered": ((LABEL,), _answered),
    "undone": ((LABELLED,), _undone),
    "final": ((LABELLED,), _to(FINAL)),
    "voided": (
        (NEXT, RESET, READY, RUNNING, LABEL, LABELLED),
        lambda a, e, goal: replace(a, step=VOID, void=e["reason"]),
    ),
}
"""By kind of event: the steps at which it may come, and what it makes of the attempt."""


def reopened(attempt: Attempt) -> Attempt:
    """Return an attempt as the next process finds it: the arm is nowhere, a run is lost."""
    if attempt.step == RUNNING:
        return replace(attempt, step=VOID, void=INTERRUPTED)
    if attempt.step in (MOVING, RESET, MEASURING, READY):
        return replace(attempt, step=NEXT, accepted="")
    return attempt
