"""Pictures of one camera as an mp4: encoding, joining without encoding again, reading back."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from envs.arm import Array
from envs.errors import UsageError
from envs.hdf5_guard import MAX_PIXELS

KEYFRAMES = 2
"""Frames from one that stands alone to the next: training reads frames out of order."""
BROKEN = (av.error.FFmpegError, OSError, ValueError, IndexError, EOFError)
"""What PyAV raises on files that are cut off or no video."""


def encode(path: Path, frames: Array, fps: int, crf: int | None) -> dict[str, Any]:
    """Write frames (T, h, w, 3) uint8 as H.264; the same frames give the same bytes.

    Args:
        path: the mp4.
        frames: RGB.
        fps: frames a second.
        crf: of the encoder, 0 to 51; None: lossless, in RGB.

    Returns:
        Codec and pixel format, as LeRobot's ``info.json`` names them.
    """
    height, width = frames.shape[1:3]
    even = not (height % 2 or width % 2)
    codec, pixels = ("libx264", "yuv420p" if even else "yuv444p")
    quality = {"crf": str(crf)}
    if crf is None:
        codec, pixels, quality = "libx264rgb", "rgb24", {"qp": "0"}
    options = {**quality, "g": str(KEYFRAMES), "bf": "0", "preset": "veryfast"}
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.thread_count = 1
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return {"video.codec": "h264", "video.pix_fmt": "gbrp" if crf is None else pixels}


def join(paths: Sequence[Path], counts: Sequence[int], fps: int, out: Path) -> None:
    """Put videos of one codec and size behind each other, packet by packet.

    Args:
        paths: the videos.
        counts: frames of each.
        fps: frames a second.
        out: the video of all.
    """
    with av.open(str(out), "w", format="mp4") as target:
        stream, before = None, 0
        for path, count in zip(paths, counts, strict=True):
            with av.open(str(path)) as source:
                origin = source.streams.video[0]
                stream = stream or target.add_stream_from_template(origin)
                for packet in source.demux(origin):
                    if packet.dts is None:  # the end of the stream
                        continue
                    shift = round(Fraction(before, fps) / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = stream
                    target.mux(packet)
            before += count


def decode(path: Path, start: float, count: int, fps: int) -> Array:
    """Return ``count`` frames (count, h, w, 3) uint8 from second ``start`` on.

    Raises:
        UsageError: no video, one of another rate, or one with fewer frames there.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            check_rate(path, stream.average_rate, fps)
            first = round(start * fps)
            frames = _from(container, stream, first, fps)
            found = _take(frames, first, count)
    except UsageError:
        raise
    except BROKEN as error:
        raise UsageError(f"{path}: is no whole video ({error})") from error
    if found is None:
        raise UsageError(f"{path}: must hold frames {first}..{first + count - 1}, some are missing")
    return found


def check_rate(path: Path, rate: Fraction | None, fps: int) -> None:
    """Refuse, with ``UsageError``, a video whose rate is not ``fps``."""
    if rate is None or abs(float(rate) - fps) > 1e-3 * fps:
        told = "no rate" if rate is None else f"{float(rate):g} frames a second"
        raise UsageError(f"{path}: has {told}, info.json says {fps}: the fps is wrong")


def _from(
    container: av.container.InputContainer,
    stream: Any,  # noqa: ANN401
    first: int,
    fps: int,
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yield (number, frame) from the key frame before ``first`` on."""
    if first:
        container.seek(int(Fraction(first, fps) / stream.time_base), stream=stream)
    begin = stream.start_time or 0
    for frame in container.decode(stream):
        if frame.pts is not None:
            yield round((frame.pts - begin) * stream.time_base * fps), frame


def _take(frames: Iterator[tuple[int, av.VideoFrame]], first: int, count: int) -> Array | None:
    """Return the frames numbered ``first`` .. ``first + count - 1``, None where one is missing."""
    found: Array | None = None
    wanted = first
    for number, frame in frames:
        if number < first:
            continue
        if number != wanted or max(frame.width, frame.height) > MAX_PIXELS:
            return None
        picture = frame.to_ndarray(format="rgb24")
        if found is None:
            found = np.empty((count, *picture.shape), np.uint8)
        if picture.shape != found.shape[1:]:
            return None
        found[wanted - first] = picture
        wanted += 1
        if wanted == first + count:
            return found
    return None
