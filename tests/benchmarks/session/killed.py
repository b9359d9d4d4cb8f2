"""A program that operates a session and is killed again and again, at every kind of moment.

``python -m tests.benchmarks.session.killed FOLDER SEED``: forks a child, which dies by SIGKILL
before, within or after the write of some event, until one has closed the session.
"""

import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

from benchmarks.session.ledger import FILE, Ledger
from benchmarks.session.opening import open_session
from benchmarks.session.rig import Ran
from tests.benchmarks.session.stand_in import StandIn, finish, held

MOST = 400
"""Children; each gets at least one event further, or none if it dies within its write."""

WAYS = ("before", "within", "after")


class Counted(StandIn):
    """Notes every run where a killed process leaves it."""

    def run(self, arm: int, start: Any, seed: int) -> Ran:
        ran = super().run(arm, start, seed)
        with (self.opened.folder / "runs.txt").open("a") as notes:
            notes.write(f"{self.ran[-1]}\n")
        return ran


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def child(folder: Path, rng: random.Random) -> None:
    """Operate, and die at some event, unless the session is closed before."""
    left, way = rng.randint(1, 45), rng.choice(WAYS)
    whole = Ledger.append

    def append(self: Ledger, event: Any) -> None:
        nonlocal left
        left -= 1
        if left:
            whole(self, event)
            return
        if way == "before":
            die()
        whole(self, event)
        if way == "within":
            path = folder / FILE
            data = path.read_bytes()
            start = data.rstrip(b"\n").rfind(b"\n") + 1
            os.truncate(path, rng.randint(start, len(data) - 1))
        die()

    Ledger.append = append  # type: ignore[method-assign]
    opened = open_session(folder)
    with held(folder, rig=Counted(opened)) as session:
        finish(session)


def main(folder: Path, seed: int) -> int:
    rng = random.Random(seed)
    for count in range(1, MOST):
        drawn = rng.randint(0, 2**31)
        if (pid := os.fork()) == 0:
            child(folder, random.Random(drawn))
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        if not os.WIFSIGNALED(status):
            sys.stdout.write(f"{count - 1} kills\n")
            return os.WEXITSTATUS(status)
    return 3


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
