"""Where the demonstrations and the checkpoint of a run lie: found by hash, as a run names no paths.

They are looked for where commands put them: in ``data``, ``runs`` and ``policies`` of the working
folder, of the folder that holds the results, and of the one around it.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.records import Run
from envs.errors import UsageError
from policies.checkpoint_files import PROVENANCE, read_json
from policies.dataset import EpisodeSet, Reading

DATA, POLICIES = ("data",), ("runs", "policies")


def demonstrations_of(run: Run) -> Path:
    """Return the folder of the demonstrations that the policy of a run learned from.

    Raises:
        UsageError: it is not found.
    """
    learned, reading = run.manifest["policy"]["data"], Reading(run.manifest["track"])
    count = learned.get("episodes", 0) + len(learned.get("excluded", ()))
    for folder in _below(run, DATA):
        if count and len(list(folder.glob("*.hdf5"))) == count:
            with suppress(UsageError):
                if EpisodeSet.load(folder, reading).fingerprint == learned["fingerprint"]:
                    return folder
    tried = ", ".join(str(place / name) for place in _places(run) for name in DATA)
    raise UsageError(
        f"the demonstrations that the policy of {run.folder} learned from are not in {tried}: give "
        "their folder (--data)"
    )


def checkpoint_of(run: Run) -> Path | None:
    """Return the folder of the checkpoint that a run tried; None where it is not found."""
    weights = run.manifest["policy"]["hashes"].get("weights")
    for folder in _below(run, POLICIES):
        path = folder / PROVENANCE
        with suppress(UsageError, OSError):
            hashes = read_json(path.read_bytes(), path, ("hashes",))["hashes"]
            if isinstance(hashes, dict) and weights in hashes.values():
                return folder
    return None


def _places(run: Run) -> list[Path]:
    """Return the folders around a run, which lies in ``RESULTS/runs/PROTOCOL``."""
    around = [*run.folder.absolute().parents[2:4], Path()]
    return list({place.resolve(): place for place in around}.values())[::-1]


def _below(run: Run, names: tuple[str, ...]) -> Iterator[Path]:
    """Yield the folders called so around a run, and those in them."""
    for place in _places(run):
        for name in names:
            if (place / name).is_dir():
                yield place / name
                yield from sorted(path for path in (place / name).iterdir() if path.is_dir())
