"""The results as a static site: a page for every task, policy, run and trial, with the films.

Nothing enters but the run folders, so the same runs give the same bytes. The pages lie beside
each other in one folder and need no network and no server.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.board_runs import REPEAT, Loaded, Seen
from benchmarks.board_tables import slug
from benchmarks.board_text import ranking
from benchmarks.failures import FAILURES
from benchmarks.latency import missed_told
from benchmarks.leaderboard import make_board, read_runs
from benchmarks.lines import Record
from benchmarks.records import read_run
from benchmarks.report import charts
from benchmarks.report.board_page import WORLDS, board_page, count, duration, sentence
from benchmarks.report.page import TEMPLATES, environment, render
from benchmarks.writer import refuse_disk_errors
from envs.errors import UsageError

Board = Mapping[str, Any]
MARKER = "armtrials-site.json"
CLIPS = 8  # films on the page of a task or policy


@dataclass(frozen=True)
class Site:
    """What pages need to know of each other.

    Attributes:
        board: the leaderboard's JSON form.
        runs: by name.
        rows: label of the row that each run belongs to.
        tables: id of the table that each run belongs to.
        starts: trials of each run by condition and start.
    """

    board: Board
    runs: Mapping[str, Loaded]
    rows: Mapping[str, str]
    tables: Mapping[str, str]
    starts: Mapping[str, Mapping[tuple[str, int], Seen]]

    @classmethod
    def of(cls, results: Path) -> "Site":
        """Read all runs; ``UsageError`` where there is none."""
        runs, unreadable = read_runs(results)
        board = make_board(runs, unreadable)
        rows, tables = {}, {}
        for table in board["tables"]:
            for row in (*table["rows"], *table["floors"]):
                for part in row["provenance"]:
                    rows[part["run"]], tables[part["run"]] = row["label"], table["id"]
        starts = {run.name: {(t.condition, t.unit): t for t in run.trials} for run in runs}
        return cls(board, {run.name: run for run in runs}, rows, tables, starts)

    def crumbs(self, table: Board, *more: tuple[str, str]) -> list[tuple[str, str]]:
        """Return the way from the first page to one below a table."""
        name = f"{sentence(charts.pretty(table['task']))}, {table['track']}"
        return [("Tasks", "index.html"), (name, f"tasks/{table['id']}.html"), *more]


def run_folder(run: Loaded) -> str:
    """Return the address of a run's pages within the site."""
    return quote(f"runs/{run.name}")


def run_page(run: Loaded) -> str:
    """Return the address of a run's page."""
    return f"{run_folder(run)}/index.html"


def trial_name(condition: str, unit: int) -> str:
    """Return the file name of a trial's page: ``object_pose-l2-17.html``."""
    repeat, ic = divmod(unit, REPEAT)
    again = (f"again{repeat}",) if repeat else ()
    return f"{slug(condition, ic, *again)}.html"


def make_site(results: Path, out: Path, advance: Callable[..., None] = lambda n=1: None) -> int:
    """Write the site of all runs under ``<results>/runs``; return the number of its pages.

    Args:
        results: folder that holds ``runs/``.
        out: the site; a site that is there is replaced as a whole, at the end.
        advance: called with a number of runs that are done.

    Raises:
        UsageError: there is no run, or ``out`` is something else than a site.
    """
    out = Path(out)
    if out.exists() and not (out / MARKER).is_file():
        raise UsageError(f"{out} is there and is no site of ours: choose another --out")
    site = Site.of(results)
    environment().filters.update(
        pretty=charts.pretty, sentence=sentence, duration=duration, count=count,
        number=charts.number,
    )  # fmt: skip
    made = out.absolute().parent / f".{out.name}.{os.getpid()}.part"
    with refuse_disk_errors(out.parent, "--out"):
        try:
            pages = 0
            for name, data in _pages(site, made, advance):
                path = made / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(data, encoding="utf-8")
                pages += 1
            _assets(site, made, pages)
            if out.exists():
                shutil.rmtree(out)
            made.replace(out)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return pages


def _assets(site: Site, made: Path, pages: int) -> None:
    (made / "assets").mkdir()
    style = "".join((TEMPLATES / name).read_text() for name in ("style.css", "site.css"))
    (made / "assets/site.css").write_text(style)
    (made / MARKER).write_text(json.dumps({"pages": pages, "runs": sorted(site.runs)}) + "\n")


