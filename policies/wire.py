"""Messages between a policy server and its clients: msgpack maps with raw numpy buffers.

An array is the map ``{"dtype": "<f4", "shape": [2, 1, 7], "data": bytes}``, little-endian, in C
order. Nothing that is received can run code. The whole protocol is in docs/serving.md.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import numpy as np

from envs.arm import Array

PROTOCOL, VERSION = "armtrials-policy", 1
PORT = 8765
MAX_MESSAGE = 256 * 2**20
"""Largest message by default [bytes]: 50 trials with two cameras of 640 x 480 are 88 MiB."""

ACTION = "<f4"
DTYPES = (ACTION, "<f8", "|u1", "<i4", "<i8")
"""What an array may hold, as numpy writes it."""
PARTS = {"dtype", "shape", "data"}

VERSION_ERROR, BUSY, MESSAGE, OBSERVATION, POLICY = (
    *("version", "busy", "message"),
    *("observation", "policy"),
)
"""Codes of an ``error`` message; after the first three the server hangs up."""


class WireError(ValueError):
    """A message that the protocol does not allow."""


def encode(message: Mapping[str, Any]) -> bytes:
    """Return the bytes of a message; arrays may stand anywhere in it."""
    packed: bytes = msgpack.packb(message, default=_array_map)
    return packed


def decode(data: str | bytes) -> dict[str, Any]:
    """Read a message; its arrays are copies that may be written to.

    Raises:
        WireError: it is text, no msgpack, no map with a ``type``, or an array in it is malformed.
    """
    if isinstance(data, str):
        raise WireError("a message must be binary, got text")
    try:
        message = msgpack.unpackb(data, object_hook=_restored)
    except WireError:
        raise
    except Exception as error:  # msgpack raises half a dozen kinds
        raise WireError(f"a message must be msgpack: {type(error).__name__} {error}") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise WireError(f"a message must be a map with a type, got {shortened(str(message), 80)}")
    return message


def _array_map(value: object) -> dict[str, Any]:
    """Return the map of an array; raise ``TypeError`` for anything else."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} cannot be sent")
    array = np.asarray(value, value.dtype.newbyteorder("<"), order="C")
    if array.dtype.str not in DTYPES:
        raise TypeError(f"arrays must be {', '.join(DTYPES)}, got {array.dtype.str}")
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": array.tobytes()}


def _restored(found: dict[Any, Any]) -> Any:  # noqa: ANN401  (an array, or the map itself)
    if set(found) != PARTS:
        return found
    dtype, shape, data = found["dtype"], found["shape"], found["data"]
    if dtype not in DTYPES:
        raise WireError(
            f"an array's dtype must be {', '.join(DTYPES)}, got {shortened(str(dtype), 40)!r}"
        )
    if not isinstance(shape, list) or not all(type(side) is int and side >= 0 for side in shape):
        raise WireError(
            f"an array's shape must be a list of sizes, got {shortened(str(shape), 80)}"
        )
    expected = math.prod(shape) * np.dtype(dtype).itemsize
    if not isinstance(data, bytes) or len(data) != expected:
        size = len(data) if isinstance(data, bytes) else type(data).__name__
        raise WireError(f"an array {dtype} {shape} must have {expected} bytes of data, got {size}")
    return np.frombuffer(data, dtype).reshape(shape).copy()


def field(message: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:  # noqa: ANN401
    """Return an entry of a message; ``WireError`` where it is missing or of another type."""
    value = message.get(name)
    wanted = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        names = " or ".join(k.__name__ for k in wanted)
        told = f"{message['type']}.{name}" if "type" in message else name
        raise WireError(f"{told} must be {names}, got {type(value).__name__}")
    return value


def items(message: Mapping[str, Any], name: str, kind: type) -> list[Any]:
    """Return an entry that is a list of one type; ``WireError`` where it is not."""
    values: list[Any] = field(message, name, list)
    if not all(type(value) is kind for value in values):
        raise WireError(f"{message.get('type')}.{name} must hold {kind.__name__} only")
    return values


def shortened(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters; one that was cut ends in an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"


def check_array(found: object, what: str, shape: Sequence[int], dtype: str) -> Array:
    """Return an array of the shape and dtype that the protocol asks for, or raise ``WireError``."""
    wanted = f"{what} must be {dtype} of shape {tuple(shape)}"
    if not isinstance(found, np.ndarray):
        raise WireError(f"{wanted}, got {type(found).__name__}")
    if found.shape != tuple(shape) or found.dtype.str != dtype:
        raise WireError(f"{wanted}, got {found.dtype.str} {found.shape}")
    return found


def dtype_of(key: str) -> str:
    """Return the dtype of an observation: images uint8, everything else float32."""
    return "|u1" if key.startswith("images/") else ACTION
