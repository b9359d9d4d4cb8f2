"""Models of ``transformers`` that a user has: in a folder, or in the cache of the Hugging Face hub.

Nothing is downloaded and no code of a repository is run: what is not on this machine, as
safetensors, is refused with what to place where.
"""

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from envs.errors import UsageError

OWN_CODE = ("openvla/",)
"""Beginnings of names on the hub whose models need the code of their repository."""
TRUST = "trust_remote_code"
"""The option of ``transformers`` that lets such code run; its refusals name it."""


def load_local(name: str, kind: str, needed: str, **options: Any) -> Any:  # noqa: ANN401
    """Load ``kind.from_pretrained(name)`` without a network.

    Args:
        name: a folder, or a name on the hub that is in the local cache.
        kind: class of ``transformers``.
        needed: file without which it cannot be, for the message.
        options: handed on.

    Raises:
        UsageError: it is not here, or is of another kind; the message says what to place where.
    """
    transformers = _transformers()
    options[TRUST] = False  # nobody is asked whether to run the code of a repository
    if kind not in ("AutoTokenizer", "AutoProcessor", "AutoImageProcessor"):
        options["use_safetensors"] = True  # no pickle
    try:
        return getattr(transformers, kind).from_pretrained(name, local_files_only=True, **options)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(missing(name, needed, error)) from error


def missing(name: str, needed: str, error: Exception) -> str:
    """Say what of ``name`` is not on this machine and where to place it, or who else can run it."""
    if TRUST in str(error) or name.lower().startswith(OWN_CODE):
        return (
            f"the weights {name!r} need code of their own repository, and none is run here: serve "
            "them from an environment of their own, as docs/serving.md says, and evaluate "
            "--policy remote:ws://HOST:PORT"
        )
    there = Path(name).is_dir()
    told = f" ({' '.join(str(error).split())})" if there else ""  # else it says no more than this
    return (
        f"the weights {name!r} are not on this machine, and nothing is downloaded at run time: "
        f"place config.json, {needed} and what comes with them in a folder and name that folder, "
        f"or fill the cache once, with a network: hf download {name}{told}"
    )


def folder_of(name: str) -> Path:
    """Return the folder of a model: ``name`` itself, or where the cache has it.

    Raises:
        UsageError: it is in neither place.
    """
    if Path(name).is_dir():
        return Path(name)
    _transformers()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError) as error:
        raise UsageError(missing(name, "model.safetensors", error)) from error


def weights_hash(name: str) -> str:
    """Return the SHA-256 over all safetensors files of a model, in order of their names.

    Raises:
        UsageError: there is none.
    """
    folder = folder_of(name)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UsageError(missing(name, "model.safetensors", ValueError(f"none in {folder}")))
    return _hash(tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in files))


@functools.cache
def _hash(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Return the hash of files by path, size and time: they are large, and asked for often."""
    digest = hashlib.sha256()
    for path, *_ in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _transformers() -> Any:  # noqa: ANN401
    """Import ``transformers``; ``UsageError`` names the extra that brings it."""
    try:
        import transformers
    except ImportError as error:
        raise UsageError(
            "language models need transformers: pip install 'armtrials[vla]'"
        ) from error
    logging: Any = transformers.utils.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    return transformers


def load_json(path: Path) -> dict[str, Any]:
    """Return a JSON object of a model's folder; {} where the file is not there."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    return found if isinstance(found, dict) else {}
