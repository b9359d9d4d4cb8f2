"""Demonstrations by the scripted expert: in parallel, resumable, the same bytes every time.

A folder of demonstrations holds ``episode_<i>.hdf5`` for the attempts that succeeded, the others in
``failed/``, and ``dataset.json``. What is half-written when the process stops is made anew.
"""

import functools
import math
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from envs.collection import Collection, claim, identity, read_info, write_info
from envs.demonstrate import Demonstrator
from envs.disk import full_disk_told
from envs.episode import read_episode
from envs.errors import UsageError
from envs.executor import Executor
from envs.local_workers import LOCAL
from envs.lock import locked
from envs.pool import Pool
from envs.recorder import Recorder

FAILED = "failed"
PARTIAL = ".partial"
PATIENCE = 20  # attempts before the success rate is judged
LEAST_RATE = 0.1  # share of successes below which collecting is given up


@dataclass(frozen=True)
class Outcome:
    """One attempt: its index, whether it succeeded, and whether it was there already."""

    index: int
    success: bool
    kept: bool = False


@dataclass(frozen=True)
class CollectReport:
    """What a collection came to.

    Attributes:
        episodes: successful demonstrations in the folder.
        attempts: demonstrations attempted in all.
        kept: those that were there already.
        failed: indices of the attempts that failed.
    """

    episodes: int
    attempts: int
    kept: int
    failed: tuple[int, ...]

    @property
    def rate(self) -> float:
        """Share of the attempts that succeeded."""
        return self.episodes / self.attempts


def collect(
    collection: Collection,
    episodes: int,
    out: Path,
    workers: int = 1,
    progress: Callable[[int], None] = lambda n: None,
    executor: Executor = LOCAL,
) -> CollectReport:
    """Put ``episodes`` successful demonstrations into the folder ``out``.

    Valid episodes that are there already are kept; a folder that holds more keeps them all.

    Args:
        collection: how they are made.
        episodes: number of successful demonstrations wanted.
        out: the folder; made if missing.
        workers: processes, one core each; the bytes do not depend on it.
        progress: called with 0 when the work begins, then with the number of demonstrations that
            were just completed.
        executor: where the processes are; the bytes do not depend on it either.

    Raises:
        UsageError: another collection is in ``out``, it cannot be written, the disk is full, or
            the expert succeeds too rarely.
    """
    out = Path(out)
    if episodes < 1:
        raise UsageError(f"episodes must be at least 1, got {episodes}")
    with locked(out, "another process is collecting into it"), _full_disk_told(out):
        definition = collection.definition()
        info = claim(out, definition)
        shutil.rmtree(out / PARTIAL, ignore_errors=True)
        make = functools.partial(Collector, collection, out, identity(definition))
        try:
            wanted = max(episodes, info.episodes)
            with Pool(make, min(workers, wanted), executor) as pool:
                outcomes = _attempt(pool, wanted, progress)
        finally:
            shutil.rmtree(out / PARTIAL, ignore_errors=True)
        failed = tuple(o.index for o in outcomes if not o.success)
        count = len(outcomes) - len(failed)
        write_info(out, replace(info, attempts=len(outcomes), episodes=count, failed=failed))
    return CollectReport(count, len(outcomes), sum(o.kept for o in outcomes), failed)


def _attempt(
    pool: Pool[int, Outcome], wanted: int, progress: Callable[[int], None]
) -> list[Outcome]:
    """Attempt 0, 1, 2, ... until ``wanted`` have succeeded; never one more than needed.

    As many are attempted at a time as are missing, so which attempts are made does not depend on
    the number of workers.
    """
    outcomes: list[Outcome] = []
    missing = wanted
    progress(0)
    while missing:
        for outcome in pool.run(range(len(outcomes), len(outcomes) + missing)):
            outcomes.append(outcome)
            progress(int(outcome.success))
        missing = wanted - sum(o.success for o in outcomes)
        if len(outcomes) >= PATIENCE and wanted - missing < LEAST_RATE * len(outcomes):
            raise UsageError(
                f"the expert succeeded in {wanted - missing} of {len(outcomes)} attempts: "
                "choose weaker variations or a calmer operator"
            )
    return outcomes


def _full_disk_told(out: Path) -> AbstractContextManager[None]:
    return full_disk_told("collecting", lambda: f"the demonstrations in {out} are kept")


class Collector:
    """Makes episode files one after another in one process."""

    def __init__(self, collection: Collection, out: Path, protocol: str) -> None:
        """Prepare the scene of ``collection``; ``protocol`` is the hash of its definition.

        Raises:
            UsageError: ``out`` was claimed on another machine and is not there on this one.
        """
        if read_info(out) is None:
            raise UsageError(f"{os.uname().nodename} does not see {out}: it must be shared")
        self.out, self.protocol = out, protocol
        self.demonstrator = Demonstrator(collection, protocol)

    def __call__(self, index: int) -> Outcome:
        """Make episode ``index`` unless a valid one is there."""
        name = f"episode_{index}.hdf5"
        for success, path in ((True, self.out / name), (False, self.out / FAILED / name)):
            if path.exists() and self._valid(path, index, success):
                return Outcome(index, success, kept=True)
        partial = self.out / PARTIAL / f"{os.uname().nodename}-{os.getpid()}" / name
        with _full_disk_told(self.out):
            success = self._record(index, partial)
            final = self.out / name if success else self.out / FAILED / name
            final.parent.mkdir(exist_ok=True)
            partial.replace(final)
        return Outcome(index, success)

    def _valid(self, path: Path, index: int, success: bool) -> bool:
        """Tell whether ``path`` holds this collection's episode ``index``, whole."""
        try:
            meta = read_episode(path).meta
        except UsageError:
            return False
        return (meta.protocol_hash, meta.index, meta.success) == (self.protocol, index, success)

    def _record(self, index: int, path: Path) -> bool:
        """Demonstrate episode ``index`` and record it to ``path``; return whether it succeeded."""
        meta = self.demonstrator.begin(index)
        recorder = Recorder(path, meta, sync_s=math.inf)  # a lost episode is made anew
        for observation, action, t in self.demonstrator.steps():
            recorder.append(observation, action, t)
        meta = self.demonstrator.meta
        recorder.finish(meta)
        return bool(meta.success)
