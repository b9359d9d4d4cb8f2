"""A session on a terminal, over SSH too: what is asked, and a key for every answer."""

import queue
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from real.keys import on_keys
from real.stop import Reaction, StopBoard

if TYPE_CHECKING:
    from benchmarks.session.view import CheckView, Choice, Operated, View

LEAVE = "\x04"
"""Ctrl-D leaves the session, which can be taken up again."""

POLL_S = 0.2
ENTER, ERASE = ("\r", "\n"), ("\x7f", "\b")


class Stops(StopBoard):
    """Passes stops of the keyboard on to a session; while words are typed, keys are letters."""

    def __init__(self, session: "Operated", typed: Callable[[str], None]) -> None:
        """Stop ``session``; tell ``typed`` the letters."""
        super().__init__()
        self._session, self._typed = session, typed
        self.typing = False

    def press(self, source: str, reaction: Reaction = Reaction.HOLD) -> None:
        """Hold the arm, or make it limp."""
        letter = {"space bar": " ", "L key": "L"}.get(source)
        if self.typing and letter is not None:
            self._typed(letter)
        elif source == "closed terminal":
            self._session.stop(source)
            self._typed(LEAVE)
        else:
            self._session.stop(source, reaction is Reaction.LIMP)


class Terminal:
    """Shows the views of a session, and takes keys.

    Attributes:
        shown: number of the view that a key answers.
    """

    def __init__(self, session: "Operated", who: str, folder: Path, out: TextIO) -> None:
        """Let ``who`` operate ``session``, whose pictures are put into ``folder``."""
        self._session, self._who, self._folder, self._out = session, who, folder, out
        self._keys: queue.Queue[str] = queue.Queue()
        self._stops = Stops(session, self._keys.put)
        self._rater = ""
        self.shown = -1

    def run(self) -> "View":
        """Operate until the session is closed or left; return the last view."""
        self._say("Keys are in brackets. The space bar stops the arm, L makes it limp, "
                  "Ctrl-D leaves; the same command goes on.")  # fmt: skip
        with on_keys(self._stops, self._keys.put) as there:
            if not there:
                from envs.errors import UsageError

                raise UsageError("there is no terminal to listen to: run it in one, or --script")
            return self._operate()

    def _operate(self) -> "View":
        view, log = self._session.view(), Log(lambda text: self._say(f"\n{text}"), keys=True)
        while view.phase not in ("closed", "stopped"):
            if log(view):
                self._keep_picture(view)
            self.shown = view.number
            try:
                key = self._keys.get(timeout=POLL_S)
            except queue.Empty:
                view = self._session.wait(view.number, POLL_S)
                continue
            if key == LEAVE:
                break
            view = self._press(key, view)
        return view

    def _press(self, key: str, view: "View") -> "View":
        from envs.errors import UsageError

        chosen = next((c for c in view.choices if c.key == key), None)
        if chosen is None and key == "x":
            chosen = next((c for c in view.choices if not c.key), None)
        if chosen is None:
            return self._session.view()
        try:
            who, text = self._about(chosen, view)
            return self._session.answer(chosen.name, chosen.value, who, text, view.number)
        except UsageError as error:
            self._say(f"  refused: {error}")
            return self._session.view()

    def _about(self, chosen: "Choice", view: "View") -> tuple[str, str]:
        """Return who answers, and the reason where one is needed."""
        if view.phase == "rating" and not chosen.reason:
            self._rater = self._rater or self._typed("name of the second rater: ")
            return self._rater, ""
        return self._who, self._typed("reason: ") if chosen.reason else ""

    def _typed(self, prompt: str) -> str:
        """Return a line that is typed."""
        self._out.write(f"  {prompt}")
        self._out.flush()
        self._stops.typing, line = True, ""
        try:
            while (key := self._keys.get()) not in ENTER:
                if key == LEAVE:
                    self._keys.put(LEAVE)
                    return ""
                line = line[:-1] if key in ERASE else line + key
                self._out.write("\b \b" if key in ERASE else key)
                self._out.flush()
        finally:
            self._stops.typing = False
        self._out.write("\n")
        return line

    def _keep_picture(self, view: "View") -> None:
        """Put the picture of a view where a person can open it."""
        for name in view.pictures:
            path = self._folder / f"{name}.{'mp4' if name == 'film' else 'png'}"
            path.write_bytes(self._session.picture(name))
            self._say(f"  {name}: {path}")

    def _say(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()


class Log:
    """Tells views as text, of each what is new."""

    def __init__(self, say: Callable[[str], None], keys: bool = False) -> None:
        """Tell ``say``; with ``keys`` also what may be answered."""
        self._say, self._keys = say, keys
        self._checks: set[str] = set()
        self._last: list[str] = []

    def __call__(self, view: "View") -> bool:
        """Tell a view; return whether anything was new."""
        checks = [_check(c) for c in view.checks if c.outcome not in ("waiting", "running")]
        new = [line for line in checks if line not in self._checks]
        self._checks = set(checks)
        lines = words(view).splitlines()
        if not self._keys:  # nobody is asked
            asked = view.phase == "preflight"
            lines = [line for line in lines if not asked and not line.startswith("  [")]
        if lines != self._last:
            known = not self._keys and lines[:1] == self._last[:1]  # the line of the trial
            new += lines[known:]
            self._last = lines
        if new:
            self._say("\n".join(new))
        return bool(new)


def _check(check: "CheckView") -> str:
    return f"  {check.outcome:>14}  {check.title}: {check.text}"


def words(view: "View") -> str:
    """Return a view as lines of text, without its checks."""
    lines = []
    if view.code and view.phase != "rating":
        again = f", attempt {view.attempt}" if view.attempt > 1 else ""
        lines.append(
            f"trial {view.trial} of at most {view.trials}, block {view.block} of {view.blocks}: "
            f"{view.code}{again}. Task: {view.instruction}"
        )
    elif view.code:
        lines.append(f"film {view.code}. Task: {view.instruction}")
    if view.phase == "next" and view.suggestion:
        lines += [f"  {view.suggestion}", f"  test: {view.test.text}"]
    if view.problem:
        lines.append(f"  ! {view.problem}")
    lines.append(_steady(view))
    if view.phase == "running":
        lines.append(f"  It has {view.limit_s:g} s.")
    lines += [f"  - {line}" for line in view.detail]
    lines += [f"  [{c.key or 'x'}] {c.label}" for c in view.choices]
    return "\n".join(lines)


def _steady(view: "View") -> str:
    """Return what is asked; a countdown would repeat the whole text every second."""
    if view.phase != "labelled":
        return view.ask
    noted = view.ask.partition(".")[0]
    return f"{noted}." + (" Undo is possible for 10 s." if view.undo_until else "")


def terminal(session: "Operated", who: str, folder: Path) -> "View":
    """Operate a session on this terminal; return the last view."""
    return Terminal(session, who, folder, sys.stdout).run()
