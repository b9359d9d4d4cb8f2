"""Models of ``transformers`` that a user has: in a folder, or in the cache of the Hugging Face hub.

Nothing is downloaded and no code of a repository is run: what is not on this machine, as
safetensors, is refused with what to place where.
"""

import fnmatch
import functools
import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from envs.errors import UsageError

CONFIG, WEIGHTS, TOKENS = "config.json", "model.safetensors", "tokenizer.json"
FILES = {
    CONFIG: (CONFIG,),
    WEIGHTS: ("*.safetensors",),
    TOKENS: (TOKENS, "*.model", "vocab.*", "tekken.json"),
}
"""What a model needs, under one of these names. ``transformers`` makes up a tokenizer that knows no
word where there is none."""
PARTS = (
    *("*.safetensors", CONFIG, TOKENS, "*.model", "vocab.*", "tekken.json", "merges.txt"),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
)
"""Names of the files that decide what a text model makes of a sentence."""
OWN_CODE = ("openvla/",)
"""Beginnings of names on the hub whose models need the code of their repository."""
TRUST = "trust_remote_code"
"""The option of ``transformers`` that lets such code run; its refusals name it."""
SERVE = (
    "serve them from an environment of their own, as docs/serving.md says, and evaluate --policy "
    "remote:ws://HOST:PORT"
)


def load_model(
    name: str, kind: str, families: Collection[str] = (), unread: tuple[str, ...] = ()
) -> Any:  # noqa: ANN401
    """Load a model with all its weights: what its folder lacks would stay random.

    Args:
        name: a folder, or a name on the hub that is in the local cache.
        kind: class of ``transformers``.
        families: ``model_type`` of the models that are taken; none: all.
        unread: beginnings of the names of weights that nothing reads: they may be missing.

    Raises:
        UsageError: it is not here, of another family, or its weights are not those of its
            config.json; the message says what to place where.
    """
    if families:
        _check_family(name, families)
    load = functools.partial(load_local, name, kind, use_safetensors=True)  # no pickle
    # names and shapes first: what is refused below has taken no memory
    shape, found = load(device_map="meta", output_loading_info=True, ignore_mismatched_sizes=True)
    absent = [key for key in found["missing_keys"] if not key.startswith(unread)]
    odd = [key for key, *_ in found["mismatched_keys"]]
    if absent or odd:
        raise UsageError(_misfit(name, type(shape).__name__, absent, odd))
    return load()


def _misfit(name: str, kind: str, absent: Collection[str], odd: Collection[str]) -> str:
    """Say which weights do not fit, and what to do."""
    counts = ((absent, "missing"), (odd, "of another shape"))
    told = " and ".join(f"{len(k)} are {how} ({_some(k)})" for k, how in counts if k)
    lerobots = "model_type" not in load_json(folder_of(name) / CONFIG)
    return (
        f"the weights in {name!r} do not fit the {kind} of its {CONFIG}: {told}; place {CONFIG} "
        "and safetensors of one model there, as save_pretrained of transformers writes them"
        + (f", or if they are of a policy of LeRobot, {SERVE}" if lerobots else "")
    )


def load_tokenizer(name: str) -> Any:  # noqa: ANN401
    """Load the tokenizer of a model.

    Raises:
        UsageError: it is not here or cannot be read; the message says what to place where.
    """
    tokenizer = load_local(name, "AutoTokenizer")
    if TOKENS in _lacking(folder_of(name)):
        raise UsageError(missing(name))
    return tokenizer


def load_local(name: str, kind: str, **options: Any) -> Any:  # noqa: ANN401
    """Load ``kind.from_pretrained(name)`` without a network.

    Args:
        name: a folder, or a name on the hub that is in the local cache.
        kind: class of ``transformers``.
        options: handed on.

    Raises:
        UsageError: it is not here, is of another kind or cannot be read; the message says what to
            place where.
    """
    found = getattr(_transformers(), kind)
    options[TRUST] = False  # nobody is asked whether to run the code of a repository
    try:
        return found.from_pretrained(name, local_files_only=True, **options)
    except Exception as error:  # a damaged folder makes these libraries raise anything
        raise UsageError(missing(name, error)) from error


