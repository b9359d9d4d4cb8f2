"""Records of a run: canonical JSON, hash-chained trial lines, the seal, and their verification.

``manifest.json`` comes first and is never edited. ``trials.jsonl`` has a line a trial, each with
the hash of the line before (the first: of the manifest). ``SEALED.json`` comes last, with the hash
of the last line; the lines are then packed without their links, which are computed again when they
are read, and without the starts of their trials, which are the same for every policy: these are in
a file beside the run folders whose hash is in the seal and in its name. So every edit of a sealed
run, down to one byte, is found by ``verify_run``.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.lines import Record, canonical, digest, parse
from benchmarks.packing import HASH, Packed, unpack
from envs.errors import UsageError

SCHEMA = 1
MANIFEST, TRIALS, PACKED, SEAL = "manifest.json", "trials.jsonl", "trials.jsonl.xz", "SEALED.json"
KEY = ("policy", "task", "protocol", "condition", "ic", "repeat")
FIELDS = frozenset(
    {
        *("prev", "key", "seeds", "start", "status", "reason", "success", "success_any"),
        *("success_final", "stage", "progress", "failure", "tags", "steps", "duration_s"),
        *("quality", "latency", "clamps", "actions_sha256", "final_sha256", "video"),
    }
)
VOLATILE = ("latency", "prev")
"""The fields of a record that differ from one evaluation to the next (``prev`` hashes them)."""


def manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    """Return the file form of a manifest: sorted and indented, to be read by people."""
    text = json.dumps(manifest, sort_keys=True, indent=1, allow_nan=False)
    return f"{text}\n".encode()


def seal_bytes(seal: Mapping[str, Any]) -> bytes:
    """Return the file form of a seal; ``sha256`` is the hash of everything else in it."""
    body = {key: value for key, value in seal.items() if key != "sha256"}
    return manifest_bytes({**body, "sha256": digest(canonical(body))})


@dataclass(frozen=True)
class Run:
    """A run folder as read: ``trials`` in file order, ``seal`` None while it is unfinished."""

    folder: Path
    manifest: dict[str, Any]
    trials: tuple[Record, ...]
    seal: dict[str, Any] | None

    @property
    def sealed(self) -> bool:
        """Tell whether the run was finished and sealed."""
        return self.seal is not None

    def cells(self) -> dict[str, list[Record]]:
        """Group the trials by condition, in file order."""
        found: dict[str, list[Record]] = {}
        for trial in self.trials:
            found.setdefault(trial["key"]["condition"], []).append(trial)
        return found


def starts_path(folder: Path, sha256: str) -> Path:
    """Return where the starts of the trials of a sealed run are, by their hash."""
    return Path(folder).resolve().parent / f"starts-{sha256[:12]}.xz"


def trial_bytes(folder: Path) -> bytes:
    """Return the trial lines of a run, packed or not (none yet: empty).

    Raises:
        ValueError: they cannot be unpacked, or their starts are missing or not those sealed.
    """
    if (folder / PACKED).is_file() and (folder / SEAL).is_file():
        head = digest((folder / MANIFEST).read_bytes())
        return unpack(Packed((folder / PACKED).read_bytes(), _starts(folder)), head)
    return (folder / TRIALS).read_bytes() if (folder / TRIALS).is_file() else b""


def _starts(folder: Path) -> bytes:
    """Return the packed starts that the seal of a run names."""
    seal = parse((folder / SEAL).read_bytes())
    sha256 = seal.get("starts") if isinstance(seal, dict) else None
    if not isinstance(sha256, str) or not HASH.fullmatch(sha256):
        raise ValueError(f"{SEAL} does not name the starts of its trials")
    path = starts_path(folder, sha256)
    if not path.is_file():
        raise ValueError(
            f"{path.name} is missing, with the starts of its trials: copy it to {path.parent}"
        )
    data = path.read_bytes()
    if digest(data) != sha256:
        raise ValueError(f"{path.name} does not have the hash in {SEAL}")
    return data


def read_run(folder: Path) -> Run:
    """Read a run folder; an unfinished last line is left out.

    Raises:
        UsageError: the folder holds no run, or one that cannot be read (``verify_run`` says more).
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"{folder} is not a run folder: it has no {MANIFEST}")
    try:
        manifest = parse((folder / MANIFEST).read_bytes())
        lines = trial_bytes(folder).split(b"\n")[:-1]
        trials = tuple(parse(line) for line in lines)
        sealed = (folder / SEAL).is_file()
        seal = parse((folder / SEAL).read_bytes()) if sealed else None
        _check_objects({MANIFEST: manifest, SEAL: seal or {}, "a trial": trials})
    except (ValueError, OSError, RecursionError) as error:
        raise UsageError(f"the run {folder} cannot be read: {error}") from error
    return Run(folder, manifest, trials, seal)


def _check_objects(found: Mapping[str, Any]) -> None:
    """Refuse what is no JSON object, and trials that do not say which ones they are."""
    for name, value in found.items():
        for one in value if isinstance(value, tuple) else (value,):
            if not isinstance(one, dict):
                raise ValueError(f"{name} must be an object, got {str(one)[:40]}")
    for trial in found["a trial"]:
        key = trial.get("key")
        if not isinstance(key, dict) or not isinstance(key.get("condition"), str):
            raise ValueError("a trial must have a key that names its condition")


