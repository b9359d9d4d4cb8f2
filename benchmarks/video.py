"""H.264 videos that play in a browser, and the picture of a trial: two views, caption, outcome."""

import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from envs.arm import Array

GREEN, RED, DARK = (46, 160, 67), (207, 34, 46), (24, 26, 31)
CAPTION_LINE = 14  # px
BORDER = 5  # px


def write_mp4(path: Path, frames: Iterable[Array], fps: float, crf: int = 26) -> Path:
    """Write frames as an H.264 mp4 (yuv420p, index first, one thread: the same bytes each time).

    Args:
        path: where; written under a temporary name and renamed when complete.
        frames: (h, w, 3) uint8 RGB, all of one size; an odd edge is doubled to make it even.
        fps: frames a second of the playback.
        crf: constant rate factor of x264, 0 (lossless) to 51; 26 is small and clear.

    Raises:
        ValueError: there is no frame, or a frame has another size or type than the first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with av.open(
            str(partial), "w", format="mp4", options={"movflags": "+faststart"}
        ) as container:
            _encode(container, frames, Fraction(fps).limit_denominator(1001), crf)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _encode(
    container: av.container.OutputContainer, frames: Iterable[Array], rate: Fraction, crf: int
) -> None:
    """Encode all frames into one stream of ``container``."""
    stream, shape = None, None
    for frame in frames:
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise ValueError(f"a frame must be (h, w, 3) uint8, got {frame.shape} {frame.dtype}")
        if stream is None:
            shape = frame.shape
            stream = container.add_stream(
                "libx264", rate=rate, options={"crf": str(crf), "preset": "veryfast"}
            )
            stream.width, stream.height = shape[1] + shape[1] % 2, shape[0] + shape[0] % 2
            stream.pix_fmt = "yuv420p"
            stream.codec_context.thread_count = 1
        if frame.shape != shape:
            raise ValueError(f"all frames must be {shape}, got {frame.shape}")
        for packet in stream.encode(av.VideoFrame.from_ndarray(_even(frame), format="rgb24")):
            container.mux(packet)
    if stream is None:
        raise ValueError("a video must have at least one frame, got none")
    for packet in stream.encode():
        container.mux(packet)


def _even(frame: Array) -> Array:
    """Double the last row or column where the size is odd: yuv420p halves the colours."""
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(frame)


def compose(views: Sequence[Array], caption: Sequence[str], border: bool | None = None) -> Array:
    """Set views of one height side by side over caption lines.

    Args:
        views: pictures (h, w_i, 3) uint8 RGB.
        caption: short lines written under them.
        border: True draws a green frame (success), False a red one, None no frame.

    Returns:
        The picture (h + lines, sum of w_i, 3) uint8.
    """
    row = np.concatenate(list(views), axis=1)
    height, width = row.shape[:2]
    canvas = Image.new("RGB", (width, height + CAPTION_LINE * len(caption) + 4), DARK)
    canvas.paste(Image.fromarray(row), (0, 0))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(11)
    for i, line in enumerate(caption):
        draw.text((5, height + 1 + i * CAPTION_LINE), line, fill=(235, 235, 235), font=font)
    if border is not None:
        edge = (0, 0, width - 1, height - 1)
        draw.rectangle(edge, outline=GREEN if border else RED, width=BORDER)
    return np.asarray(canvas)
