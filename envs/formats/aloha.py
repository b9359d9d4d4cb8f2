"""Folders of ALOHA HDF5 episodes, ours or foreign, for conversions."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from envs.episode import Episode, episode_files, read_episode, write_episode
from envs.formats.base import Options

EPISODE = "episode.hdf5"


class AlohaSource:
    """A folder of episodes, or a single one."""

    dropped: Sequence[str] = ()

    def __init__(self, path: Path) -> None:
        """List the episodes at ``path``; ``UsageError`` where there is none."""
        self._files = [path] if path.is_file() else episode_files(path)
        self.names: Sequence[str] = tuple(file.name for file in self._files)

    def read(self, index: int) -> Episode:
        """Return an episode; ``UsageError`` where its file is broken."""
        return read_episode(self._files[index])


class AlohaTarget:
    """A folder of files ``episode_<i>.hdf5``."""

    def __init__(self, options: Options) -> None:
        """Write with ``options.jpeg`` or raw pictures."""
        self._jpeg = options.jpeg

    def signature(self, episode: Episode) -> Mapping[str, Any]:
        """Return nothing: every file stands for itself."""
        return {}

    def stage(self, folder: Path, episode: Episode) -> None:
        """Write one file."""
        write_episode(folder / EPISODE, episode, self._jpeg)

    def assemble(self, pieces: Sequence[Path], out: Path) -> None:
        """Number the files."""
        out.mkdir()
        for i, piece in enumerate(pieces):
            place(piece / EPISODE, out / f"episode_{i}.hdf5")


def place(source: Path, out: Path) -> None:
    """Give a staged file its final name; the staged one stays."""
    try:
        os.link(source, out)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, out)
