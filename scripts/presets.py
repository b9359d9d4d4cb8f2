"""The sizes of the main job, as named values."""

from dataclasses import dataclass
from typing import Literal

from envs.registry import Registry

FLOORS = ("floor:hold", "floor:random", "floor:replay:{data}")
"""What any policy must beat; ``{data}`` is the folder of the demonstrations."""


Minutes = tuple[float, float, float]


@dataclass(frozen=True)
class Preset:
    """How much of everything the main job does.

    Attributes:
        name: as given to ``--preset``.
        training: preset of the algorithms.
        episodes: demonstrations of the (state, pixel) track.
        seeds: training seeds of the (state, pixel) track, a policy each.
        trials: most initial conditions a condition; None: all that the protocol has.
        conditions: perturbed conditions; empty: all that apply to the track.
        minutes: expected on two cores, (collect, train, evaluate) of the (state, pixel) track.
        videos: of the trials of the first training seed; the others are not filmed.
        algorithms: in order of training, the longest first: the cores are busy to the end.
        steps: gradient steps of each training; None: as the algorithms' preset says.
    """

    name: str
    training: str
    episodes: tuple[int, int]
    seeds: tuple[tuple[int, ...], tuple[int, ...]]
    trials: int | None
    conditions: tuple[str, ...]
    minutes: tuple[Minutes, Minutes]
    videos: Literal["some", "few"] = "few"
    algorithms: tuple[str, ...] = ("diffusion", "act", "bc")
    steps: int | None = None


PRESETS: Registry[Preset] = Registry("preset")
for _preset in (
    Preset(
        name="quick",
        training="quick",
        episodes=(50, 50),
        seeds=((0,), (0,)),
        trials=50,
        conditions=("object_pose/L2", "home_pose/L2", "friction_mass/L2", "action_delay/L2"),
        minutes=((0.3, 5, 2.5), (1, 30, 10)),
        videos="some",
    ),
    Preset(
        name="cpu",
        training="cpu",
        episodes=(50, 100),
        seeds=((0, 1, 2), (0,)),
        trials=None,
        conditions=(),
        minutes=((0.3, 40, 40), (2, 120, 120)),
    ),
    Preset(
        name="paper",
        training="paper",
        episodes=(50, 50),
        seeds=((0, 1, 2), (0, 1, 2)),
        trials=None,
        conditions=(),
        minutes=((0.3, 1500, 120), (2, 5000, 600)),
    ),
):
    PRESETS.register(_preset.name, _preset)
