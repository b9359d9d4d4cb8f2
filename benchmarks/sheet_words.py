"""What a variation has drawn for one trial, in a few words."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Values = Mapping[str, Any]

TABLES = ("tinted table", "unseen colour", "unseen checker")
PERIOD_MS = 20  # of control


def _camera(v: Values) -> str:
    moved = v["overhead"]
    shift, turn = np.linalg.norm(moved["shift"]), np.linalg.norm(moved["turn"])
    return f"{1000 * shift:.0f} mm, {np.degrees(turn):.0f}°"


WORDS: Mapping[str, Callable[[Values], str]] = {
    "object_pose": lambda v: (
        f"{1000 * v['shift']:.0f} mm outside, turned {np.degrees(v['yaw']):+.0f}°"
    ),
    "home_pose": lambda v: f"{np.linalg.norm(v['offset']):.2f} rad off",
    "friction_mass": lambda v: f"friction x {v['friction']:.2g}, mass x {v['mass']:.2g}",
    "damping_gain": lambda v: f"damping x {v['damping']:.2f}, gain x {v['gain']:.2f}",
    "action_delay": lambda v: f"{PERIOD_MS * v['steps']} ms late",
    "observation": lambda v: (
        f"noise {v['joint_noise']:g} rad, {100 * v['drop']:.0f} % lost, JPEG {v['jpeg']}"
    ),
    "camera_pose": _camera,
    "lighting": lambda v: f"brightness x {v['intensity']:g}, warmth {100 * v['warmth']:+.0f} %",
    "texture": lambda v: TABLES[v["kind"]],
    "distractors": lambda v: f"{v['count']} more thing{'' if v['count'] == 1 else 's'}",
    "image_quality": lambda v: f"blur {v['blur']:g} px, exposure x {v['gain']:.2g}",
    "object_size": lambda v: f"size x {v['scale']:.2f}{', other shape' * v['new_shape']}",
}


def said(axis: str, values: Values) -> str:
    """Return what was drawn for ``axis``; of an axis without words of its own, its plain values."""
    if axis in WORDS:
        return WORDS[axis](values)
    if "instruction" in values:
        return f"“{values['instruction']}”" if values["instruction"] else "nothing"
    plain = {k: v for k, v in values.items() if isinstance(v, str | int | float)}
    return ", ".join(f"{k.replace('_', ' ')} {v:g}" if not isinstance(v, str) else v
                     for k, v in plain.items())  # fmt: skip
