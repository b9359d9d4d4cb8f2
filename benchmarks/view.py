"""What there is to see of one trial or one episode: a film, curves over time, the record."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.failures import FAILURES
from benchmarks.film import LARGE, film
from benchmarks.footage import footage
from benchmarks.latency import missed_told
from benchmarks.lines import Record
from benchmarks.records import Run, read_run
from benchmarks.report.charts import number
from benchmarks.trajectories import trajectory
from benchmarks.trial import replay
from envs.arm import Array
from envs.batch import SimBatch
from envs.episode import read_episode
from envs.errors import UsageError
from envs.tasks import TASKS
from envs.world import world

UNREADABLE = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)
"""What a record raises that lacks something, or holds something of another kind."""


@dataclass(frozen=True)
class Panel:
    """One small chart over time.

    Attributes:
        title: what it shows, with its unit.
        lines: (name, values (T,)) of each curve.
        count: the values count up to this, drawn as steps; None for measures.
    """

    title: str
    lines: Sequence[tuple[str, Array]]
    count: int | None = None


@dataclass(frozen=True)
class Shown:
    """One trial or episode, ready for a page.

    Attributes:
        title: which one.
        lead: a sentence about how it went.
        outcome: True success, False failure, None unknown.
        facts: (name, value) pairs.
        times: (T,) s, common to all panels.
        panels: the curves.
        video: bytes of an mp4 in real time, or None.
        notes: (heading, text) paragraphs, such as what a failure label means.
        source: the record or the metadata, as JSON.
    """

    title: str
    lead: str
    outcome: bool | None
    facts: Sequence[tuple[str, str]]
    times: Array
    panels: Sequence[Panel]
    video: bytes | None
    notes: Sequence[tuple[str, str]] = ()
    source: Mapping[str, Any] = field(default_factory=dict)


def find_trial(run: Run, name: str) -> Record:
    """Return the trial ``<condition>/<ic>`` of a run, e.g. ``object_pose/L2/17``.

    Raises:
        UsageError: the name is not of this form, or the run has no such trial.
    """
    condition, _, number = name.rpartition("/")
    cells = run.cells()
    if condition not in cells:
        known = ", ".join(f"{c}/0..{len(t) - 1}" for c, t in cells.items()) or "none"
        raise UsageError(f"unknown trial {name!r} of {run.folder}; known: {known}")
    for trial in cells[condition]:
        if str(trial["key"]["ic"]) == number and trial["status"] == "valid":
            return trial
    last = max(trial["key"]["ic"] for trial in cells[condition])
    raise UsageError(f"trial {name!r} must be {condition}/0..{last}, got {number!r}")


def show_trial(folder: Path, name: str) -> Shown:
    """Replay a trial of a run and gather what there is to see.

    Raises:
        UsageError: no such run or trial, or its trajectories were not kept.
    """
    run = read_run(folder)
    try:
        return _shown(run, find_trial(run, name))
    except UNREADABLE as error:
        raise UsageError(
            f"trial {name!r} of {folder} cannot be shown, its record or the manifest is broken "
            f"({type(error).__name__}: {error}); `armtrials leaderboard` says what else is"
        ) from error


def _shown(run: Run, record: Record) -> Shown:
    """Replay a trial and gather what there is to see."""
    robot = run.manifest["robot"]
    actions = trajectory(run.folder, record, run.manifest["execution"]["batch"])
    rows = list(_watch(replay(record, actions, robot)))
    joints, stages, heights, reach = (np.array(column) for column in zip(*rows, strict=True))
    task = TASKS[record["key"]["task"]]
    spec = world(task, robot).arm
    commands = np.vstack([actions, actions[-1:]]) if len(actions) else joints
    panels = [
        Panel("stages reached: " + ", ".join(task.stages), [("stage", stages)], len(task.stages)),
        *joint_panels(spec.joints, joints, commands, spec.grippers),
        Panel(f"{task.manipulated}: height, distance to the hand [m]",
              [("height", heights), ("distance", reach)]),
        *joint_panels(spec.joints, joints, commands, spec.hinges),
    ]  # fmt: skip
    times = np.arange(len(joints)) / spec.control_hz
    video = _film_bytes(run, record, actions, robot)
    return Shown(
        f"{record['key']['condition']} / {record['key']['ic']}", _lead(record), record["success"],
        _facts(run, record), times, panels, video, _notes(record), record,
    )  # fmt: skip


def _watch(simulation: Iterator[SimBatch]) -> Iterator[tuple[Array, int, float, float]]:
    """Yield joints (n,), stage, height of the object, distance to the nearest hand per step."""
    for sims in simulation:
        r, name = sims.readings, sims.task.manipulated
        thing = np.array(r[f"{name}_pos"])
        hands = [np.array(r[f"{part.prefix}tcp_pos"]) for part in sims.world.parts]
        distance = min(float(np.linalg.norm(hand - thing)) for hand in hands)
        yield np.array(sims.joints[0]), int(sims.stage[0]), float(thing[2]), distance


def joint_panels(
    names: Sequence[str], measured: Array, commanded: Array, columns: Iterable[int] | None = None
) -> list[Panel]:
    """Return a panel a joint of ``columns`` (all): measured and commanded, rad or opening."""
    chosen = range(len(names)) if columns is None else columns
    return [
        Panel(
            f"{_said(names[j])} [{'opening' if names[j].endswith('gripper') else 'rad'}]",
            [("measured", measured[:, j]), ("commanded", commanded[:, j])],
        )
        for j in chosen
    ]


def _said(name: str) -> str:
    return name.replace("_", " ")


def _film_bytes(run: Run, record: Record, actions: Array, robot: str) -> bytes:
    """Return the trial's video: the stored one, or a new one."""
    stored = run.folder / (record["video"] or "")
    own = stored.resolve().is_relative_to(run.folder.resolve()) and stored.suffix == ".mp4"
    if own and stored.is_file():
        return bytes(stored.read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        return film(record, actions, Path(folder) / "film.mp4", robot).read_bytes()


def _lead(record: Record) -> str:
    if record["success"]:
        return f"Success after {record['duration_s']:.1f} s."
    about = FAILURES[record["failure"]].about
    return f"Failure after {record['duration_s']:.1f} s: {record['failure']} ({about})."


def _facts(run: Run, record: Record) -> list[tuple[str, str]]:
    quality, latency = record["quality"], record["latency"]
    policy, late = run.manifest["policy"], missed_told([latency])
    return [
        ("policy", f"{policy['name']}, seed {policy['seed']}"),
        ("protocol", record["key"]["protocol"]),
        ("run", run.manifest["run"]),
        ("sealed", "yes" if run.sealed else "no"),
        ("stage", f"{record['stage']}"),
        ("steps", f"{record['steps']}"),
        ("smoothness (SPARC)", number(quality["sparc"])),
        ("path / straight path", number(quality["path_ratio"])),
        ("peak force on the table", f"{number(quality['contact_peak_n'])} N"),
        ("prediction", f"{latency['p50_ms']} ms"),
        *([("too slow", late)] if late else []),
        ("commands limited", f"{record['clamps']}"),
    ]


def _notes(record: Record) -> list[tuple[str, str]]:
    """Say what the labels of a trial mean and what to try."""
    notes = []
    if record["reason"]:
        notes.append(("What the policy did", record["reason"]))
    if record["failure"]:
        failure = FAILURES[record["failure"]]
        notes.append(("Likely cause", failure.cause))
        notes.append(("What to try", failure.advice))
    if record["tags"]:
        seen = "; ".join(f"{tag} ({FAILURES[tag].about})" for tag in record["tags"])
        notes.append(("Also seen", seen))
    return notes


def show_episode(path: Path) -> Shown:
    """Gather what there is to see of a recorded episode.

    Raises:
        UsageError: the file is not a readable episode.
    """
    episode = read_episode(path)
    meta, qpos = episode.meta, episode.observations["qpos"]
    names = meta.joints or tuple(f"joint {j}" for j in range(qpos.shape[1]))
    things = [k for k in episode.observations if k.startswith("objects/")]
    panels = []
    if things:
        lines = [(k.removeprefix("objects/"), episode.observations[k][:, 2]) for k in things]
        panels.append(Panel("height of the objects [m]", lines))
    panels += joint_panels(names, qpos, episode.actions)
    facts = [
        ("task", meta.task), ("instruction", meta.instruction), ("robot", meta.robot),
        ("operator", meta.operator), ("steps", str(len(episode))), ("flag", meta.flag),
        ("cameras", ", ".join(episode.cameras)),
    ]  # fmt: skip
    how = {True: "Success", False: f"Failure: {meta.failure}", None: "Outcome not recorded"}
    times = episode.timestamps - episode.timestamps[0]
    film = footage(episode, True, LARGE.views).film
    return Shown(
        Path(path).name, f"{how[meta.success]}, {times[-1]:.1f} s.", meta.success,
        [(k, v) for k, v in facts if v], times, panels, film, (),
        meta.to_json(),
    )  # fmt: skip
