"""Frozen dataclasses as JSON and back, read strictly."""

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from envs.errors import UsageError

T = TypeVar("T")

LATER: Mapping[str, bool] = types.MappingProxyType({"later": True})
"""``field(default=..., metadata=LATER)``: a setting that came later. At its default it is left out
of the JSON, so that what was written before it existed keeps its bytes and its hashes."""


def to_json(config: Any) -> dict[str, Any]:  # noqa: ANN401  (any dataclass instance)
    """Return a dataclass as JSON values; ``from_json`` restores it."""
    return cast(dict[str, Any], json.loads(json.dumps(_plain(config))))


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return dataclasses as dicts, to any depth; see ``LATER``."""
    if is_dataclass(value):
        pairs = {f: getattr(value, f.name) for f in fields(value)}
        told = {f.name: v for f, v in pairs.items() if not (f.metadata == LATER and v == f.default)}
        return {name: _plain(v) for name, v in told.items()}
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def canonical(data: Any) -> bytes:  # noqa: ANN401  (any JSON value)
    """Return the one JSON text of ``data``: sorted keys, no spaces, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def from_json(kind: type[T], data: Mapping[str, Any], where: str) -> T:
    """Restore a dataclass of type ``kind``.

    Args:
        kind: the dataclass.
        data: as from ``to_json``; what is left out keeps its default.
        where: what is read, for the message.

    Raises:
        UsageError: an unknown key (the known ones are listed), or values that cannot be.
    """
    hints = get_type_hints(kind)
    known = [f.name for f in fields(cast(Any, kind)) if f.init]
    if unknown := sorted(set(data) - set(known)):
        raise UsageError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(known)}")
    try:
        return kind(**{key: _value(hints[key], data[key], where) for key in data})
    except UsageError:
        raise
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: {error}") from error


def _value(hint: Any, data: Any, where: str) -> Any:  # noqa: ANN401
    """Return JSON ``data`` as the type ``hint`` says."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        inner = [arg for arg in get_args(hint) if arg is not type(None)]
        return None if data is None else _value(inner[0], data, where)
    if origin is tuple:
        item, *rest = get_args(hint)
        hints = [item] * len(data) if rest == [...] else [item, *rest]
        return tuple(_value(h, d, where) for h, d in zip(hints, data, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return {key: _value(get_args(hint)[1], value, where) for key, value in data.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return from_json(hint, data, where)
    if hint in (int, float, str, bool):
        return _scalar(hint, data)
    return data


def _scalar(hint: type, data: Any) -> Any:  # noqa: ANN401
    if hint is float and type(data) is int:
        return float(data)
    if type(data) is not hint:
        raise ValueError(f"expected {hint.__name__}, got {data!r}")
    return data