def _pages(site: Site, made: Path, advance: Callable[..., None]) -> Iterator[tuple[str, str]]:
    """Yield every page's address and content."""
    yield "index.html", _index(site)
    yield "leaderboard.html", board_page(site.board, list(site.runs.values()))
    for table in site.board["tables"]:
        runs = [r for r in site.runs.values() if site.tables.get(r.name) == table["id"]]
        yield f"tasks/{table['id']}.html", _task(site, table, runs)
        for row in (*table["rows"], *table["floors"]):
            yield f"policies/{row['id']}.html", _policy(site, table, row)
        for run in runs:
            yield from _run_pages(site, table, run, made)
            advance(1)


def _index(site: Site) -> str:
    groups: dict[str, list[Board]] = {}
    for table in site.board["tables"]:
        groups.setdefault(WORLDS.get(table["world"], table["world"]), []).append(table)
    trials = sum(len(run.trials) for run in site.runs.values())
    return render(
        "site_index.html", root="", crumbs=[], worlds=list(groups.items()), trials=trials,
        unreadable=site.board["unreadable"],
    )  # fmt: skip


def _task(site: Site, table: Board, runs: Sequence[Loaded]) -> str:
    world = WORLDS.get(table["world"], table["world"])
    crumbs = [("Tasks", "index.html")]
    clips = _clips(site, runs, 3)
    return render(
        "site_task.html", root="../", crumbs=crumbs, t=table, world=world,
        ranking=ranking(table), clips=clips,
    )  # fmt: skip


def _policy(site: Site, table: Board, row: Board) -> str:
    runs = [site.runs[part["run"]] for part in row["provenance"]]
    pages = {run.name: run_page(run) for run in runs}
    return render(
        "site_policy.html", root="../", crumbs=site.crumbs(table), row=row, run_pages=pages,
        clips=_clips(site, runs, CLIPS),
    )  # fmt: skip


def _clips(site: Site, runs: Sequence[Loaded], each: int) -> list[dict[str, Any]]:
    """Return films of some runs, a few of each, failures first."""
    found = []
    for run in runs:
        filmed = [t for t in run.trials if _film(run, t) is not None]
        filmed.sort(key=lambda t: (t.condition != "nominal", t.success, t.condition, t.unit))
        for trial in filmed[:each]:
            page = f"{run_folder(run)}/{trial_name(trial.condition, trial.unit)}"
            found.append(
                {
                    "src": f"../{run_folder(run)}/{_film(run, trial)}",
                    "label": f"{run.name}, {trial.condition} {trial.unit % REPEAT}",
                    "page": page, "row": site.rows[run.name],
                    "success": trial.success, "failure": trial.failure,
                    "condition": trial.condition, "ic": trial.unit % REPEAT,
                }
            )  # fmt: skip
    return found


def _film(run: Loaded, trial: Seen) -> str | None:
    """Return a trial's film within its run; None where it has none of its own."""
    if run.problems or trial.video is None:
        return None
    path = run.folder / trial.video
    inside = path.resolve().is_relative_to(run.folder.resolve()) and path.suffix == ".mp4"
    return f"videos/{quote(path.name)}" if inside and path.is_file() else None


def _run_pages(site: Site, table: Board, run: Loaded, made: Path) -> Iterator[tuple[str, str]]:
    """Yield the page of a run and of each of its trials; copy its films."""
    home = f"runs/{run.name}"
    for trial in run.trials:
        if _film(run, trial) is not None:
            target = made / home / "videos" / Path(str(trial.video)).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run.folder / str(trial.video), target)
    yield f"{home}/index.html", _run(site, table, run)
    if run.problems:
        return
    records = {_unit(r): r for r in read_run(run.folder).trials if r["status"] == "valid"}
    shown = [(t, records[t.condition, t.unit]) for t in run.trials]
    names = [trial_name(t.condition, t.unit) for t, _ in shown]
    for i, (trial, record) in enumerate(shown):
        turn = (names[i - 1] if i else None, names[i + 1] if i + 1 < len(names) else None)
        yield f"{home}/{names[i]}", _trial(site, table, run, (trial, record), turn)


def _unit(record: Record) -> tuple[str, int]:
    key = record["key"]
    return str(key["condition"]), int(key["repeat"]) * REPEAT + int(key["ic"])


