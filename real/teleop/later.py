"""An album whose files are made by another process: keeping an episode takes no longer than a step.

What is kept is complete in its journal and forced to the disk before ``keep`` returns; a session
that is killed afterwards loses nothing: the next one makes the file.
"""

import fcntl
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from envs.collection import Collection
from envs.episode_meta import EpisodeMeta
from envs.errors import UsageError
from envs.journal import in_use
from envs.recorder import Recorder, finalise
from real.teleop.album import FAILED, RECORDING, Album, Kept

WAIT_S = 60.0
"""How long the files of a session that was killed are waited for, and the last one's at the end."""


class LaterAlbum(Album):
    """An album that makes its files while the next episode is recorded.

    Attributes:
        pending: episodes whose files are being made, by number, with where they will be.
    """

    def __init__(
        self, out: Path, collection: Collection, who: Mapping[str, Any] | None = None
    ) -> None:
        """Prepare to fill ``out`` with episodes of ``collection``, see ``Album``."""
        super().__init__(out, collection, who)
        self.pending: dict[int, Kept] = {}

    def __enter__(self) -> Self:
        """Claim the folder and start the other process; see ``Album``."""
        _wait_for_writers(self.out / RECORDING)
        super().__enter__()
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(target=_finalise_all, args=(far,), daemon=True)
        self._process.start()
        far.close()
        return self

    def __exit__(self, *error: object) -> None:
        """Wait for the files, end the process, free the folder."""
        try:
            self.wait()
        finally:
            self._pipe.close()
            self._process.join(5)
            super().__exit__(None, None, None)

    def keep(self, recorder: Recorder, meta: EpisodeMeta) -> Kept:
        """Complete the recording; its file follows. The next number is free.

        Raises:
            UsageError: the disk is full; the recording is found again by the next session.
        """
        self.collect()
        journal = recorder.seal(replace(meta, protocol_hash=self.protocol))
        folder = self.out if meta.success else self.out / FAILED
        name = f"episode_{self.index}.hdf5"
        kept = Kept(self.index, folder / name)
        self.pending[self.index] = kept
        self._pipe.send((self.index, journal))
        self.skip()
        return kept

    def undo(self) -> Kept | None:
        """Take back the last episode kept in this session; None where there is none."""
        self.wait()
        return super().undo()

    def collect(self) -> None:
        """Put the files that are made into their places.

        Raises:
            UsageError: one could not be made; its journal stays.
        """
        while self.pending and self._pipe.poll():
            self._take()

    def wait(self) -> None:
        """Wait for all files and put them into their places."""
        while self.pending:
            if not self._pipe.poll(WAIT_S):
                raise UsageError(f"{self.out}: the files take too long; the journals are safe")
            self._take()

    def _take(self) -> None:
        index, problem = self._pipe.recv()
        kept = self.pending.pop(index)
        if problem:
            raise UsageError(problem)
        made = self.out / RECORDING / kept.path.name
        self._history.append(Kept(index, self._move(made, kept.path.parent)))
        self._count()

    def _free(self, index: int) -> int:
        while index in {*self.successes, *self.failed, *self.pending}:
            index += 1
        return index


def _finalise_all(pipe: Connection) -> None:
    """Make the file of every journal that comes, until nobody is there any more."""
    session = multiprocessing.parent_process()
    while True:
        try:
            index, journal = pipe.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        problem = ""
        try:
            with journal.open("rb") as file:  # the next session sees that somebody is at it
                fcntl.flock(file, fcntl.LOCK_SH)
                if session is None or not session.is_alive():
                    return  # killed: the next session makes what is left
                finalise(journal)
        except (OSError, UsageError) as error:
            problem = f"{journal}: {error}"
        try:
            pipe.send((index, problem))
        except OSError:
            return


def _wait_for_writers(folder: Path) -> None:
    """Wait until nobody writes or finalises a journal in ``folder`` any more."""
    last = time.monotonic() + WAIT_S
    while time.monotonic() < last and any(_held(path) for path in _journals(folder)):
        time.sleep(0.05)


def _journals(folder: Path) -> Sequence[Path]:
    return sorted(folder.glob("*.journal"))


def _held(journal: Path) -> bool:
    """Tell whether another process has the journal open for writing or for making its file."""
    try:
        with journal.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return in_use(journal)
