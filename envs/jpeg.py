"""Frames as JPEG rows, the compressed variant of ALOHA files.

A camera is (T, padded) uint8: one JPEG a row, padded with zeros. The JPEGs hold true colours:
OpenCV decodes them as BGR, here they become RGB.
"""

import io

import numpy as np
from PIL import Image

from envs.arm import Array

QUALITY = 95


def encode(frames: Array) -> tuple[Array, Array]:
    """Return JPEGs (T, padded) uint8 and their lengths (T,) int32 of frames (T, h, w, 3) uint8."""
    jpegs = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
        jpegs.append(buffer.getvalue())
    lengths = np.array([len(j) for j in jpegs], np.int32)
    rows = np.zeros((len(jpegs), int(lengths.max())), np.uint8)
    for row, jpeg in zip(rows, jpegs, strict=True):
        row[: len(jpeg)] = np.frombuffer(jpeg, np.uint8)
    return rows, lengths


def size(row: Array, max_side: int) -> tuple[int, int]:
    """Return height and width that the JPEG of ``row`` (padded,) declares, nothing decoded.

    Raises:
        ValueError: no JPEG, or a side above ``max_side``.
    """
    try:
        with Image.open(io.BytesIO(row.tobytes()), formats=["JPEG"]) as image:
            width, height = image.size
    except (OSError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError("must hold JPEG images") from error
    if max(width, height) > max_side:
        raise ValueError(f"must hold images of at most {max_side} px a side, got {width}x{height}")
    return height, width


def decode(rows: Array, shape: tuple[int, int]) -> Array:
    """Return frames (T, h, w, 3) uint8 RGB of JPEGs (T, padded), all of ``shape`` (h, w).

    Raises:
        ValueError: a row is no whole JPEG of that size.
    """
    frames = np.empty((len(rows), *shape, 3), np.uint8)
    for t, row in enumerate(rows):
        if size(row, max(shape)) != shape:
            raise ValueError(f"must hold images of one size, got another at step {t}")
        try:
            with Image.open(io.BytesIO(row.tobytes()), formats=["JPEG"]) as image:
                frames[t] = np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError) as error:
            raise ValueError(f"must hold whole JPEG images, broken at step {t}") from error
    return frames
