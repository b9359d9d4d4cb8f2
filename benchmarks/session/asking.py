"""What is asked of an operator, and what the program has to do: functions of the state alone."""

from collections.abc import Mapping
from string import ascii_lowercase

from benchmarks.failures import FAILURES, RULES
from benchmarks.session import attempt as at
from benchmarks.session import deciding
from benchmarks.session.attempt import said
from benchmarks.session.lock import Lock
from benchmarks.session.state import FAIL, State
from benchmarks.session.view import UNDO_S, CheckView, Choice, TestView
from envs.task import Task
from envs.tasks import TASKS

BESIDE = ("policy_error", "safety_stop", "other")
"""Labels that an operator may choose beside those that a simulation can tell."""

END = Choice("end", "end", "end the session for good", "e", reason=True)
TAKE_OVER = Choice("operator", "take over", "take over as operator")

NEEDED = ("files", "arm")
"""Checks without which nothing can be done: they are repeated, not waived."""

WORDS: Mapping[str, str] = {
    at.NEXT: "Stand clear, then press next: the arm goes to its start pose.",
    at.MOVING: "The arm goes to its start pose. Stand clear.",
    at.RESET: "Put everything where its outline is, then measure.",
    at.MEASURING: "The scene is being measured.",
    at.READY: "Everything is in its place. Stand clear and start.",
    at.RUNNING: "The arm drives itself. The space bar, or STOP, holds it.",
}
QUESTIONS: Mapping[str, str] = {
    "success": "Was the task done, and is it at rest now?",
    "stage": "How far did it come? Choose the last stage that was reached.",
    "failure": "What went wrong first?",
}


def phase(state: State) -> str:
    """Return where a session is: one of ``view.PHASES``."""
    if state.closed:
        return "closed"
    if state.ended:
        return _after(state)
    if not state.ready:
        return "preflight"
    attempt = state.attempt
    if attempt is None or state.complete > state.looks:
        return at.NEXT
    return at.RESET if attempt.step == at.MEASURING else attempt.step


def _after(state: State) -> str:
    if unfilmed(state):
        return "ended"
    if not state.unrated and len(state.ratings) < len(state.to_rate()):
        return "rating"
    return "closing"


def unfilmed(state: State) -> tuple[str, ...]:
    """Return the codes of trials whose films are to be made."""
    return tuple(
        trial.code
        for trial in state.lock.schedule
        if trial.rated and trial.block < state.complete and trial.code not in state.films
    )


def job(state: State) -> str:
    """Return what the program has to do now; empty: wait for an answer.

    ``check``, ``look``, ``end``, ``prepare``, ``measure``, ``run``, ``film``, ``close``.
    """
    where = phase(state)
    if where == "preflight":
        return "check" if waiting(state) else ""
    if state.ended:
        return {"ended": "film", "closing": "close"}.get(where, "")
    if state.complete > state.looks:
        return "look"
    if state.looks and deciding.decision(state) != deciding.CONTINUE:
        return "end"
    step = state.attempt.step if state.attempt else at.NEXT
    return {at.MOVING: "prepare", at.MEASURING: "measure", at.RUNNING: "run"}.get(step, "")


def waiting(state: State) -> str:
    """Return the check that is to be made now; none while one that failed waits for a word."""
    failed = any(check["outcome"] == FAIL for check in state.checks.values())
    return "" if failed else next((n for n in state.names if n not in state.checks), "")


def ask(state: State, now: float, titles: Mapping[str, str]) -> str:
    """Return what is asked or happening, in words."""
    where = phase(state)
    if where == "preflight":
        return _ask_check(state, titles)
    attempt = state.attempt
    if attempt is not None and attempt.step == at.LABEL:
        return QUESTIONS[at.question(attempt)]
    if attempt is not None and attempt.step == at.LABELLED:
        left = attempt.labelled + UNDO_S - now
        undo = f" Undo within {left:.0f} s, or press next." if left > 0 else " Press next."
        return f"Noted: {said(attempt.labels)}.{undo}"
    late = {
        "ended": f"No more trials: {state.ended}. Films are being made.",
        "rating": "For a second person, who has not seen the trial: was the task done?",
        "closing": "The records are being sealed.",
        "closed": "The session is closed; the codes are resolved.",
    }
    if where in late:
        return late[where]
    if job(state) in ("look", "end"):
        return "The block is complete: the test is asked."
    return WORDS[attempt.step if attempt is not None else at.NEXT]


def _ask_check(state: State, titles: Mapping[str, str]) -> str:
    failed = [c for c in state.checks.values() if c["outcome"] == FAIL]
    if failed:
        or_not = "" if failed[0]["name"] in NEEDED else ", or say why not"
        return f"{titles[failed[0]['name']]}: {failed[0]['text']}. Repeat it{or_not}."
    name = waiting(state)
    return f"Preflight: {titles.get(name, name)}."


