"""Variations of what the cameras see: camera pose, lighting, table, distractors."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np

from envs.arm import InitialCondition
from envs.factor import BOTH, PIXELS, Bound, Draw, Variation, add_factor
from envs.scene import DISTRACTORS
from envs.task import Task
from envs.world import World


def _draw_camera_pose(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    values = {
        camera: {
            "shift": (d.direction(3) * d.magnitude(b["shift"])).tolist(),
            "turn": (d.direction(3) * d.magnitude(b["turn"])).tolist(),
        }
        for camera in d.spec(task).cameras
    }
    return add_factor(start, "camera_pose", values)


def _apply_camera_pose(m: mujoco.MjModel, world: World, v: Mapping[str, Any]) -> None:
    """Shift [m] and turn (rotation vector, rad) each camera in its parent's frame."""
    for camera, change in v.items():
        i = m.camera(camera).id
        m.cam_pos[i] += change["shift"]
        quat = m.cam_quat[i].copy()
        mujoco.mju_quatIntegrate(quat, np.asarray(change["turn"]), 1.0)
        m.cam_quat[i] = quat


def _draw_lighting(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    """Intensity within its range, colour temperature and direction of the key light."""
    if d.at_bound:
        intensity = b["low"] if d.rng.random() < 0.5 else b["high"]
    else:
        intensity = float(np.exp(d.rng.uniform(np.log(b["low"]), np.log(b["high"]))))
    values = {
        "intensity": intensity,
        "warmth": d.signed(b["warmth"]),
        "direction": (d.direction(2) * d.magnitude(b["tilt"])).tolist(),
    }
    return add_factor(start, "lighting", values)


def _apply_lighting(m: mujoco.MjModel, world: World, v: Mapping[str, Any]) -> None:
    i = m.light("key").id
    tint = np.array([1.0 + v["warmth"], 1.0, 1.0 - v["warmth"]])
    m.light_diffuse[i] *= v["intensity"] * tint
    m.vis.headlight.ambient *= v["intensity"]
    m.vis.headlight.diffuse *= v["intensity"]
    m.light_dir[i, :2] += v["direction"]
    m.light_dir[i] /= np.linalg.norm(m.light_dir[i])


def _draw_image_quality(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    values = {"blur": d.magnitude(b["blur"]), "gain": d.ratio(b["gain"])}
    return add_factor(start, "image_quality", values)


def _draw_texture(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    """Tint the table's own texture, or replace its colour, or its texture."""
    kind = int(b["kind"])
    if not d.at_bound:
        kind = int(d.rng.integers(kind + 1))
    colour = d.rng.uniform(0.75, 1.0, 3) if kind == 0 else d.rng.uniform(0.1, 0.9, 3)
    return add_factor(start, "texture", {"kind": kind, "rgb": colour.tolist()})


def _apply_texture(m: mujoco.MjModel, world: World, v: Mapping[str, Any]) -> None:
    """0: tint; 1: plain unseen colour; 2: unseen checker texture in that colour."""
    material = m.material(("table", "table_plain", "table_checker")[v["kind"]]).id
    m.mat_rgba[material, :3] = v["rgb"]
    m.geom_matid[m.geom("table").id] = material


def _draw_distractors(d: Draw, b: Bound, start: InitialCondition, task: Task) -> InitialCondition:
    """Put objects on free spots of the table; those that find none stay out of sight."""
    count = int(b["count"]) if d.at_bound else int(d.rng.integers(1, int(b["count"]) + 1))
    objects = dict(start.objects)
    for k in range(count):
        spot = _free_spot(d.rng, objects, task)
        if spot is None:
            continue
        yaw = float(d.rng.uniform(-np.pi, np.pi))
        turn = (float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2)))
        objects[f"distractor{k}"] = (*spot, DISTRACTORS[k][1][-1], *turn)
    return add_factor(replace(start, objects=objects), "distractors", {"count": count})


def _free_spot(
    rng: np.random.Generator, objects: Mapping[str, tuple[float, ...]], task: Task
) -> tuple[float, float] | None:
    """Find x, y on the table at least 9 cm from everything, in 100 tries."""
    taken = np.array([pose[:2] for pose in objects.values()])
    for _ in range(100):
        spot = np.array([rng.uniform(0.18, 0.52), rng.uniform(-0.32, 0.32)])
        if np.linalg.norm(taken - spot, axis=1).min() >= 0.09:
            return float(spot[0]), float(spot[1])
    return None


LOOKS = (
    Variation(
        "camera_pose", "cameras moved and turned",
        ({"shift": 0.005, "turn": np.deg2rad(1)}, {"shift": 0.02, "turn": np.deg2rad(3)},
         {"shift": 0.10, "turn": np.deg2rad(6)}),
        PIXELS, _draw_camera_pose, _apply_camera_pose,
    ),
    Variation(
        "lighting", "intensity, temperature and direction of the light",
        ({"low": 0.8, "high": 1.2, "warmth": 0.03, "tilt": 0.1},
         {"low": 0.5, "high": 1.5, "warmth": 0.10, "tilt": 0.3},
         {"low": 0.25, "high": 2.0, "warmth": 0.20, "tilt": 1.0}),
        PIXELS, _draw_lighting, _apply_lighting,
    ),
    Variation(
        "texture", "table: tint, unseen colour, unseen texture",
        ({"kind": 0}, {"kind": 1}, {"kind": 2}), PIXELS, _draw_texture, _apply_texture,
    ),
    Variation(
        "distractors", "other objects on the table",
        ({"count": 1}, {"count": 3}, {"count": 5}), BOTH, _draw_distractors, moves=True,
    ),
    Variation(
        "image_quality", "cameras out of focus, exposed too short or too long",
        ({"blur": 0.5, "gain": 1.15}, {"blur": 1.0, "gain": 1.4}, {"blur": 2.0, "gain": 2.0}),
        PIXELS, _draw_image_quality,
    ),
)  # fmt: skip
