"""The environment against MuJoCo's own loops, and two threads against one."""

import copy

import mujoco
import numpy as np

from envs.arm import Array, InitialCondition
from envs.batch import SimBatch
from envs.env import PIXELS, SimEnv, make
from envs.errors import UsageError
from envs.expert import OPERATORS
from envs.gl import choose_backend
from envs.tasks import TASKS
from envs.world import SETTLE, SUBSTEPS, World, world
from perf.ratio import CPU, WALL, Ratio, compare

TASK = TASKS["pick_place"]
BATCH = 64  # simulations stepped together
FRAMES = 100  # control periods with two pictures each


def demonstration(env: SimEnv, seed: int = 0) -> tuple[InitialCondition, Array]:
    """Return a start and the expert's actions (T, n) from it: a usual load for the physics."""
    rng = np.random.default_rng(seed)
    start = TASK.sample(rng, env.arm.spec)
    expert = TASK.expert(env.arm.sim.world, OPERATORS["clean"])
    expert.reset(start, rng)
    env.reset(options={"start": start})
    actions, over = [], False
    while not over:
        actions.append(expert.act(env.arm.readings))
        *_, terminated, truncated, _ = env.step(actions[-1])
        over = terminated or truncated
    return start, np.array(actions)


class RawLoop:
    """What any environment needs at least: set the controls, call ``mj_step``."""

    def __init__(self, scene: World) -> None:
        """Run ``scene``."""
        self.world = scene
        self.data = mujoco.MjData(scene.model)

    def reset(self, start: InitialCondition) -> None:
        """Put the arm and the objects to ``start``."""
        mujoco.mj_resetData(self.world.model, self.data)
        self.world.place(self.data, start)

    def step(self, raw: Array) -> None:
        """Advance one control period under actuator commands ``raw`` (n,)."""
        self.data.ctrl[: len(raw)] = raw
        mujoco.mj_step(self.world.model, self.data, SUBSTEPS)


def env_step() -> Ratio:
    """``TabletopEnv.step`` with state observations against the loop of ``mj_step``."""
    env = make("pick_place")
    start, actions = demonstration(env)
    raw_actions = env.arm.sim.world.command_to_raw(actions)
    loop = RawLoop(env.arm.sim.world)

    def ours() -> None:
        env.reset(options={"start": start})
        for action in actions:
            env.step(action)

    def theirs() -> None:
        loop.reset(start)
        mujoco.mj_step(loop.world.model, loop.data, SETTLE * SUBSTEPS)  # settling, as `reset` does
        for raw in raw_actions:
            loop.step(raw)

    return compare("env.step (state) : mj_step loop", 0.9, ours, theirs, rounds=15, clock=CPU)


def two_threads() -> Ratio:
    """``SimBatch`` on two threads against one."""
    env = make("pick_place")
    start, actions = demonstration(env)
    one, two = (SimBatch(TASK, size=BATCH, threads=n) for n in (1, 2))

    def episode(batch: SimBatch) -> None:
        batch.reset([start] * BATCH)
        for action in actions[:100]:
            batch.step(np.broadcast_to(action, (BATCH, len(action))))

    return compare(
        "SimBatch: 2 threads : 1",
        1.8,
        lambda: episode(two),
        lambda: episode(one),
        clock=WALL,
    )


def pixels() -> Ratio:
    """Two 84 x 84 cameras against MuJoCo's renderer in a plain loop, at the same settings.

    Neither draws shadows, reflections or more than one sample a pixel.

    Raises:
        UsageError: there is no OpenGL here, so MuJoCo's renderer does not work.
    """
    if choose_backend() == "ray":
        raise UsageError("needs OpenGL: MuJoCo's renderer does not work without")
    env = make("pick_place", cameras=PIXELS)
    start, actions = demonstration(env)
    scene = world(TASK)
    loop = RawLoop(scene)
    raw_actions = scene.command_to_raw(actions)
    model = copy.copy(scene.model)
    model.vis.quality.offsamples = 0
    renderers = {c.name: mujoco.Renderer(model, c.height, c.width) for c in PIXELS}
    for renderer in renderers.values():
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False

    def ours() -> None:
        env.reset(options={"start": start})
        for action in actions[:FRAMES]:
            env.step(action)

    def theirs() -> None:
        loop.reset(start)
        for raw in raw_actions[:FRAMES]:
            loop.step(raw)
            for name, renderer in renderers.items():
                renderer.update_scene(loop.data, name)
                renderer.render()

    return compare("pixels, 2 x 84 x 84 : mujoco.Renderer loop", 0.9, ours, theirs, clock=CPU)
