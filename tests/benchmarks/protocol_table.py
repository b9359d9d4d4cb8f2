"""The tables of docs/protocols.md: ``python tests/benchmarks/protocol_table.py`` prints them."""

import math
import sys
from collections.abc import Sequence

from benchmarks.protocol import FIRST_AXES, PROTOCOLS, EvalProtocol
from envs.variation import LEVELS, VARIATIONS

DEGREES = 180 / math.pi
TABLES = ("tint", "unseen colour", "unseen checker")
SHAPES = ("", ", cylinder for box")
SHOWN = {
    "object_pose": "{shift_mm:g} mm, {yaw_deg:g}°",
    "home_pose": "{norm:g} rad",
    "friction_mass": "friction {friction:g} or 1/{friction:g}, mass {mass:g} or 1/{mass:g}",
    "damping_gain": "damping ± {damping_pc:g} %, gain ± {gain_pc:g} %",
    "action_delay": "{seconds_ms:g} ms",
    "observation": "noise {joint_noise:g} rad, {drop_pc:g} % of frames lost, JPEG {jpeg:g}",
    "camera_pose": "{shift_mm:g} mm, {turn_deg:g}°",
    "lighting": "brightness {low:g} or {high:g}, warmth ± {warmth_pc:g} %, tilt {tilt:g}",
    "texture": "{table}",
    "distractors": "{count:g}",
    "image_quality": "blur {blur:g} px (of 84), exposure {gain:g} or 1/{gain:g}",
    "object_size": "size ± {size_pc:g} %{shape_name}",
}
"""How the magnitudes of each axis are written."""


def magnitudes(axis: str, level: str) -> str:
    """Write the magnitudes of an axis at a level; every one of them must be shown."""
    bound = VARIATIONS[axis].level(level)
    values: dict[str, float | str] = dict(bound)
    for name, value in bound.items():
        values |= {f"{name}_mm": round(1000 * value, 6), f"{name}_ms": round(1000 * value, 6)}
        values |= {f"{name}_deg": round(DEGREES * value, 6), f"{name}_pc": round(100 * value, 6)}
    if axis == "texture":
        values["table"] = TABLES[int(bound["kind"])]
    if axis == "object_size":
        values["shape_name"] = SHAPES[int(bound["shape"])]
    return SHOWN[axis].format(**values)


def axes_table(protocol: EvalProtocol, without: Sequence[str] = ()) -> str:
    """Return a row an axis that is not ``without``: what it changes, its levels, its tracks."""
    rows = ["| axis | what changes | L1 | L2 | L3 | tracks |", "|---|---|---|---|---|---|"]
    levels: dict[str, dict[str, tuple[str, ...]]] = {}
    for condition in protocol.conditions:
        if len(condition.axes) == 1:
            ((axis, level),) = condition.axes
            levels.setdefault(axis, {})[level] = condition.tracks
    for axis, tracks in levels.items():
        if axis in without:
            continue
        cells = [magnitudes(axis, level) if level in tracks else "-" for level in LEVELS]
        names = ", ".join(next(iter(tracks.values())))
        rows.append(f"| `{axis}` | {VARIATIONS[axis].about} | {' | '.join(cells)} | {names} |")
    return "\n".join(rows)


def facts_table(protocol: EvalProtocol) -> str:
    """Return the settings of a protocol, a row each."""
    said = protocol.definition()
    task = said["task"]
    box = ", ".join(
        f"{name} {low:g} to {high:g} {unit}"
        for (name, (low, high)), unit in zip(task["region"].items(), ("m", "m", "rad"), strict=True)
    )
    facts = {
        "protocol": f"`{protocol.id}`, SHA-256 `{protocol.hash[:16]}…`",
        "task": f"`{task['name']}`: “{task['instruction']}”, robot `{protocol.robot}`",
        "training box": box,
        "stages": ", ".join(task["stages"]),
        "success": f"goal held for {task['hold_s']:g} s within {task['horizon']} control periods",
        "trials": f"{protocol.trials} nominal, {protocol.perturbed_trials} in each other condition",
        "conditions": f"{len(protocol.conditions)}: nominal, each axis at each level, "
        + ", ".join(f"`{c.name}` (all axes at once)" for c in protocol.conditions if c.axes[1:]),
        "error of a comparison": f"{protocol.alpha:g}, two-sided",
        "invalid trials": f"at most {100 * protocol.invalid_limit:g} %",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {v} |" for name, v in facts.items())])


def main() -> None:
    """Print the tables as Markdown."""
    protocol = PROTOCOLS["pick_place/v1"]
    later = axes_table(PROTOCOLS["pick_place/v2"], without=FIRST_AXES)
    sys.stdout.write(f"{facts_table(protocol)}\n\n{axes_table(protocol)}\n\n{later}\n")


if __name__ == "__main__":
    main()
