"""The page of a folder of demonstrations: what they cover, how they were recorded, a player."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.examine import Examination, Exhibit
from benchmarks.quality import arm_columns, count, findings
from benchmarks.report.data_charts import (
    Histogram,
    histogram,
    joint_ranges,
    plots,
    region_of,
    signed,
)
from benchmarks.report.page import render
from envs.arm import Array

STEPS = 999  # curves are sent as whole numbers 0..STEPS of their axis


def data_page(examined: Examination, title: str) -> str:
    """Return the HTML page of a folder of demonstrations; one file that needs no network."""
    data = examined.data
    states = [_state(examined, e) for e in examined.exhibits]
    axes = _axes(examined)
    region = region_of(examined)
    return render(
        "data.html",
        title=title,
        lead=_lead(examined),
        facts=_facts(examined),
        findings=findings(data),
        plots=plots(examined, states),
        histograms=_histograms(examined),
        ranges=joint_ranges(examined),
        grippers=set(range(len(data.joints))) - set(arm_columns(len(data.joints)).tolist()),
        joints=[name.replace("_", " ") for name in data.joints],
        axes=axes,
        episodes=data.episodes,
        states=states,
        excluded=data.excluded,
        refused=data.refused,
        shows={
            "times": any(e.rate_hz is not None for e in data.episodes),
            "fast": any(e.fast is not None for e in data.episodes),
            "stale": any(e.stale is not None for e in data.episodes),
        },
        films={i: _base64(e) for i, e in enumerate(examined.exhibits) if e.footage.film},
        player={
            "episodes": [_played(e, axes) for e in examined.exhibits],
            "region": None if region is None else [*region.x, *region.y],
        },
    )


def _state(examined: Examination, exhibit: Exhibit) -> str:
    """Return how an episode is coloured: ``used``, ``failed`` or ``excluded``."""
    if exhibit.quality.success is False:
        return "failed"
    return "excluded" if exhibit.quality.name in examined.data.excluded else "used"


def _lead(examined: Examination) -> str:
    data, meta = examined.data, examined.exhibits[0].meta
    seconds = sum(e.duration_s for e in data.used)
    what = f" of \u201c{meta.instruction}\u201d" if meta.instruction else ""
    text = f"{count(len(data.used), 'demonstration')}{what} to learn from, {seconds / 60:.1f} min."
    away = len(data.episodes) - len(data.used) + len(data.refused)
    return text if not away else f"{text} {count(away, 'episode')} left out."


def _facts(examined: Examination) -> list[tuple[str, str]]:
    meta, info = examined.exhibits[0].meta, examined.info
    facts = [
        ("Task", meta.task),
        ("Arm", meta.robot or f"{len(examined.data.joints)} joints"),
        ("Operator", ", ".join(sorted({e.operator for e in examined.data.episodes} - {""}))),
        ("World", "simulation" if meta.sim else "real"),
        ("Rate", f"{meta.control_hz:g} Hz"),
        ("Cameras", ", ".join(examined.exhibits[0].cameras)),
    ]
    if info is not None:
        varied = [f"{name} {level}" for name, level in info.definition.get("variations", ())]
        facts += [
            ("Seed", str(info.definition.get("seed", ""))),
            ("Varied", ", ".join(varied).replace("_", " ")),
            ("Attempts", f"{info.attempts}, {len(info.failed)} failed" if info.attempts else ""),
        ]
    return [(name, value) for name, value in facts if value]


def _histograms(examined: Examination) -> list[Histogram]:
    """Return the lengths, the yaw of what turns, and the control periods where they vary."""
    episodes = examined.data.episodes
    charts = [histogram("Length", [e.duration_s for e in episodes], "s")]
    for name in episodes[0].places:
        yaws = [np.degrees(e.places[name][2]) for e in episodes if name in e.places]
        if np.ptp(yaws) > 1:
            charts.append(histogram(f"Yaw of the {name} at the start", yaws, "°", 0))
    smooth = [e.sparc for e in episodes if e.sparc is not None]
    if smooth:
        charts.append(histogram("Smoothness of the joint speed", smooth, "SPARC"))
    jitter = [e.jitter_ms for e in episodes if e.jitter_ms is not None]
    if jitter and max(jitter) > 0.01:
        charts.append(histogram("Jitter of the control period", jitter, "ms", 2))
    return charts


def _axes(examined: Examination) -> list[tuple[float, float]]:
    """Return the axis of each joint's curves, the same in all episodes."""
    values = [np.vstack([e.qpos, e.actions]) for e in examined.exhibits]
    low = np.min([v.min(axis=0) for v in values], axis=0)
    high = np.max([v.max(axis=0) for v in values], axis=0)
    room = np.maximum(0.02 * (high - low), 5e-3)
    return [(float(a), float(b)) for a, b in zip(low - room, high + room, strict=True)]


def _played(exhibit: Exhibit, axes: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return what the player draws of an episode, small enough for hundreds of them."""
    low, high = np.array(axes).T
    end = max(float(exhibit.times[-1]), 1e-3)

    def curves(values: Array) -> list[list[int]]:
        whole = np.rint(STEPS * (values - low) / (high - low)).astype(int)
        return [column.tolist() for column in whole.T]

    tracks = {k: np.round(v.astype(float), 3).tolist() for k, v in exhibit.footage.tracks.items()}
    quality = exhibit.quality
    return {
        "name": quality.name,
        "end": round(end, 3),
        "t": np.rint(STEPS * exhibit.times / end).astype(int).tolist(),
        "q": curves(exhibit.qpos),
        "a": curves(exhibit.actions),
        "kind": exhibit.footage.kind,
        "tracks": tracks,
        "outcome": {True: "success", False: "failure", None: "outcome unknown"}[quality.success],
        "facts": _episode_facts(exhibit),
    }


def _episode_facts(exhibit: Exhibit) -> list[tuple[str, str]]:
    quality, meta = exhibit.quality, exhibit.meta
    facts = [("Length", f"{quality.duration_s:.1f} s, {count(quality.steps, 'step')}")]
    for name, (x, y, yaw) in quality.places.items():
        turn = f", {signed(np.degrees(yaw), 0)}°" if abs(yaw) > 1e-3 else ""
        facts.append((f"{name.capitalize()} at", f"{x:.3f}, {signed(y, 3)} m{turn}"))
    facts += [("Operator", meta.operator), ("Began after", meta.mishap)]
    facts += [("Failure", meta.failure), ("Flag", meta.flag)]
    facts.append(
        ("Smoothness", "" if quality.sparc is None else f"SPARC {signed(quality.sparc, 2)}")
    )
    facts.append(("First command", f"{quality.jump:.3f} rad away"))
    return [(name, value) for name, value in facts if value]


def _base64(exhibit: Exhibit) -> str:
    return base64.b64encode(exhibit.footage.film or b"").decode("ascii")