def choices(state: State, now: float) -> tuple[Choice, ...]:
    """Return what may be answered now."""
    where = phase(state)
    if where == "preflight":
        return _of_checks(state)
    if where == "rating":
        return (
            Choice("rating", "yes", "done", "y"),
            Choice("rating", "no", "not done", "n"),
            Choice("rating", "skip", "nobody can rate", reason=True),
        )
    if state.ended or job(state):
        return ()
    attempt = state.attempt
    step = attempt.step if attempt is not None else at.NEXT
    return _of_step(state, step, now)


def _of_checks(state: State) -> tuple[Choice, ...]:
    failed = [check["name"] for check in state.checks.values() if check["outcome"] == FAIL]
    if not failed:
        return (END,)
    again = Choice("check", "again", "repeat it", "r")
    if failed[0] in NEEDED:
        return (again, END)
    return (again, Choice("check", "waive", "go on all the same", "w", reason=True), END)


def _of_step(state: State, step: str, now: float) -> tuple[Choice, ...]:
    void = Choice("void", "void", "void: run it again", "v", reason=True)
    if step == at.NEXT:
        return (Choice("next", "next", "next trial", "n"), END)
    if step == at.RESET:
        found: list[Choice] = [Choice("measure", "measure", "measure", "m")]
        if state.attempt is not None and state.attempt.placed:
            found.append(Choice("accept", "accept", "run as it is", "a", reason=True))
        return (*found, void)
    if step == at.READY:
        return (
            Choice("start", "start", "start", "s"),
            Choice("measure", "measure", "measure again", "m"),
            void,
        )
    if step == at.LABEL:
        return (*_labels(state), void)
    if step == at.LABELLED and state.attempt is not None:
        undo = (Choice("undo", "undo", "undo", "u"),)
        again = undo if now <= state.attempt.labelled + UNDO_S else ()
        return (Choice("next", "next", "next", "n"), *again, void)
    return ()


def _labels(state: State) -> tuple[Choice, ...]:
    asked = at.question(state.attempt) if state.attempt is not None else ""
    if asked == "success":
        return (Choice("success", "yes", "success", "y"), Choice("success", "no", "failure", "f"))
    if asked == "stage":
        names = ("none", *state.lock.stages)[: len(state.lock.stages)]
        return tuple(Choice("stage", str(i), name, str(i)) for i, name in enumerate(names))
    labels = failure_labels(TASKS[state.lock.body["task"]])
    keys = [key for key in ascii_lowercase if key not in "v"]
    return tuple(
        Choice("failure", label, f"{label}: {FAILURES[label].about}", key)
        for label, key in zip(labels, keys, strict=False)
    )


def failure_labels(task: Task) -> tuple[str, ...]:
    """Return the labels that count and can be of ``task``, in their order."""
    own = type(task).failures is not Task.failures
    return tuple(
        name
        for name, failure in ((name, FAILURES[name]) for name in FAILURES)
        if failure.counts and (own or name in RULES or name in BESIDE)
    )


def check_views(state: State, titles: Mapping[str, str], running: bool) -> tuple[CheckView, ...]:
    """Return the preflight as it stands."""
    now = waiting(state) if running else ""
    found = []
    for name in state.names:
        check = state.checks.get(name)
        if check is None:
            outcome = "running" if name == now else "waiting"
            found.append(CheckView(name, titles.get(name, name), outcome))
        else:
            evidence = check.get("evidence", {})
            found.append(CheckView(name, titles[name], check["outcome"], check["text"], evidence))
    return tuple(found)


def decided(state: State) -> TestView:
    """Return what may be known of the test."""
    decision = deciding.decision(state)
    return TestView(state.complete, state.lock.terms.blocks, decision, deciding.told(state))


def suggestion(state: State) -> str:
    """Return what was told automatically of the last trial whose labels are final."""
    final = [
        (tried[-1], code)
        for code, tried in state.attempts.items()
        if tried and tried[-1].step == at.FINAL
    ]
    if not final:
        return ""
    attempt, code = max(final, key=lambda pair: pair[0].order)
    automatic = attempt.ran["automatic"]
    if automatic["success"] is None:
        return f"{code}: you said {said(attempt.labels)}; nothing could tell automatically"
    same = automatic["success"] == attempt.labels["success"]
    agree = "the same" if same else "otherwise"
    return f"{code}: you said {said(attempt.labels)}; automatically, {agree}: {said(automatic)}"


def title_of(lock: Lock) -> str:
    """Return a line about a session."""
    terms = lock.terms
    return (
        f"{terms.name}: {lock.arms} policies, {terms.protocol} on the {terms.robot} "
        f"({'twin' if terms.world == 'twin' else 'arm'}), at most {terms.blocks} blocks"
        f"{''.join(f', {name} {value}' for name, value in sorted(terms.execution.items()))}"
    )
