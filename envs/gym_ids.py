"""What the registered Gymnasium ids make: ``gym.make("envs:ArmTrials/PickPlace-v1")``."""

from collections.abc import Sequence

from envs.env import PIXELS, TabletopEnv, make


def make_state(
    task: str,
    robot: str = "viperx",
    variations: Sequence[tuple[str, str]] = (),
    render_mode: str | None = None,
    normalized: bool = True,
) -> TabletopEnv:
    """Make the state track: joints and the poses of the task's objects."""
    return make(task, robot, variations=variations, render_mode=render_mode, normalized=normalized)


def make_pixels(
    task: str,
    robot: str = "viperx",
    variations: Sequence[tuple[str, str]] = (),
    render_mode: str | None = None,
    normalized: bool = True,
) -> TabletopEnv:
    """Make the pixel track: joints and two 84 x 84 cameras."""
    return make(
        task,
        robot,
        cameras=PIXELS,
        variations=variations,
        render_mode=render_mode,
        normalized=normalized,
    )
