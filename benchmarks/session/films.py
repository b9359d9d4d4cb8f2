"""Films of trials for the second rater and the report: they name a trial by its code only."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.protocol import EvalProtocol
from benchmarks.twin_show import EVERY, LINGER, VIEWS
from benchmarks.video import compose, write_mp4
from envs.arm import Array, InitialCondition
from envs.robots import ROBOTS
from envs.scene_view import SceneView
from envs.tasks import TASKS
from envs.viewer import Snapshot
from envs.world import world

FRAMES = "frames/"
"""Arrays (T, h, w, 3) uint8 of a real arm's cameras begin so; ``frames_hz`` is their rate."""


def film(
    protocol: EvalProtocol, arrays: Mapping[str, Array], start: InitialCondition, caption: str
) -> bytes:
    """Return an mp4 in real time of a trial; empty where nobody saw it.

    Args:
        protocol: of the session.
        arrays: what was kept of the trial.
        start: how it began.
        caption: the trial's code.
    """
    seen = [arrays[name] for name in sorted(arrays) if name.startswith(FRAMES)]
    if seen and len(seen[0]):
        shots = ([pictures[i] for pictures in seen] for i in range(len(seen[0])))
        return _written(shots, len(seen[0]), float(arrays["frames_hz"]), caption)
    if "qpos" not in arrays:
        return b""
    hz = ROBOTS[protocol.robot].spec().control_hz / EVERY
    view = SceneView(world(TASKS[protocol.task], protocol.robot))
    pairs = list(zip(arrays["qpos"], arrays["zones"], strict=True))[::EVERY]
    drawn = (
        [view.draw(Snapshot(start, qpos, zones), camera) for camera in VIEWS]
        for qpos, zones in pairs
    )
    return _written(drawn, len(pairs), hz, caption)


def _written(shots: Iterator[list[Array]], count: int, hz: float, caption: str) -> bytes:
    def frames() -> Iterator[Array]:
        for i, pictures in enumerate(shots):
            frame = compose(pictures, (caption, f"{i / hz:4.1f} s"), None)
            for _ in range(LINGER if i == count - 1 else 1):
                yield frame

    with tempfile.TemporaryDirectory() as folder:
        return write_mp4(Path(folder) / "film.mp4", frames(), hz).read_bytes()
