"""The steps of `armtrials session` from the preflight to the end."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from scripts.session_lock import say
from scripts.session_page import PORT, operate_page, report_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from benchmarks.session.closed import Closed
    from benchmarks.session.opening import Opened
    from benchmarks.session.rig import Rig
    from benchmarks.session.session import Session
    from benchmarks.session.view import View
    from policies.base import Policy


@dataclass(frozen=True)
class Run:
    """Make the trials of a locked session, from where it was left, and close it at the end."""

    folder: Positional[Path] = Path("session")
    """Folder of the session."""
    who: str = ""
    """Name or alias of the operator; it is recorded."""
    script: bool = False
    """On the twin: a program operates, no person is needed."""
    page: bool = False
    """On a page in the browser, which asks for the operator's name itself."""
    port: int = PORT
    """Port of the page on this machine; 0 takes a free one."""

    def run(self) -> int:
        """Operate it; return 0 where it is closed, 1 where it was left."""
        from benchmarks.session.opening import open_session
        from benchmarks.session.script import Script, eyes_of, operate
        from benchmarks.session.session import Session
        from envs.errors import UsageError
        from scripts.session_terminal import Log, terminal

        opened = open_session(self.folder)
        if self.script and opened.lock.terms.world != "twin":
            raise UsageError("--script is for the twin: on an arm a person operates")
        if not self.script and not self.page and not self.who.strip():
            raise UsageError("--who is needed: the operator's name or alias is recorded")
        with Session(opened) as session:
            if self.script:
                script = Script(eyes_of(session), who=self.who or "script")
                operate(session, script, Log(say))
            elif self.page:
                operate_page(session, self.port, self.folder)
            else:
                terminal(session, self.who, self.folder)
            return ended(session, self.folder)


def ended(session: "Session", folder: Path) -> int:
    """Say how a session stands after it was operated; return the exit code."""
    from benchmarks.session.closing import read_closed
    from envs.errors import UsageError

    view = session.view()
    if view.phase == "stopped":
        raise UsageError(view.problem)
    if view.phase != "closed":
        say(f"\nleft in {view.phase!r}; it goes on with: armtrials session run {folder}")
        return 1
    for line in summary(read_closed(folder)):
        say(line)
    say(f"  report: {report_of(folder)}")
    return 0


def summary(closed: "Closed") -> list[str]:
    """Return what came of a closed session, with the policies' names."""
    from benchmarks.stats import wilson

    lines = [f"\n{closed.name}, {closed.world}: {closed.ended}. The codes are resolved:"]
    for name in sorted(closed.policies):
        won = [
            t.labels.success for t in closed.trials if t.policy == name and t.counted and t.labels
        ]
        if won:
            interval = wilson(sum(won), len(won))
            share = f"{100 * interval.low:.0f}-{100 * interval.high:.0f} %"
            lines.append(f"  {name}: {sum(won)} of {len(won)} ({share}), {closed.runs[name]}")
    last = {(look.first, look.second): look for look in closed.path}
    words = {"a": "{0} is better", "b": "{1} is better", "undecided": "no difference was found",
             "continue": "nothing was decided"}  # fmt: skip
    for (first, second), look in last.items():
        said = words[look.decision].format(first, second)
        lines.append(f"  {first} against {second}: {said} ({look.wins} starts only the first, "
                     f"{look.losses} only the second, after {look.block} blocks)")  # fmt: skip
    for rater, one in closed.agreement.items():
        kappa = "not defined" if one.kappa is None else f"{one.kappa:.2f}"
        lines.append(f"  operator and {rater}: {one.agree:.0%} of {one.n} alike, kappa {kappa}")
    voids = sum(bool(trial.void) for trial in closed.trials)
    lines.append(f"  {voids} void attempts, {len(closed.deviations)} deviations:")
    return [*lines, *(f"    - {text}" for text in closed.deviations)]


@dataclass(frozen=True)
class Status:
    """Tell how a session stands, without a name; of a closed one, what came of it."""

    folder: Positional[Path] = Path("session")
    """Folder of the session."""

    def run(self) -> int:
        """Print it; return 0."""
        from benchmarks.session import asking, deciding
        from benchmarks.session.closing import read_closed
        from benchmarks.session.ledger import read_ledger
        from benchmarks.session.lock import read_lock
        from benchmarks.session.state import fold

        lock = read_lock(self.folder)
        state = fold(lock, read_ledger(self.folder, lock.hash))
        say(asking.title_of(lock))
        say(f"lock {lock.hash}, made {lock.body['made']}")
        if state.closed:
            for line in summary(read_closed(self.folder)):
                say(line)
            return 0
        done = sum(state.settled(trial) for trial in lock.schedule)
        say(f"{done} of at most {len(lock.schedule)} trials, {state.voids} void attempts")
        say(f"test: {deciding.told(state)}")
        for note in state.notes:
            say(f"  - {note}")
        return 0


@dataclass(frozen=True)
class Close:
    """End a session early, without its arm: what is complete is sealed, the codes are resolved."""

    folder: Positional[Path] = Path("session")
    """Folder of the session."""
    who: str = ""
    """Name or alias of the operator."""
    reason: str = ""
    """Why; it is recorded as a deviation, and so is that no film is rated any more."""

    def run(self) -> int:
        """Close it; return 0."""
        from benchmarks.session.opening import open_session
        from benchmarks.session.session import Session
        from envs.errors import UsageError

        if not self.who.strip() or not self.reason.strip():
            raise UsageError("--who and --reason are needed: both are recorded")
        with Session(open_session(self.folder), no_arm) as session:
            view = session.view()
            while view.phase not in ("closed", "stopped"):
                view = self._next(session, view)
            return ended(session, self.folder)

    def _next(self, session: "Session", view: "View") -> "View":
        """Give the answer that leads on, or wait for the work."""
        if session.state.operator not in ("", self.who.strip()):
            return session.answer("operator", "take over", self.who)
        for choice in view.choices:
            if choice.name == "end" or (choice.name, choice.value) == ("rating", "skip"):
                return session.answer(choice.name, choice.value, self.who, self.reason)
        return session.wait(view.number, 1.0)


def no_arm(opened: "Opened", policies: "Sequence[Policy]", gone: "threading.Event") -> "Rig":
    """Refuse to connect: closing needs no arm."""
    from envs.errors import UsageError

    raise UsageError("closing needs no arm")
