"""Small leaderboards from made-up runs, and what the tests read of them."""

from pathlib import Path
from typing import Any

from synthetic_runs import MadeUp, Maker

from benchmarks.leaderboard import make_board, read_runs
from benchmarks.packing import pack
from benchmarks.records import PACKED, trial_bytes

CONDITIONS = ("object_pose/L1", "object_pose/L2", "action_delay/L2", "combined/L2")


FEW = (MadeUp("act", 2.0, seeds=(0,)), MadeUp("bc", 0.4, seeds=(0, 1)))


def small(results: Path, **more: Any) -> Maker:
    return Maker(results, **{"trials": 40, "conditions": CONDITIONS, **more})


def tiny(results: Path, **more: Any) -> Maker:
    return Maker(results, **{"trials": 20, "conditions": CONDITIONS[1:2], **more})


def board_of(results: Path) -> dict[str, Any]:
    return make_board(*read_runs(results))


def row_of(table: dict[str, Any], label: str) -> dict[str, Any]:
    return next(r for r in (*table["rows"], *table["floors"]) if r["label"] == label)


def run_of(results: Path, name: str) -> Path:
    return results / "runs" / "pick_place_v1" / name


def edit(folder: Path, old: bytes, new: bytes) -> None:
    """Change the trial lines of a sealed run, keeping the archive intact."""
    lines = trial_bytes(folder)
    assert old in lines
    (folder / PACKED).write_bytes(pack(lines.replace(old, new, 1)).trials)
