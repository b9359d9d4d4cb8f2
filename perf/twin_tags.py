"""How well tags tell where an object is while an arm works: ``python -m perf.twin_tags``.

The scripted expert, who looks at the truth, does a task on the twin in real time; what the overhead
camera and the hand tell of the object is compared with the truth in every control period.
"""

import argparse
from collections import defaultdict

import numpy as np
from rich.console import Console
from rich.table import Table

from envs.arm import Array
from envs.crew import crew
from real.address import PATIENT
from real.emulators.twin import Twin, TwinSetup
from real.emulators.twin_table import TAGS, Sight, twin_arm
from real.pinhole import Pose
from real.real_arm import RealArm
from real.safe_arm import StoppedError

CONSOLE = Console(width=120, highlight=False)
RECENT = 0.2
"""An object whose pose is no older counts as seen [s]."""

LIFTED = 0.003
"""An object so high above where it stood has been lifted [m]."""


def phase(start: Pose, truth: Pose, age: float) -> str:
    """Return what is going on with an object."""
    if truth.position[2] > start.position[2] + LIFTED:
        return "in the hand"
    return "seen" if age < RECENT else "hidden by the hand"


def episode(
    arm: RealArm, twin: Twin, seed: int, found: dict[str, list[tuple[float, float]]]
) -> bool:
    """Do the task once; put errors [mm, deg] into ``found`` by phase; return success."""
    name, task, watch = arm.task.manipulated, arm.task, arm.senses.sights
    expert = task.expert(twin.truth.world, crew("clean")[0].on(arm.spec))
    start = task.sample(np.random.default_rng(seed), arm.spec)
    seen = arm.home(start)
    expert.reset(start, np.random.default_rng(seed))
    stood = Pose.from_array(start.objects[name])
    while arm.stage < len(task.stages) and arm.clock < task.horizon:
        truth = Pose.from_array(twin.truth.poses()[name])
        told = Pose.from_array(np.asarray(seen[f"objects/{name}"], float))
        errors = (1e3 * truth.distance(told), float(np.degrees(truth.angle(told))))
        found[phase(stood, truth, arm.now() - watch()[name].stamp)].append(errors)
        action: Array = np.asarray(expert.act(twin.truth.readings()))
        seen = arm.command(action)
    return arm.stage == len(task.stages)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--robot", default="viperx")
    parser.add_argument("--episodes", type=int, default=10)
    arguments = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    wins = stopped = 0
    with (
        Twin(TwinSetup(robot=arguments.robot)) as twin,
        twin_arm(twin, manner=PATIENT, sight=Sight(TAGS)) as arm,
    ):
        for seed in range(arguments.episodes):
            try:
                wins += episode(arm, twin, seed, found)
            except StoppedError:
                stopped += 1
    table = Table("cube of pick_place", "periods", "mm: mean", "95 %", "worst", "deg: mean", "95 %")
    for name, errors in found.items():
        mm, deg = np.array(errors).T
        figures = (mm.mean(), np.percentile(mm, 95), mm.max(), deg.mean(), np.percentile(deg, 95))
        table.add_row(name, f"{len(mm)}", *(f"{value:.2f}" for value in figures))
    CONSOLE.print(table)
    CONSOLE.print(f"{wins} of {arguments.episodes} episodes succeeded, {stopped} were stopped")


if __name__ == "__main__":
    main()
