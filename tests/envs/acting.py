"""Episodes for tests of single tasks: an expert acts, everything that is read is kept."""

import numpy as np

from benchmarks.failures import Trace
from envs.arm import Array
from envs.env import TabletopEnv
from envs.expert import OPERATORS, Expert


def act_out(env: TabletopEnv, seed: int, expert: Expert | None = None) -> Trace:
    """Let the clean expert, or another, act from the start of ``seed`` to the end."""
    env.reset(seed=seed)
    sim = env.arm.sim
    if expert is None:
        expert = env.task.expert(sim.world, OPERATORS["clean"])
    expert.reset(env.start, np.random.default_rng(seed))
    sensors, joints = [sim.sensors.copy()], [sim.joints]
    stages, actions = [np.zeros(1, int)], list[Array]()
    while not sim.done.any():
        actions.append(expert.act(sim.readings)[None])
        env.step(actions[-1][0])
        sensors.append(sim.sensors.copy())
        joints.append(sim.joints)
        stages.append(sim.stage.copy())
    return Trace(
        sim.world.sensors, np.array(sensors), np.array(joints), np.array(actions),
        np.array(stages), sim.steps, sim.success, sim.success_any, sim.success_final,
        [""], sim.spec.control_hz,
    )  # fmt: skip


def read(trace: Trace) -> dict[str, Array]:
    """Return every sensor of the only trial, each (T + 1, width)."""
    return {name: trace.sensors[:, 0, where] for name, where in trace.index.items()}
