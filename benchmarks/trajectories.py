"""The commands of a run's trials, a file a wave: enough to replay each trial exactly."""

import io
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from benchmarks.lines import Record
from benchmarks.protocol import Wave
from benchmarks.trial import WaveResult, actions_digest
from envs.arm import Array
from envs.atomic import write_whole
from envs.errors import UsageError

BROKEN = (OSError, ValueError, EOFError, KeyError, IndexError, TypeError, BadZipFile)
"""What reading a file raises that is not what ``write_trajectories`` wrote."""


def write_trajectories(folder: Path, result: WaveResult) -> Path:
    """Store the commands of a wave: ``actions`` (count, T, n) float32 and ``lengths`` (count,)."""
    buffer = io.BytesIO()
    longest = int(result.lengths.max(initial=0))
    np.savez(buffer, actions=result.actions[:, :longest], lengths=result.lengths)
    path = folder / "trajectories" / f"{result.wave.name}.npz"
    write_whole(path, buffer.getvalue())
    return path


def trajectory(folder: Path, record: Record, batch: int) -> Array:
    """Return the commands (steps, n) of a trial.

    Raises:
        UsageError: the trajectories were not kept, or are not those of the record.
    """
    key = record["key"]
    first = key["ic"] - key["ic"] % batch
    path = folder / "trajectories" / f"{Wave(key['condition'], first, 1).name}.npz"
    if not path.is_file():
        raise UsageError(
            f"the trajectories of {folder} were not kept ({path.name} is missing; committed runs "
            "are without them): evaluate again to see this trial"
        )
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            actions: Array = stored["actions"][key["ic"] - first, : record["steps"]]
    except BROKEN as error:
        raise UsageError(f"{path} is broken: {error}; evaluate again to see this trial") from error
    if actions_digest(actions) != record["actions_sha256"]:
        raise UsageError(f"{path} does not hold the commands of {key['condition']}/{key['ic']}")
    return actions
