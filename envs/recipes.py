"""Domain randomisation: named sets of variations, for collecting and for training.

Within a recipe every factor is drawn uniformly within its level's bound, anew in each episode; a
protocol draws the same factors at the bound. ``object_pose`` is in no recipe: it puts the object
outside the box that the demonstrations cover, which is another distribution of starts and not a
disturbance of the scene. Name it beside a recipe to have it.
"""

from collections.abc import Sequence

from envs.errors import UsageError
from envs.registry import Registry
from envs.tasks import TASKS
from envs.variation import LEVELS, VARIATIONS, unfit

Axes = tuple[tuple[str, str], ...]
"""(variation, level) in order of drawing."""

ALL = "all"

VISUAL: Axes = (
    ("camera_pose", "L2"),
    ("lighting", "L2"),
    ("texture", "L3"),
    ("distractors", "L2"),
)
PHYSICAL: Axes = (
    ("home_pose", "L2"),
    ("friction_mass", "L2"),
    ("damping_gain", "L2"),
    ("action_delay", "L1"),  # at L2 a slow demonstrator runs out of time in a third of the episodes
    ("observation", "L2"),
)

RECIPES: Registry[Axes] = Registry("recipe")
RECIPES.register("none", ())
RECIPES.register("visual", VISUAL)
RECIPES.register("physical", PHYSICAL)
RECIPES.register("full", (*PHYSICAL, *VISUAL))


def randomisation(words: Sequence[str], task: str) -> Axes:
    """Return what ``words`` vary from episode to episode of ``task``.

    Args:
        words: recipes, ``all`` (everything but words at L1), and single factors as
            ``variation/level``.
        task: registered task; of a recipe, what does not apply to it is left out.

    Raises:
        UsageError: an unknown word, variation or level, one variation at two levels, or a single
            factor that does not apply to the task.
    """
    chosen: dict[str, str] = {}
    for word in words:
        for name, level in _axes(word):
            reason = unfit(name, TASKS[task])
            if reason is not None and "/" not in word:
                continue
            if reason is not None:
                raise UsageError(f"variation {name!r} does not apply to {task}: {reason}")
            if chosen.setdefault(name, level) != level:
                raise UsageError(
                    f"{name} must have one level, got {chosen[name]} and {level} "
                    f"in {' '.join(words)}"
                )
    return tuple(chosen.items())


def _axes(word: str) -> Axes:
    """Return the (variation, level) pairs of one word."""
    if word == ALL:
        return tuple((name, LEVELS[0]) for name, v in VARIATIONS.items() if not v.words)
    if word in RECIPES:
        return RECIPES[word]
    name, slash, level = word.partition("/")
    if not slash:
        raise UsageError(
            f"unknown randomisation {word!r}; known: {', '.join(RECIPES)}, {ALL}, "
            f"or variation/level of {', '.join(VARIATIONS)}"
        )
    VARIATIONS[name].level(level)
    return ((name, level),)
