"""What there is to see of a trial on the twin: film, joints, cadence, latencies, safety log."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.real_trial import RealTrial
from benchmarks.video import compose, write_mp4
from benchmarks.view import Panel, Shown, joint_panels
from envs.arm import Array, CameraSpec, InitialCondition
from envs.scene_view import SceneView
from envs.viewer import Snapshot
from real.emulators.twin_table import TwinTable
from real.safety_log import read_events

VIEWS = (CameraSpec("view", 400, 300), CameraSpec("overhead", 300, 300))
EVERY = 2
"""Control periods a picture: 25 a second at 50 Hz."""

EVENTS = 12
"""Lines of the safety log on the page."""

LINGER = 25
"""Pictures for which the last one stays."""

ORIGIN = "Hardware twin: simulated mechanics behind emulated motors, not a real arm"


@dataclass(eq=False)
class Watched:
    """A twin's table that also keeps what a film needs; a ``Table``."""

    table: TwinTable
    shots: list[Snapshot] = field(default_factory=list)

    def set_up(self, start: InitialCondition) -> None:
        """Put the things on the table, and begin a new film."""
        self.table.set_up(start)
        self.shots = []

    def look(self) -> int:
        """Account for a control period."""
        self.shots.append(self.table.snapshot())
        return self.table.look()

    def picture(self, camera: CameraSpec) -> Array:
        """Return what ``camera`` sees."""
        return self.table.picture(camera)


def film(trial: RealTrial, watched: Watched, caption: str) -> bytes:
    """Return an mp4 in real time of what the twin truly did."""
    view = SceneView(watched.table.world)
    stages = watched.table.world.task.stages

    def frames() -> Iterator[Array]:
        shots = watched.shots[::EVERY] or [watched.table.snapshot()]
        for i, shot in enumerate(shots):
            stage = int(trial.stages[min(i * EVERY, len(trial.stages) - 1)])
            reached = "start" if stage == 0 else stages[stage - 1]
            pictures = [view.draw(shot, camera) for camera in VIEWS]
            text = (caption, f"{i * EVERY / trial.hz:4.1f} s   reached: {reached}")
            ended = i == len(shots) - 1
            frame = compose(pictures, text, trial.success if ended else None)
            for _ in range(LINGER if ended else 1):
                yield frame

    with tempfile.TemporaryDirectory() as folder:
        return write_mp4(Path(folder) / "film.mp4", frames(), trial.hz / EVERY).read_bytes()


def show(
    trial: RealTrial,
    watched: Watched,
    policy: str,
    about: Sequence[tuple[str, str]],
    log: Path,
) -> Shown:
    """Gather what there is to see of ``trial``.

    Args:
        trial: what happened.
        watched: the twin's table during it.
        policy: its name.
        about: further facts, such as how the twin was set up.
        log: file of the safety log.
    """
    world = watched.table.world
    spec, task = world.arm, world.task
    padded = np.append(trial.periods, trial.periods[-1:] if len(trial.periods) else 0.0)
    predicting = np.append(trial.predicting, 0.0)
    commands = np.vstack([trial.actions, trial.actions[-1:]]) if len(trial.actions) else None
    panels = [
        Panel("stages reached: " + ", ".join(task.stages), [("stage", trial.stages)],
              len(task.stages)),
        Panel("control period [ms]", [("period", padded * 1e3)]),
        Panel("prediction of the policy [ms]", [("prediction", predicting * 1e3)]),
        *joint_panels(spec.joints, trial.joints,
                      trial.joints if commands is None else commands),
    ]  # fmt: skip
    return Shown(
        f"{task.name.replace('_', ' ').capitalize()}: {policy} on the twin of {world.robot.title}",
        lead(trial), trial.success, [*facts(trial, policy), *about],
        trial.stamps - trial.stamps[0], panels,
        film(trial, watched, f"{policy}   {task.name}   twin"), notes(trial, log), source(trial),
    )  # fmt: skip


def lead(trial: RealTrial) -> str:
    """Return a sentence about how it went."""
    seconds = len(trial.actions) / trial.hz
    if trial.success:
        how = f"Success after {seconds:.1f} s, through the real driver stack"
    else:
        why = trial.reason or f"stage {trial.stage} was the last one reached"
        how = f"Ended after {seconds:.1f} s: {why}"
    return f"{how}. {ORIGIN}."


def facts(trial: RealTrial, policy: str) -> list[tuple[str, str]]:
    """Return the trial's numbers in words."""
    periods, predicting = trial.periods * 1e3, trial.predicting[trial.predicting > 0] * 1e3
    found = [("policy", policy), ("control periods", f"{len(trial.actions)}")]
    if len(periods):
        p50, p99 = np.percentile(periods, [50, 99])
        found += [
            ("period, median and p99", f"{p50:.2f} and {p99:.2f} ms"),
            ("longest period", f"{periods.max():.1f} ms"),
            ("lost ticks", f"{trial.lost}"),
        ]
    if len(predicting):
        p50, p99 = np.percentile(predicting, [50, 99])
        found.append(("prediction, median and p99", f"{p50:.1f} and {p99:.1f} ms"))
    passed = trial.verdicts.get("passed", 0)
    found.append(("actions passed as they were", f"{passed}"))
    return found


def events(log: Path, trial: RealTrial) -> str:
    """Return the first lines of a safety log's file about ``trial``, in words."""
    begin = float(trial.stamps[0])
    found = read_events(log, begin, float(trial.stamps[-1]))
    lines = [
        f"{event['time'] - begin:.2f} s {event['verdict']}"
        + "".join(f", {finding['text']}" for finding in event["findings"])
        for event in found[:EVENTS]
    ]
    more = f"; and {len(found) - EVENTS} more changes" if len(found) > EVENTS else ""
    return "; ".join(lines) + more if lines else "every action passed as it was"


def notes(trial: RealTrial, log: Path) -> list[tuple[str, str]]:
    """Return what the safety chain decided and found, and its ``log`` line by line."""
    decided = ", ".join(f"{count} {name}" for name, count in trial.verdicts.items()) or "nothing"
    found = ", ".join(f"{what} ({count} periods)" for what, count in trial.findings.items())
    return [
        ("Safety log: control periods by verdict", decided),
        ("Safety log: what was found", found or "nothing"),
        ("Safety log: what changed (docs/safety.md explains every message)", events(log, trial)),
    ]


def source(trial: RealTrial) -> dict[str, object]:
    """Return the record as JSON values."""
    return {
        "origin": "twin",
        "start": trial.start.to_json(),
        "success": trial.success,
        "stage": trial.stage,
        "ends": trial.ends,
        "reason": trial.reason,
        "steps": len(trial.actions),
        "lost_ticks": trial.lost,
        "calibration": trial.calibration_hash,
        "verdicts": dict(trial.verdicts),
        "findings": dict(trial.findings),
    }
