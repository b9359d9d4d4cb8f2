"""LeRobot v3.0 on disk: where things lie, what features look like, the schema of its tables.

::

    meta/info.json                              rate, features, totals, where files are
    meta/stats.json                             statistics of each feature
    meta/tasks.parquet                          instruction -> number
    meta/episodes/chunk-000/file-000.parquet    a row an episode: where its frames are, statistics
    data/chunk-000/file-000.parquet             a row a frame, of many episodes
    videos/<feature>/chunk-000/file-000.mp4     frames of a camera, of many episodes

Added, and ignored by other readers: the feature ``time`` (LeRobot's own ``timestamp`` is
frame / fps), ``expert.*`` (see `envs.marks`), and the column ``armtrials/meta`` of the episodes.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from envs.arm import Array

VERSION = "v3.0"
CHUNK = 1000
DATA_MB, VIDEO_MB = 100, 200
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
META = "armtrials/meta"
TIME = "time"
EXPERT = "expert."
INDEX = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
"""The features that every data set has."""
IMAGES = "observation.images."

Feature = dict[str, Any]


def vector(width: int, names: list[str] | None = None, dtype: str = "float32") -> Feature:
    """Return the feature of a vector (width,)."""
    return {"dtype": dtype, "shape": [width], "names": names}


def picture(shape: tuple[int, ...], info: Mapping[str, Any] | None, fps: int) -> Feature:
    """Return the feature of a camera (h, w, 3): a video with ``info``, or pictures in tables."""
    names = ["height", "width", "channels"]
    if info is None:
        return {"dtype": "image", "shape": list(shape), "names": names}
    told = {
        "video.height": shape[0],
        "video.width": shape[1],
        **info,
        "video.is_depth_map": False,
        "video.fps": fps,
        "video.channels": 3,
        "has_audio": False,
    }
    return {"dtype": "video", "shape": list(shape), "names": names, "info": told}


def schema(features: Mapping[str, Feature]) -> pa.Schema:
    """Return the schema of the data tables, with what Hugging Face's ``datasets`` asks for."""
    fields, told = [], {}
    for name, feature in features.items():
        if feature["dtype"] == "video":
            continue
        kind, about = _column(feature)
        fields.append(pa.field(name, kind))
        told[name] = about
    return pa.schema(fields, {"huggingface": json.dumps({"info": {"features": told}})})


def _column(feature: Feature) -> tuple[pa.DataType, dict[str, Any]]:
    """Return a column's type, for pyarrow and for ``datasets``."""
    if feature["dtype"] == "image":
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())]), {"_type": "Image"}
    names = {"bool": pa.bool_(), "float32": pa.float32(), "float64": pa.float64()}
    kind = {**names, "int64": pa.int64()}[feature["dtype"]]
    value = {"dtype": feature["dtype"], "_type": "Value"}
    (width,) = feature["shape"]
    if width == 1:
        return kind, value
    return pa.list_(kind, width), {"feature": value, "length": width, "_type": "List"}


def column(values: Array, kind: pa.DataType) -> pa.Array:
    """Return an array (T,) or (T, k) as a column of ``kind``."""
    flat = np.ascontiguousarray(values).reshape(-1)
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(pa.array(flat, kind.value_type), kind.list_size)
    return pa.array(flat, kind)


def tasks_table(tasks: list[str]) -> pa.Table:
    """Return the table of the instructions; they are its index, as pandas reads it."""
    index = "__index_level_0__"
    about = {
        "index_columns": [index],
        "column_indexes": [
            {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object",
             "metadata": {"encoding": "UTF-8"}}
        ],
        "columns": [
            {"name": "task_index", "field_name": "task_index", "pandas_type": "int64",
             "numpy_type": "int64", "metadata": None},
            {"name": None, "field_name": index, "pandas_type": "unicode", "numpy_type": "object",
             "metadata": None},
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.2.0",
    }  # fmt: skip
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), index: tasks})
    return table.replace_schema_metadata({"pandas": json.dumps(about)})