def made_in(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Return the simulated world of a run: hash of its model, what drew its pictures ("": none)."""
    versions, pixels = manifest.get("versions"), manifest.get("track") == "pixels"
    renderer = versions.get("renderer") if pixels and isinstance(versions, dict) else None
    return str(manifest.get("model_hash") or ""), str(renderer or "")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a run; it is an object that names its protocol by hash.

    Raises:
        UsageError: it does not, or cannot be read.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = parse(path.read_bytes())
        if not isinstance(manifest["protocol"]["hash"], str):
            raise ValueError("its protocol has no hash")
    except (OSError, ValueError, RecursionError) as error:
        told = str(error)
    except (KeyError, TypeError, IndexError):
        told = "it does not say of which protocol the run is"
    else:
        return dict(manifest)
    raise UsageError(
        f"the {MANIFEST} of the run {folder} is broken ({told}): move this folder away, or choose "
        "other --results"
    )


def run_folders(results: Path) -> list[Path]:
    """List the run folders under ``<results>/runs``, sorted by path."""
    return sorted(path.parent for path in (Path(results) / "runs").glob(f"*/*/{MANIFEST}"))


def verify_run(folder: Path) -> list[str]:
    """Return everything that is wrong with a run folder; an intact sealed run has no problem.

    Checked: the chain from the manifest through every line to the seal, the form of each line,
    its agreement with the manifest, repeated trials, counts, and the hash of every file the seal
    lists. Videos and trajectories may be absent (they are not always kept), never different.
    """
    folder = Path(folder)
    try:
        manifest_data = (folder / MANIFEST).read_bytes()
        manifest = parse(manifest_data)
        lines = trial_bytes(folder)
        if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
            return [f"{MANIFEST} is not of schema {SCHEMA}"]
    except (OSError, ValueError) as error:
        return [f"the run cannot be read: {error}"]
    records, head, problems = read_chain(lines, digest(manifest_data))
    problems += _record_problems(records, manifest)
    return problems + _seal_problems(folder, records, head)


def read_chain(data: bytes, head: str) -> tuple[list[Record], str, list[str]]:
    """Follow the chain through trial lines.

    Returns:
        The records up to the first broken line, the hash of the last good line (``head`` if there
        is none), and the problems found (at most one: behind a broken link nothing is known).
    """
    records: list[Record] = []
    *lines, tail = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        problem = _line_problem(line, head)
        if problem:
            return records, head, [f"line {number} of the trials {problem}"]
        records.append(parse(line))
        head = digest(line)
    return records, head, ["the last line of the trials is torn"] if tail else []


def _line_problem(line: bytes, head: str) -> str | None:
    """Say what is wrong with one line that should follow ``head``."""
    try:
        record = parse(line)
        if not isinstance(record, dict) or canonical(record) != line:
            return "is not in canonical form"
    except (ValueError, RecursionError) as error:
        return f"cannot be read: {error}"
    if record.get("prev") != head:
        return "does not follow the line before (its hash differs)"
    return None


def _record_problems(records: Sequence[Record], manifest: Mapping[str, Any]) -> list[str]:
    """Check the fields of each record, and the trials against each other."""
    problems, seen = [], set()
    for number, record in enumerate(records, start=1):
        where = f"line {number} of the trials"
        missing = sorted(FIELDS - set(record))
        key = record.get("key")
        if missing or not isinstance(key, dict) or set(key) != set(KEY):
            problems.append(f"{where} lacks {', '.join(missing) or 'a whole key'}")
            continue
        identity = canonical(key)
        if identity in seen and record["status"] == "valid":
            problems.append(f"{where} repeats {key['condition']}/{key['ic']}")
        if record["status"] == "valid":
            seen.add(identity)
        problems += (f"{where} {text}" for text in _contradictions(record, manifest))
    return problems


def _contradictions(record: Record, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield where a record contradicts itself or its manifest."""
    key = record["key"]
    expected = {
        "policy": manifest.get("policy", {}).get("name"),
        "task": manifest.get("task"),
        "protocol": manifest.get("protocol", {}).get("id"),
    }
    for name, value in expected.items():
        if key[name] != value:
            yield f"is of {name} {key[name]!r}, the manifest of {value!r}"
    if record["status"] not in ("valid", "invalid"):
        yield f"has status {record['status']!r}; known: valid, invalid"
    if record["status"] == "valid" and record["success"] == bool(record["failure"]):
        yield "must have a failure label exactly when it failed"


def _seal_problems(folder: Path, records: Sequence[Record], head: str) -> list[str]:
    """Check the seal against what it seals."""
    path = folder / SEAL
    if not path.is_file():
        return ["the run is not sealed"]
    try:
        data = path.read_bytes()
        seal = parse(data)
        if seal_bytes(seal) != data:
            return [f"{SEAL} was edited: it does not have the hash it states"]
        wrong = [
            (seal["trials"] != len(records), f"{SEAL} counts {seal['trials']} trials"),
            (seal["invalid"] != invalid_count(records), f"{SEAL} has another invalid count"),
            (seal["head"] != head, f"the last line does not have the hash in {SEAL}"),
        ]
        problems = [text for bad, text in wrong if bad]
        return problems + _file_problems(folder, seal["files"])
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        return [f"{SEAL} cannot be read: {error!r}"]


def invalid_count(records: Sequence[Record]) -> int:
    """Count the trials with status ``invalid``."""
    return sum(record.get("status") == "invalid" for record in records)


def _file_problems(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Check the files that a seal lists."""
    problems = [f"{SEAL} does not list {name}" for name in (MANIFEST, PACKED) if name not in files]
    for name, expected in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            problems.append(f"{SEAL} lists {name}, which is outside the run")
        elif not path.is_file():
            if not name.startswith(("videos/", "trajectories/")):
                problems.append(f"{name} is missing")
        elif digest(path.read_bytes()) != expected:
            problems.append(f"{name} does not have the hash in {SEAL}")
    return problems