def _run(site: Site, table: Board, run: Loaded) -> str:
    cells: dict[str, list[dict[str, Any]]] = {}
    for trial in run.trials:
        dot = {
            "ic": trial.unit % REPEAT, "success": trial.success, "failure": trial.failure or "",
            "film": _film(run, trial) is not None,
            "page": trial_name(trial.condition, trial.unit) if not run.problems else "#trials",
        }  # fmt: skip
        cells.setdefault(trial.condition, []).append(dot)
    manifest = run.manifest
    hashes = [*sorted(manifest["policy"]["hashes"].items()), ("chain head", run.head)]
    hashes += [("protocol", manifest["protocol"]["hash"]), ("model", manifest.get("model_hash"))]
    row = site.rows[run.name]
    return render(
        "site_run.html", root="../../../", crumbs=_row_crumbs(site, table, run), run=run, row=row,
        manifest=manifest, policy={"seed": None, **manifest["policy"]}, hashes=hashes,
        cells=list(cells.items()), world=WORLDS.get(manifest["world"], manifest["world"]),
    )  # fmt: skip


def _row_crumbs(site: Site, table: Board, run: Loaded) -> list[tuple[str, str]]:
    """Return the way to a run: task, policy."""
    label = site.rows[run.name]
    rows = (*table["rows"], *table["floors"])
    row = next(r for r in rows if any(p["run"] == run.name for p in r["provenance"]))
    return site.crumbs(table, (label, f"policies/{row['id']}.html"))


def _trial(
    site: Site,
    table: Board,
    run: Loaded,
    shown: tuple[Seen, Record],
    turn: tuple[str | None, str | None],
) -> str:
    trial, record = shown
    failure = FAILURES.get(record["failure"]) if record["failure"] else None
    about = f"{failure.about}." if failure else ""
    notes = [("Likely cause", failure.cause), ("What to try", failure.advice)] if failure else []
    if record["reason"]:
        notes.insert(0, ("What the policy did", str(record["reason"])))
    crumbs = [*_row_crumbs(site, table, run), (run.name, run_page(run))]
    return render(
        "site_trial.html", root="../../../", crumbs=crumbs, record=record, key=record["key"],
        name=f"{trial.condition} {trial.unit % REPEAT} of {run.name}", about=sentence(about),
        film=_film(run, trial), notes=notes, facts=_facts(run, record),
        others=_others(site, run, trial), before=turn[0], after=turn[1], folder=run.folder.name,
        source=json.dumps(record, indent=1, sort_keys=True),
    )  # fmt: skip


def _facts(run: Loaded, record: Record) -> list[tuple[str, str]]:
    quality, latency = record["quality"], record["latency"]
    late = missed_told([latency])
    return [
        ("Policy", str(record["key"]["policy"])), ("Run", run.name),
        ("Steps", str(record["steps"])), ("Duration", f"{record['duration_s']:.1f} s"),
        ("Stage", str(record["stage"])), ("Progress", f"{record['progress']:.2f}"),
        ("Smoothness (SPARC)", charts.number(quality["sparc"])),
        ("Path / straight path", charts.number(quality["path_ratio"])),
        ("Commands limited", str(record["clamps"])),
        ("Prediction p50", f"{charts.number(latency['p50_ms'])} ms"),
        *([("Too slow", late)] if late else []),
        ("Also seen", ", ".join(charts.pretty(tag) for tag in record["tags"]) or "none"),
        ("Actions", str(record["actions_sha256"])[:16]),
    ]  # fmt: skip


def _others(site: Site, run: Loaded, trial: Seen) -> list[dict[str, Any]]:
    """Return the trials of other runs of the table from the same start."""
    found = []
    for other in site.runs.values():
        if other.name == run.name or site.tables.get(other.name) != site.tables[run.name]:
            continue
        same = site.starts[other.name].get((trial.condition, trial.unit))
        if same is not None and not other.problems:
            page = f"{run_folder(other)}/{trial_name(trial.condition, trial.unit)}"
            seed = other.manifest["policy"].get("seed")
            label = f"{site.rows[other.name]}{'' if seed is None else f', seed {seed}'}"
            told = {"success": same.success, "failure": same.failure or ""}
            found.append({"label": label, "page": page, **told})
    return sorted(found, key=lambda o: str(o["label"]))
