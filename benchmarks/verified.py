"""The note beside a seal that somebody ran the trials again with the policy, and how many.

``VERIFIED.json`` states its own hash and that of the seal: it counts for this very run only.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.lines import digest, parse
from benchmarks.records import SEAL, seal_bytes
from envs.atomic import write_whole

VERIFIED = "VERIFIED.json"


def keep(folder: Path, told: Mapping[str, Any]) -> Path:
    """Write down beside the seal that its policy did the same again.

    Args:
        folder: the run.
        told: how many ``trials``, and with what.
    """
    path = Path(folder) / VERIFIED
    write_whole(path, seal_bytes({**told, "seal": digest((Path(folder) / SEAL).read_bytes())}))
    return path


def reproduced(folder: Path) -> int:
    """Return of how many trials the policy did the same again; 0 where nobody has tried.

    The file must be whole and of this very seal.
    """
    try:
        data = (folder / VERIFIED).read_bytes()
        told = parse(data)
        mine = told["seal"] == digest((folder / SEAL).read_bytes())
        return int(told["trials"]) if mine and seal_bytes(told) == data else 0
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0
