"""What an HDF5 file must be before a byte of its data is read.

A foreign file can point at other files (external links, external storage, virtual datasets) and
declare a terabyte in 3 KB. Everything here looks at headers only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from envs.errors import UsageError

MAX_OBJECTS = 4096
MAX_DEPTH = 16
MAX_STEPS = 200_000  # more than an hour at 50 Hz
MAX_PIXELS = 4096  # a side
MAX_BYTES = 16 << 30  # all datasets of one file together
MAX_CHUNK_BYTES = 1 << 30
MAX_TEXT_BYTES = 1 << 20
MAX_DEFLATE = 1100  # deflate cannot shrink data further than about 1032 times
FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, 32000}
UNREADABLE = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    ArithmeticError,
    MemoryError,
)
"""What h5py raises on damaged files."""


@contextmanager
def open_guarded(
    path: Path, max_objects: int = MAX_OBJECTS, max_bytes: int = MAX_BYTES
) -> Iterator[h5py.File]:
    """Open ``path`` for reading after every object in it passed the guard.

    Args:
        path: the file.
        max_objects: groups and datasets in it.
        max_bytes: of all its datasets together.

    Raises:
        UsageError: not a readable HDF5 file, or one that breaks a rule (the message says which).
    """
    if not path.is_file():
        raise UsageError(f"{path}: must be a regular file, and there is none")
    try:
        with h5py.File(path, "r") as file:
            _check_total(_walk(file, path, max_objects), path, max_bytes)
            yield file
    except UsageError:
        raise
    except UNREADABLE as error:
        raise UsageError(f"{path}: is not a readable HDF5 file ({_first_line(error)})") from error


def _walk(file: h5py.File, path: Path, max_objects: int) -> list[h5py.Dataset]:
    """Visit every object once by hard links alone; return the datasets."""
    datasets: list[h5py.Dataset] = []
    seen: set[int] = set()
    queue: list[tuple[h5py.Group, int]] = [(file["/"], 0)]
    while queue:
        group, depth = queue.pop()
        for name in group:
            if not isinstance(name, str):
                raise UsageError(f"{path}: names must be UTF-8 text, got {name!r}")
            where = f"{group.name.rstrip('/')}/{name}"
            item = _follow(group, name, f"{path}: {where}")
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > max_objects or depth >= MAX_DEPTH:
                raise UsageError(
                    f"{path}: must hold at most {max_objects} objects, {MAX_DEPTH} levels deep"
                )
            if isinstance(item, h5py.Dataset):
                _check_storage(item, f"{path}: {where}")
                datasets.append(item)
            elif isinstance(item, h5py.Group):
                queue.append((item, depth + 1))
    return datasets


def _follow(group: h5py.Group, name: str, where: str) -> h5py.HLObject:
    """Return the object behind a link if the link is a hard one."""
    kind = group.id.links.get_info(name.encode()).type
    if kind == h5py.h5l.TYPE_EXTERNAL:
        raise UsageError(f"{where}: external links are refused (it points at another file)")
    if kind != h5py.h5l.TYPE_HARD:
        raise UsageError(f"{where}: soft and user-defined links are refused")
    return group[name]


def _check_storage(dataset: h5py.Dataset, where: str) -> None:
    """Refuse data kept outside the file, unknown filters and sizes the file cannot hold."""
    properties = dataset.id.get_create_plist()
    if properties.get_layout() == h5py.h5d.VIRTUAL:
        raise UsageError(f"{where}: virtual datasets are refused (they read other files)")
    if properties.get_external_count():
        raise UsageError(f"{where}: external storage is refused (it reads other files)")
    filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if filters - FILTERS:
        raise UsageError(f"{where}: filters must be gzip, lzf, shuffle or fletcher32")
    if dataset.shape is None:
        return
    declared, stored = declared_bytes(dataset), dataset.id.get_storage_size()
    room = stored * (MAX_DEFLATE if filters & {h5py.h5z.FILTER_DEFLATE, 32000} else 1)
    if declared > room and not h5py.check_dtype(vlen=dataset.dtype):
        raise UsageError(
            f"{where}: absurd shape {dataset.shape}: declares {declared} bytes, stores {stored}"
        )
    if dataset.chunks and int(np.prod(dataset.chunks, dtype=object)) > MAX_CHUNK_BYTES:
        raise UsageError(f"{where}: chunks must be below 1 GiB, got {dataset.chunks}")


def _check_total(datasets: list[h5py.Dataset], path: Path, max_bytes: int) -> None:
    """Refuse a file whose datasets together declare or store more than can be."""
    stored = sum(d.id.get_storage_size() for d in datasets)
    if stored > path.stat().st_size:
        raise UsageError(
            f"{path}: absurd shapes: datasets store {stored} bytes in a file of "
            f"{path.stat().st_size}"
        )
    declared = sum(declared_bytes(d) for d in datasets if d.shape is not None)
    if declared > max_bytes:
        raise UsageError(f"{path}: datasets must declare at most {max_bytes} bytes, got {declared}")


def declared_bytes(dataset: h5py.Dataset) -> int:
    """Return the size of ``dataset`` in memory, computed without overflow."""
    return int(np.prod(dataset.shape, dtype=object)) * int(dataset.dtype.itemsize)


def need_dataset(group: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """Return the dataset ``name``; raise ``UsageError`` if there is none."""
    item = group.get(name)
    if not isinstance(item, h5py.Dataset):
        raise UsageError(f"{path}: must have the dataset {group.name.rstrip('/')}/{name}")
    return item


def check_numbers(dataset: h5py.Dataset, path: Path, shape: tuple[int | None, ...]) -> None:
    """Require real numbers of ``shape``, where None is any size within the limits.

    Raises:
        UsageError: another kind of data (text, references, variable length), another shape.
    """
    where = f"{path}: {dataset.name}"
    if dataset.dtype.kind not in "fiub" or dataset.dtype.itemsize > 8:
        raise UsageError(f"{where}: must hold numbers, got dtype {dataset.dtype}")
    found = dataset.shape
    fits = found is not None and len(found) == len(shape)
    fits = fits and all(w is None or w == s for s, w in zip(found, shape, strict=True))
    if not fits:
        wanted = tuple("any" if s is None else s for s in shape)
        raise UsageError(f"{where}: must have shape {wanted}, got {found}".replace("'", ""))
    limits = {2: (MAX_STEPS, 1 << 24), 4: (MAX_STEPS, MAX_PIXELS, MAX_PIXELS, 3)}
    for size, limit in zip(found, limits.get(len(found), (MAX_STEPS,)), strict=False):
        if not 0 < size <= limit:
            raise UsageError(f"{where}: absurd shape {found}: sizes must be 1..{limit}")


def read_text(file: h5py.File, name: str, path: Path) -> str:
    """Return a scalar attribute as text, "" where it is missing.

    Raises:
        UsageError: an attribute that is no scalar, or longer than 1 MiB.
    """
    value = read_scalar(file, name, path)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def read_scalar(file: h5py.File, name: str, path: Path) -> object:
    """Return a scalar attribute, None where it is missing.

    Raises:
        UsageError: an attribute that is no single number or text, or longer than 1 MiB. (h5py
            crashes on some types that a damaged or hostile file can give an attribute.)
    """
    if name not in file.attrs:
        return None
    attribute = file.attrs.get_id(name)
    kind = attribute.dtype
    text = kind.kind in "OS" and h5py.check_string_dtype(kind) is not None
    fits = attribute.shape == () and attribute.get_storage_size() <= MAX_TEXT_BYTES
    if not fits or not (text or (kind.kind in "fiub" and kind.itemsize <= 8)):
        raise UsageError(f"{path}: attribute {name!r} must be one number or short text")
    value: object = file.attrs[name]
    return value


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
