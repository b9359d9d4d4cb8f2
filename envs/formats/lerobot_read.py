"""Episodes of a LeRobot v3.0 data set, ours or foreign.

Of a data set of ours everything comes back as it was, pictures within what their codec keeps.
In a foreign one without joint targets of one width with the measured joints (as many simulated
benchmarks have), the vectors become one, ``state``, as for other environments that are not ours;
``EpisodeMeta.origin`` keeps their names.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from PIL import Image

from envs.arm import Array
from envs.episode import Episode, EpisodeMeta
from envs.errors import UsageError
from envs.formats import lerobot_tables as tables
from envs.formats import movie
from envs.formats.base import ORIGIN_FORMAT
from envs.formats.lerobot_write import LEROBOT, known
from envs.formats.names import from_lerobot, pack_vectors
from envs.hdf5_guard import MAX_PIXELS, MAX_STEPS
from envs.marks import Marks

TEMPLATE = re.compile(r"(?:[\w./-]|\{(?:video_key|(?:chunk|file)_index(?::0?\d)?d?)\})+")
"""What a path in ``info.json`` may consist of."""
BROKEN = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, IndexError)
TOLERANCE_S = 1e-3
"""Largest distance of a ``timestamp`` from frame / fps."""


class LeRobotSource:
    """The episodes of one data set."""

    def __init__(self, path: Path) -> None:
        """Read what the data set says of itself.

        Raises:
            UsageError: another version, or the tables do not fit ``info.json``.
        """
        self.root = Path(path)
        self._info = self._read_info()
        self._fps = int(self._info["fps"])
        self._features: dict[str, Any] = self._info["features"]
        self._tasks = self._read_tasks()
        self._rows = self._read_rows()
        self.names: Sequence[str] = tuple(f"episode {row['episode_index']}" for row in self._rows)
        self._mixed = self._is_mixed()
        self.dropped: Sequence[str] = tuple(name for name in self._features if not self._used(name))

    def _read_info(self) -> dict[str, Any]:
        path = self.root / tables.INFO
        try:
            info = json.loads(path.read_text())
            version, fps, features = info["codebase_version"], info["fps"], info["features"]
            missing = {"action"} - set(features)
            kinds = {str(f["dtype"]) for f in features.values()}
        except BROKEN as error:
            raise UsageError(f"{path}: is broken: {error}") from error
        if version != tables.VERSION:
            raise UsageError(
                f"{path}: must be of version {tables.VERSION}, got {version}: LeRobot's own "
                "converter lifts older data sets"
            )
        if isinstance(fps, bool) or not isinstance(fps, int | float) or fps != round(fps):
            raise UsageError(f"{path}: fps must be a whole number, got {fps!r}")
        if not 1 <= fps <= 1000 or missing:
            told = f"fps must be 1..1000, got {fps}" if not missing else "there is no action"
            raise UsageError(f"{path}: {told}")
        if "video" in kinds:
            self._template(info, "video_path")
        self._template(info, "data_path")
        return dict(info)

    def _template(self, info: Mapping[str, Any], name: str) -> None:
        """Refuse a path that leads out of the data set."""
        text = info.get(name)
        if not isinstance(text, str) or not TEMPLATE.fullmatch(text) or ".." in text:
            raise UsageError(f"{self.root / tables.INFO}: {name} must lead into it, got {text!r}")

    def _read_tasks(self) -> dict[int, str]:
        path = self.root / tables.TASKS
        table = _read_table(path)
        texts = [name for name in table.column_names if name != "task_index"]
        if "task_index" not in table.column_names or len(texts) != 1:
            raise UsageError(f"{path}: must have the columns task_index and task")
        numbers = table.column("task_index").to_pylist()
        return dict(zip(numbers, map(str, table.column(texts[0]).to_pylist()), strict=True))

    def _read_rows(self) -> list[dict[str, Any]]:
        """Return the rows of the table of episodes, which must be as many as ``info.json`` says."""
        files = sorted((self.root / "meta" / "episodes").glob("*/*.parquet"))
        if not files:
            raise UsageError(f"{self.root}: has no table of its episodes (meta/episodes)")
        rows: list[dict[str, Any]] = []
        for file in files:
            wanted = [n for n in _names(file) if not n.startswith("stats/")]
            rows += _read_table(file, wanted).to_pylist()
        rows.sort(key=lambda row: int(row["episode_index"]))
        numbers = [int(row["episode_index"]) for row in rows]
        total = int(self._info.get("total_episodes", len(rows)))
        if numbers != list(range(total)):
            missing = sorted(set(range(total)) - set(numbers))
            told = f"episode {missing[0]} is missing" if missing else f"it lists {len(rows)}"
            raise UsageError(f"{self.root}: info.json counts {total} episodes, {told}")
        return rows

    def _is_mixed(self) -> bool:
        """Tell whether actions are no targets of the joints that are measured."""
        state = self._features.get("observation.state")
        return not state or state["shape"] != self._features["action"]["shape"]

    def _used(self, name: str) -> bool:
        feature = self._features[name]
        vector = name.startswith("observation.") and len(feature["shape"]) == 1
        return known(name) or (
            self._mixed and vector and feature["dtype"] in ("float32", "float64")
        )

    def read(self, index: int) -> Episode:
        """Return an episode.

        Raises:
            UsageError: its table or a video is broken, cut off, or of another rate.
        """
        row = self._rows[index]
        try:
            columns = self._columns(row)
            return self._episode(row, columns, index)
        except UsageError:
            raise
        except BROKEN as error:
            raise UsageError(f"{self.root}: {self.names[index]}: {error}") from error

    def _path(self, name: str, row: Mapping[str, Any], prefix: str) -> Path:
        """Return where a table or video is; never outside of the data set."""
        place = {k: int(row[f"{prefix}/{k}"]) for k in ("chunk_index", "file_index")}
        key = prefix.removeprefix("videos/")
        path = self.root / str(self._info[name]).format(video_key=key, **place)
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise UsageError(f"{path}: leads out of the data set")
        if not path.is_file():
            raise UsageError(f"{path}: is missing")
        return path

    def _columns(self, row: Mapping[str, Any]) -> dict[str, Array]:
        """Return the arrays (T, ...) of an episode by feature."""
        path = self._path("data_path", row, "data")
        number, length = int(row["episode_index"]), int(row["length"])
        if not 1 <= length <= MAX_STEPS:
            raise UsageError(f"{path}: episode {number} must have 1..{MAX_STEPS} steps")
        wanted = [n for n in self._features if self._features[n]["dtype"] != "video"]
        table = _read_table(path, [n for n in wanted if self._used(n)], number)
        if table.num_rows != length:
            raise UsageError(
                f"{path}: holds {table.num_rows} frames of episode {number}, its row says {length}"
            )
        found = {n: _array(table.column(n), self._features[n]) for n in table.column_names}
        ideal = np.arange(length) / self._fps
        if (found["frame_index"] != np.arange(length)).any():
            raise UsageError(f"{path}: frames of episode {number} are missing or out of order")
        if np.abs(found["timestamp"] - ideal).max() > TOLERANCE_S:
            raise UsageError(
                f"{path}: the timestamps of episode {number} are not frame / {self._fps}: "
                "the fps is wrong"
            )
        for name, feature in self._features.items():
            if feature["dtype"] == "video" and self._used(name):
                video = self._path("video_path", row, f"videos/{name}")
                start = float(row[f"videos/{name}/from_timestamp"])
                found[name] = movie.decode(video, start, length, self._fps)
        return found

    def _episode(self, row: Mapping[str, Any], found: dict[str, Array], index: int) -> Episode:
        """Make an episode of its arrays."""
        tasks = {int(i) for i in found["task_index"]}
        told = row.get(tables.META)
        meta = EpisodeMeta.from_json(json.loads(told)) if told else self._meta(tasks, index)
        times = found.pop(tables.TIME, np.arange(int(row["length"])) / self._fps)
        action = _rows(found.pop("action"))
        marks = None
        if f"{tables.EXPERT}action" in found:
            flags = (found[f"{tables.EXPERT}{name}"] for name in ("asked", "acted"))
            marks = Marks(_rows(found[f"{tables.EXPERT}action"]), *flags)
        observed, origin = self._observed(found, action)
        if origin and not told:
            meta = EpisodeMeta.from_json({**meta.to_json(), "origin": json.dumps(origin)})
        return Episode(observed, action, times.astype(np.float64), meta, marks)

    def _observed(
        self, found: Mapping[str, Array], action: Array
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return the observations by our names, and the origin where vectors were joined."""
        images = {n: a for n, a in found.items() if a.ndim == 4}
        vectors = {
            n: _rows(a)
            for n, a in found.items()
            if n.startswith("observation.") and n not in images
        }
        observed = {str(from_lerobot(n)): a for n, a in images.items()}
        if not self._mixed:
            named = {from_lerobot(n): a for n, a in vectors.items()}
            return {**observed, **{str(k): a for k, a in named.items() if k}}, {}
        observed["qpos"] = np.zeros_like(action)
        observed["state"], layout = pack_vectors(vectors)
        return observed, {ORIGIN_FORMAT: LEROBOT, "state": layout}

    def _meta(self, tasks: set[int], index: int) -> EpisodeMeta:
        """Return what a foreign data set says of an episode."""
        names = self._features["action"].get("names")
        names = names.get("motors", []) if isinstance(names, dict) else names
        width = int(self._features["action"]["shape"][0])
        fits = isinstance(names, list) and len(names) == width
        instruction = self._tasks.get(min(tasks, default=0), "")
        return EpisodeMeta(
            instruction=instruction,
            robot=str(self._info.get("robot_type") or ""),
            operator="foreign",
            index=index,
            joints=tuple(map(str, names)) if fits and names else (),
            control_hz=float(self._fps),
            timed=False,
            sim=False,
        )


