"""What the registered Gymnasium ids make: ``gym.make("envs:ArmTrials/PickPlace-v1")``."""

from collections.abc import Sequence

from envs.arm import CameraSpec
from envs.env import TabletopEnv, make
from envs.robots import ROBOTS
from envs.tasks import TASKS


def make_state(
    task: str,
    robot: str | None = None,
    variations: Sequence[tuple[str, str]] = (),
    render_mode: str | None = None,
    normalized: bool = True,
) -> TabletopEnv:
    """Make the state track: joints and the poses of the task's objects."""
    return make(task, robot, variations=variations, render_mode=render_mode, normalized=normalized)


def make_pixels(
    task: str,
    robot: str | None = None,
    variations: Sequence[tuple[str, str]] = (),
    render_mode: str | None = None,
    normalized: bool = True,
) -> TabletopEnv:
    """Make the pixel track: joints and 84 x 84 cameras, one overhead and one on each wrist."""
    cameras = ROBOTS[robot or TASKS[task].robot].spec().cameras
    return make(
        task,
        robot,
        cameras=tuple(CameraSpec(name) for name in cameras),
        variations=variations,
        render_mode=render_mode,
        normalized=normalized,
    )
