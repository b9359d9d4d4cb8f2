"""A folder of demonstrations, examined file by file: quality, curves, something to watch."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.footage import Footage, footage
from benchmarks.quality import DataQuality, EpisodeQuality, measure
from envs.arm import Array
from envs.collection import DatasetInfo, read_info
from envs.episode import (
    Episode,
    EpisodeHeader,
    EpisodeMeta,
    episode_files,
    inspect_file,
    read_episode,
)
from envs.errors import UsageError
from envs.pool import Pool
from policies.preprocess import filter_episodes

CURVE_POINTS = 120


@dataclass(frozen=True)
class Exhibit:
    """One episode, ready to be shown.

    Attributes:
        quality: what was measured.
        meta: what it is about.
        times: (points,) s since the first observation.
        qpos: measured positions (points, n).
        actions: commands (points, n).
        cameras: names of the recorded ones.
        footage: something to watch.
    """

    quality: EpisodeQuality
    meta: EpisodeMeta
    times: Array
    qpos: Array
    actions: Array
    cameras: Sequence[str]
    footage: Footage


@dataclass(frozen=True)
class Examination:
    """A folder of demonstrations, examined.

    Attributes:
        data: what was measured.
        exhibits: the readable episodes, in order.
        info: how the folder was collected, None where that is not known.
    """

    data: DataQuality
    exhibits: Sequence[Exhibit]
    info: DatasetInfo | None


def examine(
    folder: Path,
    films: int = 24,
    workers: int = 1,
    progress: Callable[[int], None] = lambda n: None,
) -> Examination:
    """Read every episode of ``folder``; a file that is refused is listed with its reason.

    Args:
        folder: of ``*.hdf5`` files in ALOHA layout.
        films: number of episodes to film; those that training leaves out come first.
        workers: processes, one core each.
        progress: called with 1 for each file.

    Raises:
        UsageError: no such folder, no episode in it, or none that can be read.
    """
    paths = episode_files(folder)
    headers = {path.name: h for path in paths if (h := _header(path)) is not None}
    excluded = filter_episodes(headers)
    wanted = sorted(headers, key=lambda name: name not in excluded)[:films]
    exhibits, refused = [], {}
    with Pool(functools.partial(Examiner, frozenset(wanted)), min(workers, len(paths))) as pool:
        for path, result in zip(paths, pool.run(paths), strict=True):
            if isinstance(result, Exhibit):
                exhibits.append(result)
            else:
                refused[path.name] = result
            progress(1)
    if not exhibits:
        name, reason = next(iter(refused.items()))
        raise UsageError(f"{folder}: no episode can be used; {name}: {reason}")
    meta = exhibits[0].meta
    n = exhibits[0].actions.shape[1]
    for exhibit in exhibits:
        if exhibit.actions.shape[1] != n:
            found = exhibit.actions.shape[1]
            raise UsageError(
                f"{folder}: episodes must be of one arm: {exhibits[0].quality.name} has "
                f"{n} joints, {exhibit.quality.name} has {found}"
            )
    names = meta.joints or tuple(f"joint {j}" for j in range(n))
    qualities = [e.quality for e in exhibits]
    data = DataQuality(str(folder), qualities, refused, excluded, names, meta.control_hz)
    return Examination(data, exhibits, _info(folder))


def _header(path: Path) -> EpisodeHeader | None:
    try:
        return inspect_file(path)
    except UsageError:
        return None


def _info(folder: Path) -> DatasetInfo | None:
    try:
        return read_info(folder)
    except UsageError:
        return None


class Examiner:
    """Examines one file after another in one process."""

    def __init__(self, filmed: frozenset[str]) -> None:
        """Film the files whose names are in ``filmed``."""
        self.filmed = filmed

    def __call__(self, path: Path) -> Exhibit | str:
        """Return what is to be shown of ``path``, or why it is refused."""
        try:
            episode = read_episode(path)
        except UsageError as error:
            return str(error).removeprefix(f"{path}: ")
        return _exhibit(path.name, episode, path.name in self.filmed)


def _exhibit(name: str, episode: Episode, film: bool) -> Exhibit:
    rows = np.linspace(0, len(episode) - 1, min(len(episode), CURVE_POINTS)).round().astype(int)
    return Exhibit(
        quality=measure(name, episode),
        meta=episode.meta,
        times=(episode.timestamps - episode.timestamps[0])[rows],
        qpos=episode.observations["qpos"][rows],
        actions=episode.actions[rows],
        cameras=episode.cameras,
        footage=footage(episode, film),
    )