def _names(path: Path) -> list[str]:
    try:
        return list(pq.read_schema(path).names)
    except BROKEN as error:
        raise UsageError(f"{path}: is no whole parquet file ({error})") from error


def _read_table(
    path: Path, columns: list[str] | None = None, episode: int | None = None
) -> pa.Table:
    """Read columns of a parquet file, of one episode or all.

    Raises:
        UsageError: it is missing, cut off, or lacks a column.
    """
    if not path.is_file():
        raise UsageError(f"{path}: is missing")
    chosen = None if episode is None else pads.field("episode_index") == episode
    try:
        return pads.dataset(path, format="parquet").to_table(columns=columns, filter=chosen)
    except BROKEN as error:
        told = " ".join(str(error).split())[:160]
        raise UsageError(f"{path}: is no whole parquet file of its columns ({told})") from error


def _array(column: pa.ChunkedArray, feature: Mapping[str, Any]) -> Array:
    """Return a column as an array (T,), (T, k) or, of pictures, (T, h, w, 3)."""
    if feature["dtype"] == "image":
        return np.stack([_picture(cell["bytes"]) for cell in column.to_pylist()])
    whole = column.combine_chunks()
    if pa.types.is_fixed_size_list(whole.type) or pa.types.is_list(whole.type):
        rows: Array = whole.flatten().to_numpy(zero_copy_only=False)
        return rows.reshape(len(column), -1)
    values: Array = whole.to_numpy(zero_copy_only=False)
    return values


def _rows(values: Array) -> Array:
    """Return vectors (T, k): those of one number are stored as (T,)."""
    return values.reshape(len(values), -1)


def _picture(data: bytes | None) -> Array:
    """Decode one PNG or JPEG (h, w, 3) uint8; ``ValueError`` where it is none."""
    if data is None:
        raise ValueError("a picture must lie in the table")
    with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as image:
        if max(image.size) > MAX_PIXELS:
            raise ValueError(f"pictures must be at most {MAX_PIXELS} px a side, got {image.size}")
        return np.asarray(image.convert("RGB"))
