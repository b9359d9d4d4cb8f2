"""The sizes of the main job, as named values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from benchmarks.protocol import CONTROL
from envs.registry import Registry
from envs.tasks import TASKS
from envs.variation import CONTROLS, LEVELS, VARIATIONS, unfit

FLOORS = ("floor:hold", "floor:random", "floor:replay:{data}")
"""What any policy must beat; ``{data}`` is the folder of the demonstrations."""


Minutes = tuple[float, float, float]

MAIN = "pick_place"
"""The task whose minutes the presets state, and on which they measure most."""

SUITES: Registry[tuple[str, ...]] = Registry("suite")
SUITES.register("core", tuple(TASKS))
SUITES.register("quick", (MAIN,))


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
        references: what stands beside them on the main task, of the (state, pixel) track, once
            each: ``<algorithm>-<variant>`` of the preset, or ``<algorithm>-blind``, a floor.
        steps: gradient steps of each training; None: as the algorithms' preset says.
        other_seeds: training seeds of tasks other than the main one; None: the same.
        other_level: the one level that is measured there; None: as ``conditions`` says.
        needed: demonstrations of a task that needs others, by task.
        longer: how many times the algorithms' gradient steps a task needs, by task.
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
    references: tuple[tuple[str, ...], tuple[str, ...]] = ((), ("act-blind",))
    steps: int | None = None
    other_seeds: tuple[int, ...] | None = None
    other_level: str | None = None
    needed: Mapping[str, int] = field(default_factory=dict)
    longer: Mapping[str, int] = field(default_factory=dict)

    def on(self, task: str, track: int, episodes: int | None = None) -> "Preset":
        """Return what is done of ``task``, and how long it may take.

        Args:
            task: registered task.
            track: 0 state, 1 pixels.
            episodes: demonstrations; None: as many as the preset says for the task.
        """
        seeds, levels = self.seeds[track], self.conditions
        references = self.references[track] if task == MAIN and episodes is None else ()
        if task != MAIN:
            seeds = seeds if self.other_seeds is None else self.other_seeds
            levels = self._levels(task)
        count = episodes or self.needed.get(task, self.episodes[track])
        collect, train, evaluate = self.minutes[track]
        length = TASKS[task].horizon / TASKS[MAIN].horizon
        policies = len(seeds) * self.longer.get(task, 1) / len(self.seeds[track])
        every = 1 + len(LEVELS) * len(VARIATIONS)
        share = (2 + len(levels)) / (2 + every) if levels and not self.conditions else 1.0
        minutes = (
            round(collect * length * count / self.episodes[track], 1),
            round(train * policies, 1),
            round(evaluate * len(seeds) / len(self.seeds[track]) * length * share, 1),
        )
        return replace(
            self,
            episodes=(count, count),
            seeds=(seeds, seeds),
            references=(references, references),
            conditions=levels,
            minutes=(minutes, minutes),
        )

    def _levels(self, task: str) -> tuple[str, ...]:
        """Return the conditions that are measured on another task than the main one."""
        known = TASKS[task]
        if self.other_level is None:
            fit = [c for c in self.conditions if unfit(c.partition("/")[0], known) is None]
            return tuple(fit) or (("nominal",) if self.conditions else ())
        axes = [f"{name}/{self.other_level}" for name in VARIATIONS if unfit(name, known) is None]
        controls = [f"{CONTROL}/{name}" for name in CONTROLS if unfit(name, known) is None]
        return (*axes, *controls)


PRESETS: Registry[Preset] = Registry("preset")
for _preset in (
    Preset(
        name="quick",
        training="quick",
        episodes=(50, 50),
        seeds=((0,), (0,)),
        trials=50,
        conditions=("object_pose/L2", "home_pose/L2", "friction_mass/L2", "action_delay/L2"),
        minutes=((0.2, 1, 1.2), (1, 20, 5)),
        videos="some",
    ),
    Preset(
        name="cpu",
        training="cpu",
        episodes=(50, 100),
        seeds=((0, 1, 2), (0,)),
        trials=None,
        conditions=(),
        minutes=((0.3, 10, 25), (2, 50, 30)),
        references=(("diffusion-epsilon",), ("act-blind",)),
        other_seeds=(0,),
        other_level="L2",
        needed={
            "transfer": 100,
            "insertion": 200,
            "insertion_pair": 200,
            "assembly": 500,
            "language_pick": 500,
        },
        longer={"assembly": 4, "language_pick": 8},
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
