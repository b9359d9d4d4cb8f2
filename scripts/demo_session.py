"""A whole blind session on the twin with a scripted operator: `armtrials demo session`."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scripts.session_run import ended
from scripts.session_terminal import Log

HAND_SLIPS, LABEL_SLIPS, BLINKS = 0.25, 0.15, 0.1
"""Share of resets out of tolerance at first, of labels taken back, of films seen otherwise."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class DemoSession:
    """Two policies, a clumsy but honest operator, and a second rater, all on the twin.

    Attributes:
        policies: checkpoint folders.
        blocks: at most so many starts, each met by every policy.
        folder: of the session; one that is unfinished goes on, a closed one is made anew.
        gap: how the twin differs from the simulation.
        data: demonstrations of which one is replayed before the trials; None: none.
        seed: of schedule, hand and raters.
    """

    policies: Sequence[str]
    blocks: int
    folder: Path
    gap: str
    data: Path | None
    seed: int

    def run(self, say: Say) -> int:
        """Lock the session, operate and close it; return 0."""
        from benchmarks.session.opening import open_session
        from benchmarks.session.rigs import rig_of
        from benchmarks.session.script import Script, careful, eyes_of, operate
        from benchmarks.session.session import Session
        from envs.world import world

        self._locked(say)
        opened = open_session(self.folder)
        protocol = opened.protocol
        zones = tuple(world(opened.task, protocol.robot).zones)
        hand = careful(HAND_SLIPS, self.seed, zones)
        with Session(opened, partial(rig_of, hand=hand)) as session:
            script = Script(eyes_of(session), slips=LABEL_SLIPS, blinks=BLINKS, seed=self.seed)
            operate(session, script, Log(say))
            return ended(session, self.folder)

    def _locked(self, say: Say) -> None:
        """Lock the session unless one is under way."""
        from benchmarks.session.deciding import plan
        from benchmarks.session.ledger import read_ledger
        from benchmarks.session.lock import LOCK, read_lock
        from benchmarks.session.state import fold
        from envs.errors import UsageError
        from scripts.session_lock import Lock

        wanted = Lock(
            tuple(self.policies), self.folder, twin=True, blocks=self.blocks, seed=self.seed,
            data=self.data, gap=self.gap, results=self.folder / "evaluations",
        )  # fmt: skip
        terms = wanted.terms()
        if (self.folder / LOCK).exists():
            lock = read_lock(self.folder)
            if not fold(lock, read_ledger(self.folder, lock.hash)).closed:
                artefacts = sorted(driver.artefact for driver in wanted.drivers())
                if (lock.terms, lock.body["artefacts"]) != (terms, artefacts):
                    raise UsageError(
                        f"{self.folder} holds an unfinished session, of other policies or terms: "
                        f"armtrials session run {self.folder} --script ends it; or give another "
                        "--cache"
                    )
                say(f"{self.folder} goes on where it was left.")
                return
            shutil.rmtree(self.folder)
        for line in plan(self.blocks, len(self.policies), terms.alpha, 0.9, 0.4):
            say(line)
        wanted.write(terms, say)
