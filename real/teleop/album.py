"""The folder of demonstrations that a person fills: the same files that ``collect`` makes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from envs.collection import Collection, claim, identity, write_info
from envs.episode import inspect_file
from envs.episode_meta import EpisodeMeta
from envs.lock import locked
from envs.recorder import Recorder, recover

FAILED = "failed"
UNDONE = "undone"
RECORDING = "recording"
SOURCE = "teleop"


@dataclass(frozen=True)
class Kept:
    """An episode that was kept: its number and its file."""

    index: int
    path: Path


class Album:
    """Keeps episodes by number; use it in a ``with`` statement.

    Successes are ``episode_<i>.hdf5``, the others lie in ``failed/``, what is taken back in
    ``undone/``. What a killed session was recording is found again and put with the failures, what
    it had completed with its like.

    Attributes:
        index: number of the episode to record next.
        failed: numbers of the failures, sorted.
        successes: numbers of the successes, sorted.
        protocol: hash of how the episodes are made.
    """

    def __init__(
        self, out: Path, collection: Collection, who: Mapping[str, Any] | None = None
    ) -> None:
        """Prepare to fill ``out`` with episodes of ``collection``, by a person or by ``who``.

        A folder is filled by one: ``who`` is part of what its ``dataset.json`` says.
        """
        self.out, self.collection = Path(out), collection
        self._who = dict(who or {"operator": SOURCE})
        self._history: list[Kept] = []

    def __enter__(self) -> Self:
        """Claim the folder.

        Raises:
            UsageError: it cannot be written, holds other data, or another process records there.
        """
        self._lock = locked(self.out, "another process is recording into it")
        self._lock.__enter__()
        try:
            definition: dict[str, Any] = {**self.collection.definition(), **self._who}
            self._info = claim(self.out, definition)
            self.protocol = identity(definition)
            recover(self.out / RECORDING)
            for path in sorted((self.out / RECORDING).glob("episode_*.hdf5")):
                done = inspect_file(path).meta.success
                self._move(path, self.out if done else self.out / FAILED)
            self._count()
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        self.index = self._free(0)
        return self

    def __exit__(self, *_: object) -> None:
        """Free the folder."""
        self._lock.__exit__(None, None, None)

    def record(self, meta: EpisodeMeta) -> Recorder:
        """Begin to record the next episode."""
        path = self.out / RECORDING / f"episode_{self.index}.hdf5"
        return Recorder(path, replace(meta, protocol_hash=self.protocol))

    def keep(self, recorder: Recorder, meta: EpisodeMeta) -> Kept:
        """Finish the recording and put it into its place; the next number is free.

        Raises:
            UsageError: the disk is full; the recording is found again by the next session.
        """
        path = recorder.finish(replace(meta, protocol_hash=self.protocol))
        kept = Kept(self.index, self._move(path, self.out if meta.success else self.out / FAILED))
        self._history.append(kept)
        self._count()
        self.skip()
        return kept

    def collect(self) -> None:
        """Nothing: every file is made at once; see ``LaterAlbum``."""

    def skip(self) -> None:
        """Go on to the next number that is free."""
        self.index = self._free(self.index + 1)

    def undo(self) -> Kept | None:
        """Take back the last episode kept in this session; None where there is none."""
        if not self._history:
            return None
        kept = self._history.pop()
        moved = self._move(kept.path, self.out / UNDONE)
        self._count()
        self.index = kept.index
        return Kept(kept.index, moved)

    def _free(self, index: int) -> int:
        """Return the first number from ``index`` on that no episode has."""
        while index in {*self.successes, *self.failed}:
            index += 1
        return index

    def _count(self) -> None:
        """Read the folder and write what is in it into ``dataset.json``."""
        self.successes = _numbers(self.out)
        self.failed = _numbers(self.out / FAILED)
        attempts = len(self.successes) + len(self.failed)
        found = (attempts, len(self.successes), self.failed)
        if found != (self._info.attempts, self._info.episodes, self._info.failed):
            self._info = replace(
                self._info, attempts=attempts, episodes=len(self.successes), failed=self.failed
            )
            write_info(self.out, self._info)

    @staticmethod
    def _move(path: Path, folder: Path) -> Path:
        """Move a file into ``folder``, beside one of the same name."""
        folder.mkdir(parents=True, exist_ok=True)
        target, again = folder / path.name, 0
        while target.exists():
            again += 1
            target = folder / f"{path.stem}.{again}{path.suffix}"
        path.replace(target)
        return target


def _numbers(folder: Path) -> tuple[int, ...]:
    """Return the numbers of the episodes in ``folder``, sorted."""
    stems = [path.stem.removeprefix("episode_") for path in folder.glob("episode_*.hdf5")]
    return tuple(sorted(int(stem) for stem in stems if stem.isdecimal()))
