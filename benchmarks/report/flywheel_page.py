"""The page of a flywheel's turn: what the log held, where to demonstrate, what the gain is."""

from pathlib import Path
from typing import Any

from benchmarks import stats
from benchmarks.failures import FAILURES
from benchmarks.flywheel.run import CONTROL, NEXT, STAGES, Turn, starts_of
from benchmarks.report.charts import FLOOR, SERIES, Spec
from benchmarks.report.diagnose_page import places
from benchmarks.report.page import render, vega_script
from benchmarks.report.sweep_page import picture
from benchmarks.writer import refuse_disk_errors
from envs.arm import InitialCondition
from envs.atomic import write_whole
from envs.episode import inspect_file
from envs.starts_file import read_starts
from envs.tasks import TASKS

SIDE = 300  # px
ALONE = {
    "success": "the policy did the task alone",
    "success at the second try": "a gripper closed once more than in any demonstration",
    "success with help": "a person took over, and the task was done",
}
"""What is told of the outcomes that are no failures."""


def write_flywheel(turn: Turn) -> Path:
    """Write ``index.html`` and ``flywheel.png`` into the folder of a turn; return the page."""
    out = turn.wheel.out
    spec = figure(turn)
    page = out / "index.html"
    with refuse_disk_errors(out, "--out"):
        write_whole(out / "flywheel.png", picture(spec))
        write_whole(page, flywheel_page(turn, spec).encode())
    return page


def flywheel_page(turn: Turn, spec: Spec) -> str:
    """Return the HTML page; it needs no other file and no network."""
    told = {stage: turn.read(stage) for stage in STAGES}
    if control := turn.read(CONTROL):  # whoever did not ask for it misses nothing
        told[CONTROL] = control
    counts = (told["select"] or {}).get("outcomes", {})
    outcomes = [(name, n, _about(name)) for name, n in counts.items()]
    return render(
        "flywheel.html",
        told=told,
        title=_title(told["compare"], turn.task),
        outcomes=outcomes,
        wheel=turn.wheel,
        task=turn.task,
        figure=spec,
        vega=vega_script(),
    )


def _about(outcome: str) -> str:
    """Say what was seen in the episodes that ended so."""
    if outcome in FAILURES:
        return FAILURES[outcome].about
    return ALONE.get(outcome, "")


def _title(found: dict[str, Any] | None, task: str) -> str:
    name = task.replace("_", " ").capitalize()
    if found is None:
        return f"{name}: a turn of the flywheel"
    words = {"better": "the new policy is better", "worse": "the new policy is worse"}
    return f"{name}: {words.get(found['verdict'], 'the policies are not told apart')}"


def figure(turn: Turn) -> Spec:
    """Return where episodes began and where to demonstrate next, and success before and after."""
    found = turn.read("compare")
    left = places(_groups(turn), TASKS[turn.task])
    panels = [left, _success(found, turn.read(CONTROL))] if found else [left]
    apart = {"color": "independent", "shape": "independent"}
    return {"hconcat": panels, "spacing": 60, "resolve": {"scale": apart, "legend": apart}}


def _groups(turn: Turn) -> list[tuple[str, InitialCondition | None]]:
    groups: list[tuple[str, InitialCondition | None]] = []
    groups += [("demonstration", start) for start in starts_of(turn.wheel.data)]
    entries = turn.entries()
    groups += [("succeeded" if one.alone else "failed", one.start) for one in entries]
    path = turn.wheel.out / NEXT
    if path.exists():
        robot = inspect_file(entries[0].path).meta.robot
        groups += [("proposed", start) for start in read_starts(path, turn.task, robot)]
    return groups


def _success(found: dict[str, Any], control: dict[str, Any] | None) -> Spec:
    """Return success before and after with intervals, and of the control where there is one."""
    counts = {"before": found["before"]}
    if control:
        counts["old data alone"] = control["before"]
    counts["after"] = found["after"]
    values, n = [], found["trials"]
    for name, k in counts.items():
        limits = stats.cell_interval(k, n)
        told = f"{k} of {n}"
        values.append(
            {"policy": name, "success": k / n, "low": limits.low, "high": limits.high, "told": told}
        )
    y = {
        "type": "quantitative",
        "scale": {"domain": [0, 1]},
        "axis": {"format": "%", "title": "success on the same starts"},
    }
    x = {
        "field": "policy",
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "labelAngle": 0},
    }
    colour = {
        "field": "policy",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": list(counts), "range": [*[FLOOR] * (len(counts) - 1), SERIES[0]]},
    }
    return {
        "data": {"values": values},
        "title": "Before and after, paired trials",
        "width": 95 * len(counts),
        "height": SIDE,
        "layer": [
            {
                "mark": {"type": "bar", "width": 56, "opacity": 0.85},
                "encoding": {"x": x, "y": {**y, "field": "success"}, "color": colour},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "text", "baseline": "bottom", "dy": -4},
                "encoding": {"x": x, "y": {**y, "field": "high"}, "text": {"field": "told"}},
            },
        ],
    }
