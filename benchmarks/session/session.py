"""A running session: it shows views, takes answers, and works in a thread of its own.

    with Session(open_session(folder), make_rig) as session:
        view = session.view()
        view = session.answer("next", "next", who="Kim")

Every answer and every result of the work is an event in the log before anything rests on it; what
there is to do next follows from the state alone (`asking.job`), so a session that was killed goes
on where its log ends.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Self

from benchmarks.session import asking
from benchmarks.session import attempt as at
from benchmarks.session.closing import Closer
from benchmarks.session.ledger import Ledger
from benchmarks.session.opening import Opened
from benchmarks.session.rigs import RigMaker, rig_of
from benchmarks.session.schedule import Planned
from benchmarks.session.state import State, apply, fold
from benchmarks.session.view import UNDO_S, Choice, View
from benchmarks.session.work import Work
from envs.errors import UsageError
from envs.gl import let_go
from envs.lock import locked
from real.stop import Reaction

log = logging.getLogger(__name__)

ARMED = ("check", "prepare", "measure", "run")
"""Work that an arm is needed for."""

BUSY = "another operator's program runs this session; end it, or use its page"
MOST_WORDS = 500  # letters of a reason


class Session:
    """One process's hold on a session; an ``Operated``.

    Attributes:
        opened: what it is made of.
        state: after all events so far.
    """

    def __init__(
        self,
        opened: Opened,
        make_rig: RigMaker = rig_of,
        now: Callable[[], float] = time.time,
        closer: Closer | None = None,
    ) -> None:
        """Prepare; entering takes the session up.

        Args:
            opened: of ``open_session``.
            make_rig: makes the arm, when it is first needed.
            now: the time [s since 1970].
            closer: seals the records; None: as usual.
        """
        self.opened, self._now = opened, now
        self._held = ExitStack()
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._work = Work(opened, make_rig, self._ending, closer)
        self._thread = threading.Thread(target=self._loop, name="session", daemon=True)
        self.failure: BaseException | None = None

    def __enter__(self) -> Self:
        """Take the session up.

        Raises:
            UsageError: another process runs it, its log was edited or is of another lock.
        """
        try:
            folder = self.opened.folder
            self._held.enter_context(locked(folder, BUSY))
            self._ledger = self._held.enter_context(
                Ledger(folder, self.opened.lock.hash, self._now)
            )
            self.state: State = fold(self.opened.lock, self._ledger.events)
            self._held.enter_context(self.opened.mask.logging())
            self._held.callback(self._work.close)
            if not self.state.closed:
                self._add("opened", host=socket.gethostname(), checks=self._work.names())
        except BaseException:
            self._held.close()
            raise
        let_go()  # pictures are drawn in the session's thread from here on
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the work, hold the arm, and let go of the session; it can be taken up again."""
        self._ending.set()
        self.stop("the session's end")
        with self._changed:
            self._changed.notify_all()
        self._thread.join()
        self._held.close()

    # What front-ends use.

    def view(self) -> View:
        """Return what there is to see now; never waits for the arm."""
        with self._changed:
            return self._view()

    def wait(self, number: int, timeout_s: float) -> View:
        """Return the view once its number is larger than ``number``, or after the time."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.state.number > number or self.failure is not None, timeout_s
            )
            return self._view()

    def answer(
        self, name: str, value: str, who: str, text: str = "", number: int | None = None
    ) -> View:
        """Take an answer and return what there is to see then; see ``Operated``.

        Raises:
            UsageError: it is not asked, was answered already, lacks its reason, or somebody else
                operates; nothing has happened.
        """
        with self._changed:
            self._check_alive()
            choice = self._choice(name, value, who, number)
            text = " ".join(text.split())
            if choice.reason and not text:
                raise UsageError(f"{choice.label!r} needs a reason, in words")
            if len(text) > MOST_WORDS:
                raise UsageError(f"a reason must have at most {MOST_WORDS} letters")
            self._take(choice, who.strip(), self.opened.mask(text))
            self._changed.notify_all()
            return self._view()

    def stop(self, source: str, limp: bool = False) -> None:
        """Emergency stop: hold the arm, whatever happens; also how the stop is tested."""
        board = self._work.board
        if board is not None:
            board.press(source[:40] or "somebody", Reaction.LIMP if limp else Reaction.HOLD)

    def picture(self, name: str) -> bytes:
        """Return a picture of the view.

        Raises:
            UsageError: there is none of this name now.
        """
        with self._changed:
            view = self._view()
            if name not in view.pictures:
                known = ", ".join(view.pictures) or "none"
                raise UsageError(f"there is no picture {name!r} now; there is: {known}")
            if name == "overlay":
                return self._work.overlay
            return (self.opened.folder / self.state.films[view.code]).read_bytes()

    def raise_failure(self) -> None:
        """Raise what ended the work, where something did: a full disk, a bug."""
        if self.failure is not None:
            raise self.failure

    # Answers become events.

    def _check_alive(self) -> None:
        if self.failure is not None:
            raise UsageError(
                f"the session has stopped: {self.opened.mask(str(self.failure))}; "
                "what was completed is kept, start it again"
            )

    def _choice(self, name: str, value: str, who: str, number: int | None) -> Choice:
        """Return what was chosen, or refuse it."""
        if not who.strip():
            raise UsageError("who operates must be said: a name or an alias")
        if number is not None and number != self.state.number:
            raise UsageError(
                f"this answers an older question (number {number}, now {self.state.number}): "
                "nothing was entered"
            )
        for choice in self._choices(who.strip()):
            if (choice.name, choice.value) == (name, value):
                return choice
        attempt = self.state.attempt
        if name in at.QUESTIONS and attempt is not None and name in attempt.labels:
            raise UsageError(f"{name} of this trial was entered already")
        if name != "rating" and self.state.operator not in ("", who.strip()):
            raise UsageError(f"{self.state.operator} operates this session: take over first")
        known = ", ".join(f"{c.name}={c.value}" for c in self._choices(who.strip())) or "nothing"
        raise UsageError(f"{name}={value} is not asked now; asked is: {known}")

    def _choices(self, who: str) -> tuple[Choice, ...]:
        """Return what ``who`` may answer now; empty who: whoever operates."""
        found = asking.choices(self.state, self._now())
        operator = self.state.operator
        if not who or operator in ("", who):
            rating = operator != "" and asking.phase(self.state) == "rating"
            return tuple(c for c in found if c.value == "skip") if rating and who else found
        if asking.phase(self.state) == "rating":
            return tuple(c for c in found if c.value != "skip")
        return () if self.state.closed else (asking.TAKE_OVER,)

    def _take(self, choice: Choice, who: str, text: str) -> None:
        """Turn an answer into events."""
        state = self.state
        if choice is asking.TAKE_OVER or not state.operator:
            self._add("operator", who=who)
        if choice is asking.TAKE_OVER:
            return
        if choice.name == "check":
            failed = next(n for n, c in state.checks.items() if c["outcome"] == "fail")
            kind = "again" if choice.value == "again" else "waived"
            self._add(kind, name=failed, reason=text, who=who)
        elif choice.name == "rating":
            self._rate(choice.value, who, text)
        elif choice.name == "end":
            self._add("ended", why=text, early=True, who=who)
        else:
            self._take_of_trial(choice, who, text)

    def _rate(self, value: str, who: str, text: str) -> None:
        if value == "skip":
            self._add("unrated", reason=text, who=who)
        else:
            self._add("rated", code=self._film_code(), success=value == "yes", who=who)

    def _film_code(self) -> str:
        state = self.state
        return next((code for code in state.to_rate() if code not in state.ratings), "")

    def _take_of_trial(self, choice: Choice, who: str, text: str) -> None:
        trial = self.state.current
        code = trial.code if trial is not None else ""
        if choice.name == "next":
            if self.state.attempt is not None and self.state.attempt.step == at.LABELLED:
                self._add("final", code=code)
                self._work.forget()
                return
            self._add("begun", code=code, who=who)
        elif choice.name in at.QUESTIONS:
            value: Any = choice.value
            value = {"success": value == "yes", "stage": value}.get(choice.name, value)
            value = int(value) if choice.name == "stage" else value
            self._add("answered", code=code, name=choice.name, value=value, who=who)
        else:
            kinds = {"measure": "measuring", "accept": "accepted", "start": "started",
                     "undo": "undone", "void": "voided"}  # fmt: skip
            self._add(kinds[choice.name], code=code, reason=text, who=who)

    def _add(self, kind: str, **fields: Any) -> None:  # noqa: ANN401  (JSON)
        """Apply an event, then write it: what cannot follow is never written."""
        event = self._ledger.make(kind, fields)
        after = apply(self.state, event)
        self._ledger.append(event)
        self.state = after

    # The work.

    def _has_work(self) -> bool:
        return self._ending.is_set() or self.state.closed or bool(asking.job(self.state))

    def _loop(self) -> None:
        """Do what there is to do until the session ends."""
        try:
            while self._step():
                pass
        except BaseException as error:  # shown to whoever asks; the log is whole
            log.debug("the session's work ended", exc_info=True)
            with self._changed:
                self.failure = error
                self._changed.notify_all()
        finally:
            let_go()

    def _step(self) -> bool:
        """Wait for a piece of work and do it; return whether there may be more."""
        with self._changed:
            self._changed.wait_for(self._has_work)
            if self._ending.is_set() or self.state.closed:
                return False
            kind, state = asking.job(self.state), self.state
        results = self._work.do(kind, state)
        with self._changed:
            if self._ending.is_set() and kind in ARMED:
                return False  # an arm that was held for the end says nothing of a policy
            for name, fields in results:
                self._add(name, **fields)
            self._changed.notify_all()
        return True

    # What there is to see.

    def _view(self) -> View:
        state, now = self.state, self._now()
        where, trial = asking.phase(state), state.current
        whose = "" if where == "rating" else state.operator
        shown = View(
            state.number, self.opened.lock.terms.name, where,
            asking.ask(state, now, self._work.titles),
            choices=() if self.failure else self._choices(whose),
            trials=len(state.lock.schedule), blocks=state.lock.terms.blocks,
            limit_s=self.opened.limit_s,
            checks=asking.check_views(state, self._work.titles, bool(asking.job(state))),
            suggestion=asking.suggestion(state), test=asking.decided(state),
            operator=state.operator, voids=state.voids, deviations=state.notes,
            problem=self.opened.mask(str(self.failure)) if self.failure else state.problem,
        )  # fmt: skip
        if self.failure is not None:
            return replace(shown, phase="stopped", ask="The program has stopped: start it again.")
        if where == "rating":
            return self._of_film(shown, self._film_code())
        if trial is None or where == "preflight":
            return shown
        return self._of_trial(shown, trial)

    def _of_film(self, view: View, code: str) -> View:
        told = self.opened.instruction(self.state.lock.planned(code).ic)
        return replace(view, code=code, pictures=("film",), instruction=told)

    def _of_trial(self, view: View, trial: Planned) -> View:
        state = self.state
        attempt = state.attempt
        done = sum(state.settled(planned) for planned in state.lock.schedule)
        view = replace(
            view, code=trial.code, trial=done + 1, block=trial.block + 1,
            attempt=state.voids_of(trial.code) + 1, instruction=self.opened.instruction(trial.ic),
        )  # fmt: skip
        if attempt is None:
            return view
        if attempt.step in (at.RESET, at.READY):
            pictures = ("overlay",) if self._work.overlay else ()
            view = replace(view, detail=self._work.lines, pictures=pictures)
        if attempt.step == at.LABELLED and state.time:
            until = attempt.labelled + UNDO_S
            view = replace(view, undo_until=until if self._now() <= until else None)
        return view
