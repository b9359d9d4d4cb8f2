"""What a session is at a moment: a pure function of its lock and its events."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.session.attempt import FINAL, NEXT, RULES, VOID, Attempt, Event, advance, reopened
from benchmarks.session.lock import Lock
from benchmarks.session.schedule import Planned
from envs.errors import UsageError

PASS, FAIL, WAIVED, NOT_HERE = "pass", "fail", "waived", "does not apply"
DONE = (PASS, WAIVED, NOT_HERE)


@dataclass(frozen=True)
class State:
    """A session after its events so far.

    Attributes:
        lock: what was fixed.
        number: events so far.
        began, time: of the first and of the last event [s since 1970].
        opened: how often a process took the session up.
        names: the checks of the preflight in their order, since it was opened last.
        checks: results by name, since then.
        operator: who operates.
        attempts: by code, in their order.
        looks: complete blocks of which the test has been asked.
        ended: why no more trials are made; empty while they are.
        films: file by code.
        ratings: code -> whether the second rater saw a success.
        rater: who that is.
        unrated: why films were not rated.
        seals: hashes of the sealed runs by the policies' numbers; empty until they are sealed.
        runs: their folders, once the codes are resolved.
        unblinded: the key, once it is opened.
        closed: whether it is over.
        notes: what was not as planned, in words, in order.
        problem: what went wrong last.
    """

    lock: Lock
    number: int = 0
    began: float = 0.0
    time: float = 0.0
    opened: int = 0
    names: tuple[str, ...] = ()
    checks: Mapping[str, Event] = field(default_factory=dict)
    operator: str = ""
    attempts: Mapping[str, tuple[Attempt, ...]] = field(default_factory=dict)
    looks: int = 0
    ended: str = ""
    films: Mapping[str, str] = field(default_factory=dict)
    ratings: Mapping[str, bool] = field(default_factory=dict)
    rater: str = ""
    unrated: str = ""
    seals: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)
    unblinded: Mapping[str, Any] = field(default_factory=dict)
    closed: bool = False
    notes: tuple[str, ...] = ()
    problem: str = ""

    @property
    def ready(self) -> bool:
        """Whether every check of the preflight passed, does not apply or was waived."""
        return bool(self.names) and all(
            name in self.checks and self.checks[name]["outcome"] in DONE for name in self.names
        )

    def last(self, code: str) -> Attempt | None:
        """Return the newest attempt at a trial."""
        tried = self.attempts.get(code, ())
        return tried[-1] if tried else None

    def settled(self, trial: Planned) -> bool:
        """Tell whether a trial has its outcome for good."""
        attempt = self.last(trial.code)
        return attempt is not None and attempt.step == FINAL

    @property
    def complete(self) -> int:
        """Number of complete blocks; they are made one after the other."""
        open_blocks = [trial.block for trial in self.lock.schedule if not self.settled(trial)]
        return min(open_blocks, default=self.lock.terms.blocks)

    @property
    def current(self) -> Planned | None:
        """The trial that is made now or next; one that was void comes last in its block."""
        if self.ended:
            return None
        block = self.complete
        open_trials = [
            trial
            for trial in self.lock.schedule
            if trial.block == block and not self.settled(trial)
        ]
        return min(open_trials, key=lambda t: (self.voids_of(t.code), t.place), default=None)

    def voids_of(self, code: str) -> int:
        """Count the void attempts at a trial."""
        return sum(attempt.step == VOID for attempt in self.attempts.get(code, ()))

    @property
    def voids(self) -> int:
        """Number of void attempts."""
        return sum(self.voids_of(code) for code in self.attempts)

    @property
    def attempt(self) -> Attempt | None:
        """The attempt that is under way, None before its first step."""
        trial = self.current
        found = None if trial is None else self.last(trial.code)
        return None if found is None or found.step in (VOID, FINAL) else found

    def outcomes(self) -> list[dict[int, bool]]:
        """Return, for every complete block, success by arm."""
        found: list[dict[int, bool]] = [{} for _ in range(self.complete)]
        for trial in self.lock.schedule:
            attempt = self.last(trial.code)
            if trial.block < len(found) and attempt is not None:
                found[trial.block][trial.arm] = bool(attempt.labels["success"])
        return found

    def to_rate(self) -> tuple[str, ...]:
        """Return the codes of the films that a second person rates, in their order."""
        return tuple(
            trial.code
            for trial in self.lock.schedule
            if trial.rated and trial.block < self.complete and self.films.get(trial.code)
        )


def fold(lock: Lock, events: Iterable[Event]) -> State:
    """Return the state after ``events``.

    Raises:
        UsageError: an event that cannot follow the ones before.
    """
    state = State(lock)
    for event in events:
        state = apply(state, event)
    return state


def apply(state: State, event: Event) -> State:
    """Return the state after one more event.

    Raises:
        UsageError: it cannot follow; the message says why.
    """
    kind = event["kind"]
    if event["n"] != state.number:
        raise UsageError(f"event {event['n']} cannot be number {state.number}")
    if state.closed:
        raise UsageError("the session is closed: nothing can be added")
    after = replace(
        state, number=state.number + 1, time=event["t"], began=state.began or event["t"]
    )
    if kind in RULES:
        return _trial(after, event)
    if kind not in CHANGES:
        raise UsageError(f"unknown event {kind!r}")
    return CHANGES[kind](after, event)


def _trial(state: State, event: Event) -> State:
    """Apply an event of the trial that is made now."""
    trial = state.current
    if trial is None or event["code"] != trial.code:
        raise UsageError(f"trial {event['code']} is not the one that is made now")
    if not state.ready and event["kind"] in ("begun", "prepared", "started"):
        raise UsageError("the preflight has not passed")
    tried = state.attempts.get(trial.code, ())
    if event["kind"] == "begun" and (not tried or tried[-1].step == VOID):
        made = Attempt(sum(map(len, state.attempts.values())))
        tried = (*tried, made)
    elif not tried:
        raise UsageError(f"trial {trial.code} has not begun")
    else:
        tried = (*tried[:-1], advance(tried[-1], event, len(state.lock.stages)))
    problem = event.get("problem", "")
    notes = (*state.notes, *_told(event, trial.code))
    attempts = {**state.attempts, trial.code: tried}
    return replace(state, attempts=attempts, notes=notes, problem=problem)


def _told(event: Event, code: str) -> list[str]:
    """Say in which way an event is not as planned."""
    words = {
        "hitch": "{code}: {problem}",
        "voided": "{code} is void and made again: {reason}",
        "accepted": "{code} ran although it was not within the tolerance: {reason}",
        "undone": "{code}: labels were taken back",
    }
    kind = event["kind"]
    return [words[kind].format(**{**event, "code": code})] if kind in words else []


def _opened(state: State, event: Event) -> State:
    attempts = {
        code: (*tried[:-1], reopened(tried[-1])) for code, tried in state.attempts.items() if tried
    }
    notes = [f"{code} is void and made again: {new[-1].void}"
             for code, new in attempts.items()
             if new[-1].step == VOID and state.attempts[code][-1].step != VOID]  # fmt: skip
    if state.opened:
        notes = [f"the session was taken up again ({state.opened + 1}. time)", *notes]
    return replace(
        state, opened=state.opened + 1, names=tuple(event["checks"]), checks={}, problem="",
        attempts=attempts, notes=(*state.notes, *notes),
    )  # fmt: skip


def _checked(state: State, event: Event) -> State:
    name = event["name"]
    if name not in state.names:
        raise UsageError(f"unknown check {name!r}; known: {', '.join(state.names)}")
    return replace(state, checks={**state.checks, name: event})


def _again(state: State, event: Event) -> State:
    checks = {name: check for name, check in state.checks.items() if name != event["name"]}
    return replace(state, checks=checks)


def _waived(state: State, event: Event) -> State:
    check = state.checks.get(event["name"])
    if check is None or check["outcome"] != FAIL:
        raise UsageError(f"check {event['name']!r} has not failed")
    waived = {**check, "outcome": WAIVED, "reason": event["reason"]}
    note = f"check {event['name']} was waived: {event['reason']} ({check['text']})"
    return replace(
        state, checks={**state.checks, event["name"]: waived}, notes=(*state.notes, note)
    )


def _operated(state: State, event: Event) -> State:
    if not state.operator:
        return replace(state, operator=event["who"])
    note = f"{event['who']} took over from {state.operator}"
    return replace(state, operator=event["who"], notes=(*state.notes, note))


def _ended(state: State, event: Event) -> State:
    if state.ended or (state.attempt is not None and state.attempt.step != NEXT):
        raise UsageError("trials cannot end here")
    notes = (*state.notes, f"ended early: {event['why']}") if event["early"] else state.notes
    return replace(state, ended=event["why"], notes=notes)


def _rated(state: State, event: Event) -> State:
    code = event["code"]
    if code not in state.to_rate() or code in state.ratings:
        raise UsageError(f"film {code} is not to be rated, or was rated already")
    ratings = {**state.ratings, code: bool(event["success"])}
    return replace(state, ratings=ratings, rater=event["who"])


def _unrated(state: State, event: Event) -> State:
    note = f"not all films were rated by a second person: {event['reason']}"
    return replace(state, unrated=event["reason"], notes=(*state.notes, note))


def _unblinded(state: State, event: Event) -> State:
    if not state.seals:
        raise UsageError("the records must be sealed before the codes are resolved")
    return replace(state, unblinded=dict(event["key"]), runs=dict(event["runs"]))


CHANGES: Mapping[str, Callable[[State, Event], State]] = {
    "opened": _opened,
    "checked": _checked,
    "again": _again,
    "waived": _waived,
    "operator": _operated,
    "looked": lambda s, e: replace(s, looks=e["block"]),
    "ended": _ended,
    "filmed": lambda s, e: replace(s, films={**s.films, e["code"]: e["film"]}),
    "rated": _rated,
    "unrated": _unrated,
    "sealed": lambda s, e: replace(s, seals=dict(e["seals"])),
    "unblinded": _unblinded,
    "closed": lambda s, e: replace(s, closed=True),
}
"""What the events that belong to no trial make of the state, by kind."""