def missing(name: str, error: Exception | None = None) -> str:
    """Say what of ``name`` is not on this machine and where to place it, or who else can run it."""
    if TRUST in str(error) or name.lower().startswith(OWN_CODE):
        return _own_code(name)
    if folder := _place(name):
        again = "" if Path(name).is_dir() else f"; fill the cache again: hf download {name}"
        return f"the weights in {name!r} cannot be read: {_fault(folder, error)}{again}"
    return (
        f"the weights {name!r} are not on this machine, and nothing is downloaded at run time: "
        f"place {CONFIG}, {WEIGHTS}, {TOKENS} and what comes with them in a folder and name that "
        f"folder, or fill the cache once, with a network: hf download {name}"
    )


def _own_code(name: str) -> str:
    return f"the weights {name!r} need code of their own repository, and none is run here: {SERVE}"


def _lacking(folder: Path) -> list[str]:
    """Return the files of a model that a folder has not, under any of their names."""
    there = {path.name for path in folder.iterdir()}
    return [
        file for file, names in FILES.items() if not any(fnmatch.filter(there, n) for n in names)
    ]


def _fault(folder: Path, error: Exception | None) -> str:
    """Return which file of a folder is missing or damaged; else what the library said."""
    if lacks := _lacking(folder):
        return f"it lacks {' and '.join(lacks)}"
    try:
        for path in folder.glob("*.json"):
            load_json(path)
        for path in folder.glob("*.safetensors"):
            with safe_open(path, "pt"):
                pass
    except UsageError as damage:
        return str(damage)
    except (SafetensorError, OSError) as damage:
        return f"{path} is damaged: {damage}"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _check_family(name: str, families: Collection[str]) -> None:
    """Refuse a model of another family than those; LeRobot's config.json names its ``type``."""
    path = folder_of(name) / CONFIG
    if not path.is_file():
        raise UsageError(missing(name))
    entry = load_json(path)
    own, lerobots = entry.get("model_type"), entry.get("type")
    found, known = str(own or lerobots), f"known families: {', '.join(families)}"
    if found in families:
        return
    if not (own or lerobots):
        raise UsageError(f"{path} names no model_type; {known}")
    if not own:
        raise UsageError(f"the weights {name!r} are a policy of LeRobot, {found}: {SERVE}; {known}")
    raise UsageError(_own_code(name) if "auto_map" in entry else f"{name} is a {found}; {known}")


def _some(names: Collection[str]) -> str:
    """Return the first three names."""
    return ", ".join([*sorted(names)[:3], *(["..."] if len(names) > 3 else [])])


def folder_of(name: str) -> Path:
    """Return the folder of a model: ``name`` itself, or where the cache has it.

    Raises:
        UsageError: it is in neither place.
    """
    folder = _place(name)
    if folder is None:
        raise UsageError(missing(name))
    return folder


def _place(name: str) -> Path | None:
    """Return the folder of a model, None where there is none."""
    if Path(name).is_dir():
        return Path(name)
    _transformers()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError):
        return None


def weights_hash(name: str) -> str:
    """Return the SHA-256 over all safetensors files of a model, in order of their names.

    Raises:
        UsageError: there is none.
    """
    folder = folder_of(name)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UsageError(missing(name))
    return _hash_of(files)


def model_hash(name: str) -> str:
    """Return the SHA-256 over weights, config and tokenizer of a model, in order of their names.

    Raises:
        UsageError: it is not here, or lacks some of them.
    """
    folder = folder_of(name)
    if _lacking(folder):
        raise UsageError(missing(name))
    files = (path for path in folder.iterdir() if any(fnmatch.fnmatch(path.name, n) for n in PARTS))
    return _hash_of(sorted(files))


def _hash_of(files: Sequence[Path]) -> str:
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
