"""What happens to demonstrations before they are learned from, and to images at deployment.

`resize` is the one resize of the project: training and deployment call it, so a policy sees the
same pixels in both.
"""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from envs.arm import Array
from envs.episode import EpisodeHeader

SIGMAS = 3.0
"""An episode is too long or too short beyond this many standard deviations from the mean."""


def resize(images: Array, size: tuple[int, int]) -> Array:
    """Return images at another size, anti-aliased.

    Pillow widens its filter when it shrinks, which is what anti-aliases; OpenCV's and torch's
    plain bilinear and bicubic do not. Lanczos shrinks, bicubic enlarges; each frame is resized
    alone, so a batch of any size gives the same bytes.

    Args:
        images: (..., h, w, 3) uint8.
        size: (height, width) [px].

    Returns:
        (..., height, width, 3) uint8; ``images`` itself where the size is right already.

    Raises:
        ValueError: another shape or type, or a size below 1 px.
    """
    images = np.asarray(images)
    if images.ndim < 3 or images.shape[-1] != 3 or images.dtype != np.uint8:
        raise ValueError(f"images must be (..., h, w, 3) uint8, got {images.shape} {images.dtype}")
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"size must be at least 1 px, got {height}x{width}")
    if images.shape[-3:-1] == (height, width):
        return images
    shrinks = height * width <= images.shape[-3] * images.shape[-2]
    kernel = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    frames = images.reshape(-1, *images.shape[-3:])
    resized = np.empty((len(frames), height, width, 3), np.uint8)
    for i, frame in enumerate(frames):
        resized[i] = np.asarray(Image.fromarray(frame).resize((width, height), kernel))
    return resized.reshape(*images.shape[:-3], height, width, 3)


def filter_episodes(headers: Mapping[str, EpisodeHeader]) -> dict[str, str]:
    """Return which episodes not to learn from, and why.

    Left out are failed episodes, flagged ones, and those whose length is more than 3 standard
    deviations from the mean length of the rest (which needs 11 episodes or more to happen). What an
    expert has labelled is learned from however it ended: there the labels count.

    Args:
        headers: by file name.

    Returns:
        Reason by file name, in the order of ``headers``.
    """
    reasons = {}
    for name, header in headers.items():
        if header.meta.success is False and not header.marked:
            reasons[name] = f"failed: {header.meta.failure or 'no label'}"
        elif header.meta.flag:
            reasons[name] = f"flagged: {header.meta.flag}"
    plain = {name: h for name, h in headers.items() if name not in reasons and not h.marked}
    lengths = {name: h.length for name, h in plain.items()}
    reasons |= _odd_lengths(lengths)
    return {name: reasons[name] for name in headers if name in reasons}


def _odd_lengths(lengths: Mapping[str, int]) -> dict[str, str]:
    if not lengths:
        return {}
    values = np.array(list(lengths.values()), np.float64)
    mean, deviation = values.mean(), values.std()
    return {
        name: f"{length} steps, {abs(length - mean) / deviation:.1f} sigma from the mean {mean:.0f}"
        for name, length in lengths.items()
        if abs(length - mean) > SIGMAS * deviation
    }
