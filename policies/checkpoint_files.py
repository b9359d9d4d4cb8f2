"""The files of a checkpoint folder: read whole, and compared with each other by their hashes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open

from envs.errors import UsageError
from policies.configs import canonical
from policies.exported import GRAPHS

MODEL, CANARY, PROVENANCE = "model.safetensors", "canary.safetensors", "provenance.json"
FILES = (MODEL, "config.json", "stats.json", "spec.json", CANARY)
HASHES = {"weights": MODEL, "config": "config.json", "stats": "stats.json", "spec": "spec.json"}
BESIDE = "saved_beside"
"""The one entry of the weights' header (of several, safetensors does not keep the order)."""


def model_file(folder: Path) -> str:
    """Return the name of the file that holds the network: its weights, or an exported graph.

    Raises:
        UsageError: there are several.
    """
    found = [name for name in (MODEL, *GRAPHS) if (folder / name).is_file()]
    if len(found) > 1:
        raise UsageError(
            f"{folder} holds {' and '.join(found)}: files of two checkpoints are mixed; copy the "
            "whole folder again"
        )
    return found[0] if found else MODEL


def read_files(folder: Path, model: str) -> dict[str, bytes]:
    """Return the bytes of every file by name; ``UsageError`` names one that is missing."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a checkpoint folder; armtrials train makes one")
    files = {}
    for name in (model, *FILES[1:], PROVENANCE):
        try:
            files[name] = (folder / name).read_bytes()
        except OSError as error:
            raise UsageError(
                f"{folder / name} cannot be read ({error.strerror}): the checkpoint is incomplete; "
                "finish its training or copy the whole folder again"
            ) from error
    return files


def verify(folder: Path, files: Mapping[str, bytes], provenance: Mapping[str, Any]) -> None:
    """Compare every file with its hash in the provenance."""
    hashes = provenance["hashes"]
    if not isinstance(hashes, dict):
        raise UsageError(f"{folder / PROVENANCE}: hashes must be a JSON object, got {hashes!r}")
    for name in [name for name in files if name != PROVENANCE]:
        if hashes.get(name) != sha256(files[name]):
            raise UsageError(
                f"{folder / name} is not the file this checkpoint was saved with (its SHA-256 "
                "differs): it was edited, truncated or comes from another checkpoint; copy the "
                "whole folder again"
            )


def header_of(folder: Path) -> str:
    """Return what the header of the weights says they were saved beside, as JSON."""
    with safe_open(folder / MODEL, "np") as file:
        return str((file.metadata() or {}).get(BESIDE, "{}"))


def verify_header(folder: Path, files: Mapping[str, bytes], told: str, model: str) -> None:
    """Compare config, statistics and spec with what the weights were saved beside."""
    header = json.loads(told)
    for name in ("config.json", "stats.json", "spec.json"):
        if header.get(name) != sha256(files[name]):
            raise UsageError(
                f"{folder / name} does not belong to the weights in {model}: files of two "
                "checkpoints are mixed; copy the whole folder again"
            )


def read_json(data: bytes, path: Path, keys: Sequence[str] = ()) -> dict[str, Any]:
    """Read a JSON object that holds at least ``keys``."""
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise UsageError(f"{path} must hold a JSON object")
    if missing := [key for key in keys if key not in parsed]:
        raise UsageError(f"{path} must hold {', '.join(keys)}; {', '.join(missing)} is missing")
    return parsed


def pretty(data: Mapping[str, Any]) -> bytes:
    """Return an object as indented JSON; ``ValueError`` for NaN and what is not JSON."""
    canonical(data)  # refuses NaN and what is not JSON
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()


def sha256(data: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()
