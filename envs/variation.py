"""Named variations: one mechanism for training randomisation and for perturbation protocols."""

from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from envs.arm import ArmSpec, InitialCondition
from envs.errors import UsageError
from envs.factor import LEVELS, Draw, Variation
from envs.gap import GAP, apply_gap, gap_of
from envs.registry import Registry
from envs.task import REDRAWN, SCENE, Task
from envs.variation_language import LANGUAGE, NEGATIVE
from envs.variation_looks import LOOKS
from envs.variation_physics import PHYSICS
from envs.variation_size import SIZE
from envs.world import World

__all__ = [
    "CONTROLS", "LEVELS", "VARIATIONS", "apply", "distractors_of", "named", "perturb", "unfit",
]  # fmt: skip

VARIATIONS: Registry[Variation] = Registry("variation")
for _variation in (*PHYSICS, *LOOKS, SIZE, LANGUAGE):
    VARIATIONS.register(_variation.name, _variation)

CONTROLS: Registry[Variation] = Registry("negative control")
"""Changes under which no policy that does what it is told can succeed: who does, does not listen.
No perturbations: they have one strength and are never drawn for training."""
for _variation in NEGATIVE:
    CONTROLS.register(_variation.name, _variation)


def named(name: str) -> Variation:
    """Return the variation or negative control of this name; raise ``UsageError`` on no such."""
    return CONTROLS[name] if name in CONTROLS else VARIATIONS[name]


def unfit(name: str, task: Task) -> str | None:
    """Return why a variation means nothing in ``task``, None where it applies."""
    if named(name).words and not task.encode(""):
        return "every episode asks for the same"
    return task.inapplicable.get(name)


def perturb(
    start: InitialCondition,
    task: Task,
    axes: Sequence[tuple[str, str]],
    rng: np.random.Generator,
    at_bound: bool = True,
    arm: ArmSpec | None = None,
) -> InitialCondition:
    """Add each (variation, level) to ``start``, in order; the same ``rng`` state gives the same.

    ``arm`` is the one that ``start`` was drawn for; None stands for the reference workspace.

    Raises:
        UsageError: an unknown variation or level, or one that does not apply to the task.
    """
    draw = Draw(rng, at_bound, arm)
    for name, level in axes:
        variation, reason = named(name), unfit(name, task)
        if reason is not None:
            raise UsageError(f"variation {name!r} does not apply to {task.name}: {reason}")
        start = variation.draw(draw, variation.level(level), start, task)
    return start


def distractors_of(axes: Sequence[tuple[str, str]]) -> int:
    """Count the distractor objects that the scene must hold for these (variation, level)."""
    bounds = [named(name).level(level) for name, level in axes]
    counts = [bound.get("count", 0) for bound in bounds]
    return int(max(counts, default=0))


# Model fields that a variation may change; restored from the nominal model before each episode.
FIELDS = (
    "geom_friction", "body_mass", "body_inertia", "dof_damping", "dof_frictionloss",
    "actuator_gainprm",
    "actuator_biasprm", "cam_pos", "cam_quat", "light_dir", "light_diffuse", "light_ambient",
    "geom_rgba", "mat_rgba", "geom_matid", "geom_type", "geom_size", "geom_pos", "geom_aabb",
    "geom_rbound", "body_ipos", "bvh_aabb",
)  # fmt: skip


def apply(
    model: mujoco.MjModel, world: World, data: mujoco.MjData, factors: Mapping[str, Any]
) -> None:
    """Make ``model`` (a copy of ``world.model``) the nominal one plus ``factors``.

    ``data`` is scratch for MuJoCo's derived constants (invweight0, subtree masses).
    """
    for name in FIELDS:
        getattr(model, name)[:] = getattr(world.model, name)
    model.vis.headlight.ambient[:] = world.model.vis.headlight.ambient
    model.vis.headlight.diffuse[:] = world.model.vis.headlight.diffuse
    for name, values in factors.items():
        if name == SCENE:
            world.task.dress(model, values)
        if name == GAP:
            apply_gap(model, world, gap_of(factors))
        if name in (SCENE, REDRAWN, GAP):
            continue
        change = named(name).apply
        if change is not None:
            change(model, world, values)
    mujoco.mj_setConst(model, data)
