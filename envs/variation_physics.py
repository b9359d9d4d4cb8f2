"""Variations of the start state, the physics and the link between policy and arm."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np

from envs.arm import InitialCondition
from envs.factor import BOTH, Bound, Draw, Variation, add_factor
from envs.task import Task
from envs.world import World

PUSHES = 20
"""Where a push is tried; things that stand in a fixed relation (a post before a goal) go along."""

# ---- start state ------------------------------------------------------------------------------


def _draw_object_pose(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    """Push the manipulated object out of the training box by ``shift`` [m], turn by ``yaw``.

    A push that would bring it onto another thing goes elsewhere: the others stay where they are.
    """
    name, region = task.subject(start), d.region(task)
    axis = int(d.rng.integers(2))
    shift, turn = d.magnitude(b["shift"]), d.signed(b["yaw"])
    edge = region.yaw[1] if turn > 0 else region.yaw[0]
    yaw = edge + turn
    for _ in range(PUSHES):
        low, high = (region.x, region.y)[axis]
        pose = np.array(start.objects[name])
        pose[axis] = high + shift if d.rng.random() < 0.5 else low - shift
        pose[3:] = [np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
        moved = {**start.objects, name: tuple(map(float, pose))}
        apart = task.separate(moved)
        if apart == moved:
            break
        axis = int(d.rng.integers(2))
    start = replace(start, objects=apart)
    return add_factor(start, "object_pose", {"axis": axis, "shift": shift, "yaw": turn})


def _draw_home_pose(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    """Move the arm's start by a joint-space vector of norm ``norm`` [rad]."""
    hinges = d.hinges(task)
    offset = d.direction(len(hinges)) * d.magnitude(b["norm"])
    qpos = np.array(start.qpos)
    qpos[hinges] += offset
    start = replace(start, qpos=tuple(map(float, qpos)))
    return add_factor(start, "home_pose", {"offset": offset.tolist()})


# ---- physics ----------------------------------------------------------------------------------


def _draw_friction_mass(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    values = {"friction": d.ratio(b["friction"]), "mass": d.ratio(b["mass"])}
    return add_factor(start, "friction_mass", values)


def _apply_friction_mass(m: mujoco.MjModel, world: World, v: Mapping[str, Any]) -> None:
    """Scale all three friction coefficients of pads and objects, mass and inertia of objects."""
    for name in world.objects:
        body = m.body(name).id
        m.body_mass[body] *= v["mass"]
        m.body_inertia[body] *= v["mass"]
        first = int(m.body_geomadr[body])
        m.geom_friction[first : first + int(m.body_geomnum[body])] *= v["friction"]
    for part in world.parts:
        for pad in ("left_pad", "right_pad"):
            m.geom_friction[m.geom(f"{part.prefix}{pad}").id] *= v["friction"]


def _draw_damping_gain(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    values = {"damping": 1.0 + d.signed(b["damping"]), "gain": 1.0 + d.signed(b["gain"])}
    return add_factor(start, "damping_gain", values)


def _apply_damping_gain(m: mujoco.MjModel, world: World, v: Mapping[str, Any]) -> None:
    """Scale joint damping and the position gain (gain and bias together) of the arm."""
    m.dof_damping[world.qvel] *= v["damping"]
    m.actuator_gainprm[world.ctrl, 0] *= v["gain"]
    m.actuator_biasprm[world.ctrl, 1] *= v["gain"]


# ---- between policy and arm (envs/link.py reads these factors) -----------------------------------


def _draw_action_delay(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    steps = round(d.magnitude(b["seconds"]) * 50)
    return add_factor(start, "action_delay", {"steps": steps})


def _draw_observation(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    values = {
        "joint_noise": d.magnitude(b["joint_noise"]),
        "drop": d.magnitude(b["drop"]),
        "jpeg": round(100 - d.magnitude(100 - b["jpeg"])),
    }
    return add_factor(start, "observation", values)


PHYSICS = (
    Variation(
        "object_pose", "object starts outside the training box",
        ({"shift": 0.01, "yaw": np.deg2rad(10)}, {"shift": 0.03, "yaw": np.deg2rad(25)},
         {"shift": 0.05, "yaw": np.deg2rad(45)}),
        BOTH, _draw_object_pose, moves=True,
    ),
    Variation(
        "home_pose", "arm starts away from home",
        ({"norm": 0.05}, {"norm": 0.15}, {"norm": 0.30}), BOTH, _draw_home_pose, moves=True,
    ),
    Variation(
        "friction_mass", "friction of fingers and objects, mass of objects",
        ({"friction": 1.25, "mass": 1.25}, {"friction": 1.6, "mass": 1.6},
         {"friction": 2.5, "mass": 2.5}),
        BOTH, _draw_friction_mass, _apply_friction_mass,
    ),
    Variation(
        "damping_gain", "joint damping and servo gain",
        ({"damping": 0.05, "gain": 0.05}, {"damping": 0.15, "gain": 0.15},
         {"damping": 0.30, "gain": 0.30}),
        BOTH, _draw_damping_gain, _apply_damping_gain,
    ),
    Variation(
        "action_delay", "commands reach the arm late",
        ({"seconds": 0.02}, {"seconds": 0.06}, {"seconds": 0.12}), BOTH, _draw_action_delay,
    ),
    Variation(
        "observation", "joint noise, dropped frames, JPEG images",
        ({"joint_noise": 0.002, "drop": 0.02, "jpeg": 70},
         {"joint_noise": 0.005, "drop": 0.10, "jpeg": 40},
         {"joint_noise": 0.010, "drop": 0.25, "jpeg": 20}),
        BOTH, _draw_observation,
    ),
)  # fmt: skip
