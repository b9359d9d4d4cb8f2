"""What there is to watch of a demonstration: its cameras, or a replay of its commands."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.video import write_mp4
from envs.arm import Array, CameraSpec
from envs.batch import SimBatch
from envs.episode import Episode
from envs.tasks import TASKS
from policies.preprocess import resize

VIEW = CameraSpec("view", 320, 240)
EVERY_DRAWN = 5  # control periods a drawn frame: 10 frames a second at 50 Hz
EVERY_RECORDED = 2
TALL = 240  # recorded frames are shown this tall [px]
CRF = 28
TRACK_POINTS = 80


@dataclass(frozen=True)
class Footage:
    """Something to watch.

    Attributes:
        film: bytes of an H.264 mp4 in real time, or None.
        kind: ``cameras``, ``replay`` or ``none``.
        tracks: path over the table (points, 2) [m] of each thing seen from above, by name; the
            points are evenly spread over the episode.
    """

    film: bytes | None
    kind: str
    tracks: Mapping[str, Array]


def footage(episode: Episode, film: bool, views: Sequence[CameraSpec] = (VIEW,)) -> Footage:
    """Return what there is to watch of an episode.

    Args:
        episode: of any origin.
        film: make a video if one can be made.
        views: cameras, equally tall, that a replay is drawn from; recorded frames are shown as is.
    """
    tracks = {
        key.removeprefix("objects/"): _thin(array[:, :2])
        for key, array in episode.observations.items()
        if key.startswith("objects/")
    }
    if film and episode.cameras:
        rate = episode.meta.control_hz / EVERY_RECORDED
        return Footage(_encode(_recorded(episode), rate), "cameras", tracks)
    sims = _simulation(episode)
    if sims is None:
        return Footage(None, "none", tracks)
    hand: list[Array] = []
    frames = _replayed(episode, sims, hand, views if film else ())
    if film:
        shown = _encode(frames, episode.meta.control_hz / EVERY_DRAWN)
        return Footage(shown, "replay", {**tracks, "hand": _thin(np.array(hand))})
    for _ in frames:
        pass
    return Footage(None, "none", {**tracks, "hand": _thin(np.array(hand))})


def _encode(frames: Iterator[Array], fps: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_mp4(Path(folder) / "film.mp4", frames, fps, CRF).read_bytes()


def _recorded(episode: Episode) -> Iterator[Array]:
    """Yield the cameras' frames side by side, all equally tall."""
    images = [episode.observations[f"images/{camera}"] for camera in episode.cameras]
    for t in range(0, len(episode), EVERY_RECORDED):
        yield np.concatenate([_tall(i[t]) for i in images], axis=1)


def _tall(frame: Array) -> Array:
    height, width = frame.shape[:2]
    return resize(frame, (TALL, max(2, round(width * TALL / height))))


def _simulation(episode: Episode) -> SimBatch | None:
    """Return the simulation at the episode's start, None where the start is not known."""
    meta = episode.meta
    if meta.start is None or meta.task not in TASKS or not meta.sim:
        return None
    distractors = meta.start.factors.get("distractors", {}).get("count", 0)
    sims = SimBatch(TASKS[meta.task], meta.robot, 1, threads=1, distractors=distractors)
    sims.reset([meta.start])
    return sims


def _replayed(
    episode: Episode, sims: SimBatch, hand: list[Array], views: Sequence[CameraSpec]
) -> Iterator[Array]:
    """Replay the commands; note the (left) hand's way in ``hand``, yield pictures of ``views``."""
    for t, action in enumerate(episode.actions):
        hand.append(np.array(sims.readings[f"{sims.world.parts[0].prefix}tcp_pos"][:2]))
        if views and t % EVERY_DRAWN == 0:
            yield np.concatenate([sims.frame(0, view) for view in views], axis=1)
        sims.step(action[None])


def _thin(path: Array) -> Array:
    """Return at most ``TRACK_POINTS`` rows, evenly spread, first and last among them."""
    rows = np.linspace(0, len(path) - 1, min(len(path), TRACK_POINTS)).round().astype(int)
    thinned: Array = path[rows]
    return thinned
