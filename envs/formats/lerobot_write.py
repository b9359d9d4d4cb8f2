"""A LeRobot v3.0 data set of episodes."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from envs.arm import Array
from envs.atomic import write_atomic
from envs.episode import Episode
from envs.errors import UsageError
from envs.formats import lerobot_tables as tables
from envs.formats import movie
from envs.formats.base import ORIGIN_FORMAT, Options
from envs.formats.lerobot_stats import of_pictures, of_vectors, together
from envs.formats.names import from_lerobot, read_origin, to_lerobot, unpack_vectors

LEROBOT = "lerobot"
IMAGES = ("h264", "lossless", "png")
FRAMES, ROW = "data.parquet", "row.json"


class LeRobotTarget:
    """A folder in LeRobot's layout."""

    def __init__(self, options: Options) -> None:
        """Write pictures as ``options`` say.

        Raises:
            UsageError: an unknown way to keep pictures, or a quality that H.264 does not have.
        """
        if options.images not in IMAGES:
            raise UsageError(f"unknown images {options.images!r}; known: {', '.join(IMAGES)}")
        if not 0 <= options.crf <= 51:
            raise UsageError(f"crf must be 0..51, got {options.crf}")
        self._images, self._crf = options.images, options.crf

    def signature(self, episode: Episode) -> Mapping[str, Any]:
        """Return rate, robot and features; LeRobot knows one of each a data set."""
        hz = episode.meta.control_hz
        if abs(hz - round(hz)) > 1e-6:
            raise UsageError(f"LeRobot's fps is a whole number, this episode has {hz} a second")
        features = {name: [a.dtype.str, list(a.shape[1:])] for name, a in arrays(episode).items()}
        return {"fps": round(hz), "robot": episode.meta.robot, **features}

    def stage(self, folder: Path, episode: Episode) -> None:
        """Write the table, the videos and the row of one episode."""
        fps, found = round(episode.meta.control_hz), arrays(episode)
        joints = list(episode.meta.joints) or None
        features, columns = {}, {}
        for name, array in found.items():
            if array.ndim < 4:
                width = array.shape[1] if array.ndim == 2 else 1
                names = joints if joints and len(joints) == width else None
                features[name] = tables.vector(width, names, _dtype(array))
                columns[name] = array
            elif self._images == "png":
                features[name] = tables.picture(array.shape[1:], None, fps)
                columns[name] = array
            else:
                crf = None if self._images == "lossless" else self._crf
                info = movie.encode(folder / f"{name}.mp4", array, fps, crf)
                features[name] = tables.picture(array.shape[1:], info, fps)
        count = np.arange(len(episode))
        columns |= {"timestamp": (count / fps).astype(np.float32), "frame_index": count}
        columns |= dict.fromkeys(("episode_index", "index", "task_index"), np.zeros_like(count))
        features |= {name: tables.vector(1, None, kind) for name, kind in tables.INDEX.items()}
        schema = tables.schema(features)
        cells = [_cells(columns[field.name], field.type) for field in schema]
        pq.write_table(pa.table(cells, schema=schema), folder / FRAMES)
        row = {
            "length": len(episode),
            "fps": fps,
            "task": episode.meta.instruction or episode.meta.task,
            "robot": episode.meta.robot,
            "meta": json.dumps(episode.meta.to_json(), sort_keys=True, allow_nan=False),
            "features": features,
            "stats": {name: _plain(_stats(a)) for name, a in {**found, **columns}.items()},
        }
        write_atomic(folder / ROW, json.dumps(row).encode())

    def assemble(self, pieces: Sequence[Path], out: Path) -> None:
        """Join tables and videos up to LeRobot's file sizes, then write what is said of them."""
        rows = [json.loads((piece / ROW).read_text()) for piece in pieces]
        tasks = list(dict.fromkeys(row["task"] for row in rows))
        places = _join_tables(pieces, rows, tasks, out)
        for name, feature in rows[0]["features"].items():
            if feature["dtype"] == "video":
                for place, told in zip(places, _join_videos(pieces, rows, name, out), strict=True):
                    place.update(told)
        episodes = [_episode_row(i, row, places[i]) for i, row in enumerate(rows)]
        (out / tables.EPISODES).parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(episodes), out / tables.EPISODES)
        pq.write_table(tables.tasks_table(tasks), out / tables.TASKS)
        parts = {name: [_arrays(row["stats"][name]) for row in rows] for name in rows[0]["stats"]}
        stats = {name: _plain(together(part)) for name, part in parts.items()}
        write_atomic(out / tables.STATS, _pretty(stats))
        write_atomic(out / tables.INFO, _pretty(_info(rows, len(tasks))))


def arrays(episode: Episode) -> dict[str, Array]:
    """Return what an episode holds by LeRobot's names, actions, times and marks too."""
    origin = read_origin(episode.meta.origin)
    observed = dict(episode.observations)
    found = {}
    if origin.get(ORIGIN_FORMAT) == LEROBOT:
        observed.pop("qpos")  # the data set had none
        found = unpack_vectors(observed.pop("state"), origin["state"])
    found |= {to_lerobot(key): array for key, array in observed.items()}
    found["action"] = episode.actions
    found[tables.TIME] = episode.timestamps
    if episode.marks is not None:
        found[f"{tables.EXPERT}action"] = episode.marks.actions
        found[f"{tables.EXPERT}asked"] = episode.marks.asked
        found[f"{tables.EXPERT}acted"] = episode.marks.acted
    return found


