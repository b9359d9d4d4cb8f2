"""What is to be done at an arm after the policies of an experiment are trained, as commands."""

import itertools
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.experiment import Ask, Cell
    from benchmarks.recordings import Recordings

BLOCKS = 20
"""Blocks of the session that is proposed, where no number of trials is asked for."""
PORT, CALIBRATION, CAMERA, OBJECTS = "PORT", "CALIBRATION", "CAMERA", "OBJECTS"
NAME = "NAME"
"""What the user fills in."""


def next_steps(
    ask: "Ask", cells: "Sequence[Cell]", places: Mapping[str, Path], again: Sequence[str]
) -> list[str]:
    """Return the lines that say what to do next.

    Args:
        ask: what was asked.
        cells: of the grid, trained.
        places: ``root`` of demonstrations and checkpoints, ``results`` of the sealed runs, and
            ``session``, the folder that is proposed for it.
        again: words of the experiment's command, without the sessions.
    """
    real, blocks = ask.real, BLOCKS if ask.trials is None else ask.trials
    if real is None:
        raise ValueError("an arm must have demonstrations, got none")
    policies = [str(cell.fit.folder(places["root"])) for cell in cells]
    session = str(places["session"])
    lock = [
        *("session", "lock", "--policy", *policies, *_reach(real), "--protocol", ask.protocol),
        *("--data", str(real.folder), "--blocks", str(blocks)),
        *("--results", str(places["results"]), "--out", session),
    ]
    first = [] if real.sim else _gates(ask, cells, places["root"])
    return [
        f"{len(policies)} policies are trained. Next, at the arm: a blind session, at most "
        f"{blocks * len(policies)} trials. Fill in what is in capitals.",
        *first,
        _line(lock),
        _line(["session", "run", session, *(["--script"] if real.sim else ["--who", NAME])]),
        "When it is closed (or several are, named one after the other):",
        _line([*again, "--session", session]),
    ]


def _reach(real: "Recordings") -> list[str]:
    """Return the options of ``session lock`` by which the arm is reached."""
    if real.sim:  # the episodes say that their arm is a program
        return ["--twin"]
    names = [camera.name for camera in real.cameras] or ["overhead"]
    tags = [] if real.cameras else ["--tags", OBJECTS]
    cameras = [f"{name}={CAMERA}" for name in names]
    return ["--port", PORT, "--calibration", CALIBRATION, "--cameras", *cameras, *tags]


def _gates(ask: "Ask", cells: "Sequence[Cell]", root: Path) -> list[str]:
    """Return the commands of the gate; of what was never on the arm, its stream is made again."""
    lines = [
        "The gate first, for every policy; the session looks for its verdicts in gates. Policies "
        "that it refuses are tried with --override REASON alone, and every trial records it."
    ]
    for cell in cells:
        words = {
            "--policy": cell.fit.folder(root),
            "--protocol": ask.protocol,
            "--robot": ask.real.robot if ask.real else "",
            **({} if cell.fit.demos is None else {"--data": cell.fit.demos.folder(root)}),
            "--calibration": CALIBRATION,
        }
        lines.append(_line(["gate", *(str(w) for pair in words.items() for w in pair)]))
    return lines


def _line(words: Sequence[str]) -> str:
    return f"  armtrials {shlex.join(words)}"


def free(folder: Path) -> Path:
    """Return ``folder``, or with a number behind its name where a session lies there."""
    numbered = (folder.with_name(f"{folder.name}-{n}") for n in itertools.count(2))
    places = itertools.chain([folder], numbered)
    return next(place for place in places if not place.exists())


def words_of(name: str, options: Mapping[str, Any]) -> list[str]:
    """Return the words of an experiment's command; an option that is empty is left out."""
    words = ["experiment", name]
    for option, value in options.items():
        many = list(value) if isinstance(value, tuple) else [value]
        if value is not None and value not in ("", ()):
            words += [f"--{option}", *map(str, many)]
    return words


def sessions_on(folder: Path) -> list[str]:
    """Return the sessions that the page in ``folder`` tells of; none where there is no page."""
    try:
        told = json.loads((folder / "experiment.json").read_text("utf-8"))
        return [str(one["folder"]) for one in told["sessions"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
