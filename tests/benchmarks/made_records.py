"""A small sealed run and its parts, for the tests of records and of their packing."""

import functools
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.lines import Record, digest
from benchmarks.writer import RunWriter


def manifest(**changes: object) -> dict[str, Any]:
    base = {
        "schema": 1,
        "run": "act-1",
        "world": "sim",
        "task": "pick_place",
        "protocol": {"id": "pick_place/v1", "hash": "00"},
        "policy": {"name": "act"},
        "versions": {"mujoco": "3.17.0"},
    }
    return {**base, **changes}


def record(ic: int, **changes: object) -> Record:
    key = {"policy": "act", "task": "pick_place", "protocol": "pick_place/v1"}
    base: Record = {
        "key": {**key, "condition": "nominal", "ic": ic, "repeat": 0},
        "seeds": {"ic": ic, "policy": 7},
        "start": {"qpos": [0.1, 1e-9], "objects": {}, "factors": {}, "seed": 3},
        **{"status": "valid", "reason": None, "success": ic % 2 == 0, "success_any": True},
        **{"success_final": True, "stage": 6, "progress": 1.0},
        **{"failure": None if ic % 2 == 0 else "unstable", "tags": []},
        **{"steps": 200, "duration_s": 4.0, "clamps": 0, "video": None},
        "quality": {"sparc": -1.5, "path_ratio": 1.2, "contact_peak_n": None},
        "latency": {"p50_ms": 1.0, "p99_ms": 2.0, "missed": 0},
        "actions_sha256": digest(f"actions {ic}".encode()),
        "final_sha256": digest(f"end {ic}".encode()),
    }
    return {**base, **changes}


def sealed(folder: Path, n: int = 4) -> Path:
    with RunWriter(folder, manifest()) as writer:
        writer.append([record(i) for i in range(n)])
        writer.seal("armtrials 0")
    return folder


@functools.cache
def one_sealed_run() -> Path:
    return sealed(Path(tempfile.mkdtemp()) / "run")
