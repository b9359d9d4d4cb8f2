"""The episodes of a folder, in order."""

import re
from pathlib import Path

from envs.errors import UsageError


def episode_files(folder: Path) -> list[Path]:
    """Return the episode files ``*.hdf5`` of ``folder``, in order of their numbers.

    Raises:
        UsageError: no such folder, or no episode in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: must be a folder of episodes, and there is none")
    files = sorted(folder.glob("*.hdf5"), key=lambda p: (_number(p), p.name))
    if not files:
        raise UsageError(f"{folder}: must hold episodes (*.hdf5), and it holds none")
    return files


def _number(path: Path) -> int:
    digits = re.findall(r"\d+", path.stem)
    return int(digits[-1][-18:]) if digits else -1
