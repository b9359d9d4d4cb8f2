"""What the page takes from the runs themselves: a few videos, and where trials started."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.board_runs import REPEAT, Loaded, Seen
from benchmarks.report.page import base64_file

Board = Mapping[str, Any]

MAX_BYTES = 750_000  # of all videos of one table; in base64 a third more
MAX_PAGE = 3_000_000  # bytes of all videos on the page
MAX_CLIP = 700_000  # bytes of one video
MAX_CLIPS = 36
FLOOR_CLIPS = 2


@dataclass(frozen=True)
class Clip:
    """A video that may be shown."""

    run: Loaded
    trial: Seen
    path: Path

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.path.stat().st_size


def choose(board: Board, runs: Mapping[str, Loaded]) -> dict[str, list[dict[str, Any]]]:
    """Return the clips of every table by its id, within the limits above.

    The rows take turns. A row first shows a nominal failure and success, then its worst
    condition and the combined one, then failures with labels that it has not shown.
    """
    queues = [
        (table["id"], row, list(candidates(row, runs))[: FLOOR_CLIPS if row["floor"] else None])
        for table in board["tables"]
        for row in (*table["rows"], *table["floors"])
    ]
    chosen: dict[str, list[dict[str, Any]]] = {table["id"]: [] for table in board["tables"]}
    used, count = dict.fromkeys(chosen, 0), 0
    for turn in range(max((len(queue) for _, _, queue in queues), default=0)):
        for table_id, row, queue in queues:
            if turn >= len(queue) or count == MAX_CLIPS:
                continue
            size = queue[turn].size
            fits = used[table_id] + size <= MAX_BYTES and sum(used.values()) + size <= MAX_PAGE
            if fits:
                used[table_id], count = used[table_id] + size, count + 1
                chosen[table_id].append(describe(row, queue[turn], f"{table_id}-{count}"))
    for table in board["tables"]:
        _sort(chosen[table["id"]], table)
    return chosen


def _sort(clips: list[dict[str, Any]], table: Board) -> None:
    """Order clips as the table orders rows and conditions, successes last."""
    rows = [row["label"] for row in (*table["rows"], *table["floors"])]
    conditions = list(table["conditions"])
    clips.sort(key=lambda c: (rows.index(c["row"]), conditions.index(c["condition"]), c["success"]))


def candidates(row: Board, runs: Mapping[str, Loaded]) -> Iterator[Clip]:
    """Yield the clips of one row, the most telling first, each (condition, label) once."""
    clips = [clip for part in row["provenance"] for clip in clips_of(runs[part["run"]])]
    worst = row["worst"]["condition"] if row["worst"] else ""
    shown: set[tuple[str, str | None]] = set()
    for clip in sorted(clips, key=lambda c: _interest(c.trial, worst)):
        kind = (clip.trial.condition, clip.trial.failure)
        if kind not in shown:
            shown.add(kind)
            yield clip


def _interest(trial: Seen, worst: str) -> tuple[int, bool, str, int]:
    """Return the sorting key of a trial: nominal, worst, combined, the rest."""
    if trial.condition == "nominal":
        place = 0
    elif trial.condition == worst:
        place = 1
    else:
        place = 2 if trial.condition.startswith("combined/") else 3
    return place, trial.success, trial.condition, trial.unit


def clips_of(run: Loaded) -> Iterator[Clip]:
    """Yield the videos of a run that exist, are its own and are small enough."""
    if run.problems:
        return
    home = run.folder.resolve()
    for trial in run.trials:
        if trial.video is not None:
            path = run.folder / trial.video
            own = path.resolve().is_relative_to(home) and path.suffix == ".mp4"
            if own and path.is_file() and path.stat().st_size <= MAX_CLIP:
                yield Clip(run, trial, path)


def describe(row: Board, clip: Clip, name: str) -> dict[str, Any]:
    """Return what the template needs of one clip."""
    trial, policy = clip.trial, clip.run.manifest["policy"]
    return {
        "name": name,
        "run": clip.run.name,
        "row": row["label"],
        "seed": policy.get("seed"),
        "floor": row["floor"],
        "condition": trial.condition,
        "ic": trial.unit % REPEAT,
        "success": trial.success,
        "failure": trial.failure,
        "data": base64_file(clip.path),
    }


def places(table: Board, runs: Mapping[str, Loaded]) -> list[dict[str, Any]]:
    """Return, for each row and nominal start, where the object was and how often the row failed."""
    found = []
    for row in table["rows"]:
        used = [runs[part["run"]] for part in row["provenance"] if part["used"]]
        cells = [run.cell("nominal") for run in used]
        for unit in sorted(set().union(*cells)):
            trials = [cell[unit] for cell in cells if unit in cell]
            where = trials[0].place
            if where is not None:
                found.append(_place(row["label"], unit, where, trials))
    return found


def _place(
    label: str, unit: int, where: tuple[float, float], trials: Sequence[Seen]
) -> dict[str, Any]:
    failed = sum(not t.success for t in trials)
    return {
        "row": label,
        "ic": unit % REPEAT,
        "x": round(where[0], 4),
        "y": round(where[1], 4),
        "failed": round(failed / len(trials), 4),
        "trials": f"{failed}/{len(trials)}",
    }