def known(feature: str) -> bool:
    """Tell whether an episode has a place for one of LeRobot's features."""
    ours = ("action", tables.TIME, *tables.INDEX)
    return feature in ours or feature.startswith(tables.EXPERT) or bool(from_lerobot(feature))


def _dtype(array: Array) -> str:
    return "bool" if array.dtype == np.bool_ else str(array.dtype)


def _cells(values: Array, kind: pa.DataType) -> pa.Array:
    """Return a column; pictures become PNG files in it."""
    if values.ndim < 4:
        return tables.column(values, kind)
    return pa.array([{"bytes": _png(frame), "path": None} for frame in values], kind)


def _png(frame: Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _stats(array: Array) -> dict[str, Array]:
    return of_pictures(array) if array.ndim == 4 else of_vectors(array)


def _plain(stats: Mapping[str, Array]) -> dict[str, Any]:
    return {name: np.asarray(value).tolist() for name, value in stats.items()}


def _arrays(stats: Mapping[str, Any]) -> dict[str, Array]:
    return {name: np.asarray(value) for name, value in stats.items()}


def _pretty(value: object) -> bytes:
    return (json.dumps(value, indent=4, allow_nan=False) + "\n").encode()


def _files(sizes: Sequence[int], limit_mb: int) -> Iterator[tuple[int, int, list[int]]]:
    """Yield (chunk, file, which pieces) so that no file is much above the limit."""
    group: list[int] = []
    total = number = 0
    for i, size in enumerate(sizes):
        if group and total + size > limit_mb * 1_000_000:
            yield *divmod(number, tables.CHUNK), group
            group, total, number = [], 0, number + 1
        group.append(i)
        total += size
    yield *divmod(number, tables.CHUNK), group


def _join_tables(
    pieces: Sequence[Path], rows: Sequence[Mapping[str, Any]], tasks: list[str], out: Path
) -> list[dict[str, Any]]:
    """Write the data tables; return where each episode's frames are."""
    places: list[dict[str, Any]] = []
    schema = tables.schema(rows[0]["features"])
    sizes = [(piece / FRAMES).stat().st_size for piece in pieces]
    before = 0
    for chunk, file, group in _files(sizes, tables.DATA_MB):
        path = out / tables.DATA.format(chunk_index=chunk, file_index=file)
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(path, schema, compression="snappy") as writer:
            for i in group:
                length = int(rows[i]["length"])
                number = {"episode_index": i, "task_index": tasks.index(rows[i]["task"])}
                table = pq.read_table(pieces[i] / FRAMES).replace_schema_metadata(schema.metadata)
                for name, value in number.items():
                    table = _replace(table, name, np.full(length, value))
                table = _replace(table, "index", np.arange(before, before + length))
                writer.write_table(table)
                places.append(
                    {
                        "data/chunk_index": chunk,
                        "data/file_index": file,
                        "dataset_from_index": before,
                        "dataset_to_index": before + length,
                    }
                )
                before += length
    return places


def _replace(table: pa.Table, name: str, values: Array) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(at), pa.array(values, pa.int64()))


def _join_videos(
    pieces: Sequence[Path], rows: Sequence[Mapping[str, Any]], name: str, out: Path
) -> list[dict[str, Any]]:
    """Write the videos of one camera; return where each episode's frames are."""
    told: list[dict[str, Any]] = []
    paths = [piece / f"{name}.mp4" for piece in pieces]
    fps = int(rows[0]["fps"])
    prefix = f"videos/{name}"
    for chunk, file, group in _files([p.stat().st_size for p in paths], tables.VIDEO_MB):
        path = out / tables.VIDEO.format(video_key=name, chunk_index=chunk, file_index=file)
        path.parent.mkdir(parents=True, exist_ok=True)
        lengths = [int(rows[i]["length"]) for i in group]
        movie.join([paths[i] for i in group], lengths, fps, path)
        ends = np.cumsum(lengths)
        for end, length in zip(ends, lengths, strict=True):
            told.append(
                {
                    f"{prefix}/chunk_index": chunk,
                    f"{prefix}/file_index": file,
                    f"{prefix}/from_timestamp": float((end - length) / fps),
                    f"{prefix}/to_timestamp": float(end / fps),
                }
            )
    return told


def _episode_row(i: int, row: Mapping[str, Any], place: Mapping[str, Any]) -> dict[str, Any]:
    """Return an episode's row in the table of episodes."""
    stats = {
        f"stats/{name}/{what}": value
        for name, found in row["stats"].items()
        for what, value in found.items()
    }
    first = {"episode_index": i, "tasks": [row["task"]], "length": row["length"]}
    files = {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}
    return {**first, **place, **stats, **files, tables.META: row["meta"]}


def _info(rows: Sequence[Mapping[str, Any]], tasks: int) -> dict[str, Any]:
    """Return what ``info.json`` says."""
    first = rows[0]
    videos = any(feature["dtype"] == "video" for feature in first["features"].values())
    return {
        "codebase_version": tables.VERSION,
        "robot_type": first["robot"] or None,
        "total_episodes": len(rows),
        "total_frames": sum(int(row["length"]) for row in rows),
        "total_tasks": tasks,
        "chunks_size": tables.CHUNK,
        "data_files_size_in_mb": tables.DATA_MB,
        "video_files_size_in_mb": tables.VIDEO_MB,
        "fps": first["fps"],
        "splits": {"train": f"0:{len(rows)}"},
        "data_path": tables.DATA,
        "video_path": tables.VIDEO if videos else None,
        "features": first["features"],
    }
