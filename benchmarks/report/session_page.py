"""The page of a closed session: who was better, what simulation had said, and what went wrong."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import film as replayed
from benchmarks.failures import FAILURES
from benchmarks.records import read_run
from benchmarks.report.board_page import sentence
from benchmarks.report.charts import number, pretty
from benchmarks.report.charts_session import (
    WORLDS,
    failure_chart,
    mixes,
    path_chart,
    worlds_chart,
)
from benchmarks.report.page import base64_file, render, vega_script
from benchmarks.session.closed import Closed
from benchmarks.session.findings import Findings, Shown, find, runs_of
from benchmarks.trajectories import trajectory
from benchmarks.writer import refuse_disk_errors
from envs.atomic import write_whole
from envs.errors import UsageError

PAGE = "report.html"
MOST_FILMS = 6
"""Pairs of films on the page."""
MOST_BYTES = 4_000_000
"""Of all films on the page; in base64 a third more."""


@dataclass(frozen=True)
class Beside:
    """Two films from one start: simulated, and here.

    Attributes:
        policy: who drove.
        ic: initial condition.
        code: of the trial here.
        simulated: base64 of the mp4; empty where there is none.
        here: the same of the trial here.
        told: how each ended, in words.
    """

    policy: str
    ic: int
    code: str
    simulated: str
    here: str
    told: tuple[str, str]


def write_session(closed: Closed, results: Sequence[Path], out: Path) -> Path:
    """Write the report into the folder ``out``; return its path.

    Args:
        closed: the session.
        results: folders of sealed runs, in which simulated trials of the policies are looked for.
        out: folder; made if missing.
    """
    page = Path(out) / PAGE
    with refuse_disk_errors(page.parent, "--out"):
        page.parent.mkdir(parents=True, exist_ok=True)
        write_whole(page, session_page(closed, results).encode())
    return page


def session_page(closed: Closed, results: Sequence[Path]) -> str:
    """Return the HTML page; it needs no other file and no network."""
    findings = find(closed, runs_of(closed, results))
    return render(
        "session.html",
        closed=closed,
        findings=findings,
        terms=closed.lock["terms"],
        world=WORLDS[closed.world],
        paths=[(pair, path_chart(pair)) for pair in findings.pairs],
        failures=failure_chart(findings.policies, closed.world),
        mixes={p.name: mixes(p, closed.world) for p in findings.policies},
        advice=advice(findings),
        scatter=worlds_chart(findings, closed.world),
        films=tuple(islice(films(closed, findings), MOST_FILMS)),
        said=said,
        number=number,
        pretty=pretty,
        sentence=sentence,
        heading=heading(closed, findings),
        checked=[check for check in closed.checks if check["outcome"] != "does not apply"],
        vega=vega_script(),
    )


def heading(closed: Closed, findings: Findings) -> str:
    """Say in a line what came of it."""
    decided = [pair.verdict for pair in findings.pairs if pair.decided]
    if decided:
        return f"{closed.name}: {'; '.join(decided)}"
    if findings.pairs:
        return f"{closed.name}: {'; '.join(dict.fromkeys(p.verdict for p in findings.pairs))}"
    return f"{closed.name}: {sum(p.n for p in findings.policies)} trials"


def said(labels: Any) -> str:  # noqa: ANN401  (Labels or the automatic mapping, or None)
    """Write labels for people: ``success``, ``no success: dropped``, a dash for none."""
    found = labels if isinstance(labels, Mapping) else vars(labels) if labels is not None else {}
    if found.get("success") is None:
        return "\u2013"
    if found["success"]:
        return "success"
    failure = found.get("failure")
    return f"no success: {pretty(failure)}" if failure else "no success"


def advice(findings: Findings) -> list[Any]:
    """Return what is known about the failures that happened, in the order of the labels."""
    seen = {label for policy in findings.policies for label in policy.failures}
    return [FAILURES[label] for label in FAILURES if label in seen]


def films(closed: Closed, findings: Findings) -> Iterator[Beside]:
    """Return films side by side, a start after the other, as many as the page holds.

    A film of the simulated trial is the one kept with its run, or drawn anew from its commands
    where they were kept.
    """
    found = [
        (simulated_film(policy, trial.ic), trial, policy)
        for policy in findings.policies
        for trial in policy.trials.values()
        if trial.film and (closed.folder / trial.film).is_file()
    ]
    left = MOST_BYTES
    # Those with both films first.
    for there, trial, policy in sorted(found, key=lambda f: (not f[0], f[1].ic, f[2].name)):
        here = base64_file(closed.folder / trial.film)
        if len(here) + len(there) <= left:
            left -= len(here) + len(there)
            told = (_simulated(policy, trial.ic), said(trial.labels))
            yield Beside(policy.name, trial.ic, trial.code, there, here, told)


def _simulated(policy: Shown, ic: int) -> str:
    """Say how a policy's simulated trial ended."""
    seen = None if policy.simulated is None else policy.simulated.trials.get(ic)
    if seen is None:
        return "not simulated"
    return said({"success": seen.success, "failure": seen.failure})


def simulated_film(policy: Shown, ic: int) -> str:
    """Return the film of a policy's simulated trial as base64; empty where there is none."""
    run = policy.simulated
    if run is None or ic not in run.trials:
        return ""
    kept = run.trials[ic].video
    if kept and (run.folder / kept).is_file():
        return base64_file(run.folder / kept)
    try:
        sealed = read_run(run.folder)
        record = next(
            t for t in sealed.trials if (t["key"]["condition"], t["key"]["ic"]) == ("nominal", ic)
        )
        actions = trajectory(run.folder, record, sealed.manifest["execution"]["batch"])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "film.mp4"
            robot = sealed.manifest["robot"]
            return base64_file(replayed.film(record, actions, path, robot, replayed.SMALL))
    except (UsageError, StopIteration):
        return ""
