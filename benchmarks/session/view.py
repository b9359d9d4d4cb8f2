"""What an operator sees of a session and what it takes: for the terminal, a page and a script.

A front-end shows a `View`, sends what was chosen with `Operated.answer`, and fetches pictures with
`Operated.picture`. Nothing in any of them names a policy before the session is closed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

PHASES = (
    "preflight", "next", "moving", "reset", "ready", "running", "label", "labelled", "ended",
    "rating", "closing", "closed", "stopped",
)  # fmt: skip
"""In their order; `next` to `labelled` once for every trial.

`preflight`: checks run, or one waits for the operator. `next`: the operator is to stand clear.
`moving`: the arm goes to its start pose. `reset`: things are to be placed and measured. `ready`: a
key starts the trial. `running`: the policy drives. `label`: success, stage, failure are asked.
`labelled`: undo is possible, then the automatic suggestion is shown. `ended`: all trials are done,
or the test has decided. `rating`: a second person rates films. `closing`: records are sealed.
`closed`: the codes are resolved. `stopped`: the program failed, `problem` says why; it can be
started again, with nothing lost.
"""

UNDO_S = 10.0
"""So long may labels be taken back [s]."""


@dataclass(frozen=True)
class Choice:
    """Something that may be answered now.

    Attributes:
        name: for `Operated.answer`.
        value: for it.
        label: on a button, in a few words.
        key: on a keyboard, one character; empty: none.
        reason: whether words must come with it, as ``answer(..., text=...)``.
    """

    name: str
    value: str
    label: str
    key: str = ""
    reason: bool = False


@dataclass(frozen=True)
class CheckView:
    """One check of the preflight.

    Attributes:
        name: short and unique, such as ``watchdog``.
        title: for people.
        outcome: ``waiting``, ``running``, ``pass``, ``fail``, ``waived`` or ``does not apply``.
        text: what was found, in a sentence.
        evidence: the numbers behind it, as JSON.
    """

    name: str
    title: str
    outcome: str
    text: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TestView:
    """What the sequential test lets an operator know: not who leads.

    Attributes:
        complete: blocks that are complete.
        most: blocks after which it ends in any case.
        decision: ``continue``, ``decided`` or ``undecided``.
        text: in a sentence.
    """

    __test__ = False  # pytest: this is none

    complete: int
    most: int
    decision: str
    text: str


@dataclass(frozen=True)
class View:
    """What an operator sees at one moment; ``to_json`` is for a page.

    Attributes:
        number: counts up with everything that happens; an answer may name the view it is to.
        session: name of the session.
        phase: of `PHASES`.
        ask: what is asked or happening, in words.
        detail: further lines, such as where an object must be moved.
        choices: what may be answered now; empty: wait.
        code: blind code of the trial; empty outside of trials.
        trial: number of the trial, from 1; 0 before the first.
        trials: how many there are at most.
        block: number of the block, from 1.
        blocks: how many there are at most.
        attempt: 1, or more where the trial was void before.
        instruction: what the arm is told to do in this trial, in words.
        limit_s: time that the policy has for a trial [s].
        pictures: names of pictures that `Operated.picture` returns now: ``overlay`` (where things
            go), ``film`` (mp4, while `rating`).
        checks: of the preflight.
        undo_until: until when labels can be taken back [s since 1970]; None: they cannot.
        suggestion: what was told automatically about the last labelled trial; only once its labels
            are final.
        test: what the sequential test says.
        operator: who operates; empty: nobody has answered yet.
        voids: void attempts so far.
        deviations: what was not as planned so far, in words.
        problem: what went wrong last, in words; empty where nothing did.
    """

    number: int
    session: str
    phase: str
    ask: str
    detail: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    code: str = ""
    trial: int = 0
    trials: int = 0
    block: int = 0
    blocks: int = 0
    attempt: int = 1
    instruction: str = ""
    limit_s: float = 0.0
    pictures: tuple[str, ...] = ()
    checks: tuple[CheckView, ...] = ()
    undo_until: float | None = None
    suggestion: str = ""
    test: TestView = TestView(0, 0, "continue", "")
    operator: str = ""
    voids: int = 0
    deviations: tuple[str, ...] = ()
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return asdict(self)


class Operated(Protocol):
    """A session as front-ends use it; every method may be called from any thread."""

    def view(self) -> View:
        """Return what there is to see now; never waits for the arm."""

    def answer(
        self, name: str, value: str, who: str, text: str = "", number: int | None = None
    ) -> View:
        """Take an answer and return what there is to see then.

        Args:
            name: of a choice in the view.
            value: of that choice.
            who: the operator; the first who answers operates until ``operator`` is handed over
                (``answer("operator", "take over", who)``).
            text: the reason, where the choice asks for one.
            number: of the view that is answered; an older one is refused.

        Raises:
            UsageError: it is not asked, was answered already, lacks its reason, or somebody else
                operates; nothing has happened.
        """

    def stop(self, source: str, limp: bool = False) -> None:
        """Emergency stop: hold the arm, whatever happens; also how the stop is tested.

        Args:
            source: who or what asks for it, such as ``page``.
            limp: switch the torque off instead: an arm that is held up falls.
        """

    def picture(self, name: str) -> bytes:
        """Return a picture of the view: PNG, or mp4 for ``film``.

        Raises:
            UsageError: there is none of this name now.
        """

    def wait(self, number: int, timeout_s: float) -> View:
        """Return the view once its number is larger than ``number``, or after the time."""
