"""Tables of the leaderboard: rows that may be compared, compared with each other."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from benchmarks import stats
from benchmarks.board_cells import COMBINED, NOMINAL, make_grid
from benchmarks.board_model import Row
from benchmarks.board_repeats import one_run_a_checkpoint
from benchmarks.board_rows import (
    REMOTE,
    Identity,
    conditions_of,
    identity,
    make_row,
    used_runs,
    version_notes,
)
from benchmarks.board_runs import Loaded
from benchmarks.protocol import Plan
from benchmarks.records import made_in

ALPHA = 0.05
STATUSES = ("valid", "partial", "preliminary")
"""From best to worst; all but the last are ranked, among rows with the same starts."""
ORDER = ("sim", "twin", "real", "state", "pixels")
"""Worlds and tracks in the order of their tables; others follow."""


@dataclass(frozen=True)
class Pair:
    """Row ``a`` against row ``b`` in one condition; ``a`` has the higher success.

    Attributes:
        a: row id.
        b: row id.
        diff: success of a minus success of b.
        low: lower limit of the difference.
        high: upper limit of the difference.
        p: p-value by itself.
        p_holm: p-value adjusted for all comparisons of this family.
        n: initial conditions.
        a_only: mean number of starts only a solved.
        b_only: mean number of starts only b solved.
        method: test and interval.
        claim: what the comparison is about, ``algorithm`` or ``checkpoint``.
    """

    a: str
    b: str
    diff: float
    low: float
    high: float
    p: float
    p_holm: float
    n: int
    a_only: float
    b_only: float
    method: str
    claim: str


@dataclass(frozen=True)
class Family:
    """All comparisons in one condition from the same starts, with what follows for each row.

    Attributes:
        condition: where the rows are compared.
        starts: how many there are; rows with others are another family.
        order: row ids, best first.
        pairs: every comparison.
        ranks: (row id, lowest rank, highest rank) that the comparisons allow.
        letters: (row id, letters): two rows share a letter exactly when they do not differ.
    """

    condition: str
    starts: int
    order: tuple[str, ...]
    pairs: tuple[Pair, ...]
    ranks: tuple[tuple[str, int, int], ...]
    letters: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """Rows of one world, task, track, protocol and model: the only ones ever ranked together.

    Attributes:
        id: short and unique within the page.
        world: ``sim``, ``twin`` or ``real``.
        task: name of the task.
        track: ``state`` or ``pixels``.
        protocol: id of the protocol.
        protocol_hash: its identity.
        model: hash of the compiled model; "" where the environment is not ours.
        renderer: what drew the pictures, "" on the state track.
        apart: what tells it from another table of the same protocol, "" where there is none.
        robots: arms on which the runs were made.
        conditions: in the order of the protocol.
        rows: contestants, valid before partial before preliminary, best first.
        floors: what any policy has to beat.
        families: comparisons on nominal starts, and under everything at once.
        above_floor: every ranked row against the best floor with the same nominal starts.
    """

    id: str
    world: str
    task: str
    track: str
    protocol: str
    protocol_hash: str
    model: str
    renderer: str
    apart: str
    robots: tuple[str, ...]
    conditions: tuple[str, ...]
    rows: tuple[Row, ...]
    floors: tuple[Row, ...]
    families: tuple[Family, ...]
    above_floor: tuple[Pair, ...]


Entry = tuple[Row, Sequence[Loaded]]
"""A row and its runs."""


def slug(*parts: object) -> str:
    """Return parts as one word for an address within the page."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(str(p) for p in parts).lower()).strip("-")


def table_key(run: Loaded) -> tuple[str, ...]:
    """Return what must agree between runs of one table."""
    m = run.manifest
    protocol = m["protocol"]
    return (m["world"], m["task"], m["track"], protocol["id"], protocol["hash"], *made_in(m))


def make_tables(runs: Sequence[Loaded]) -> tuple[Table, ...]:
    """Group runs into tables: simulation before twin and real, state before pixels."""
    groups: dict[tuple[str, ...], list[Loaded]] = {}
    for run in runs:
        groups.setdefault(table_key(run), []).append(run)
    order = sorted(groups, key=_table_place)
    return tuple(make_table(groups[key], _apart(key, order)) for key in order)


def _apart(key: Sequence[str], keys: Sequence[Sequence[str]]) -> str:
    """Say what tells a table from others of the same protocol: its model, its renderer."""
    same = [other for other in keys if other[:5] == key[:5]]
    told = {"model": key[5][:12] or "unknown", "renderer": key[6] or "unknown"}
    return ", ".join(
        f"{name} {value}"
        for i, (name, value) in enumerate(told.items(), 5)
        if any(other[i] != key[i] for other in same)
    )


def _table_place(key: tuple[str, ...]) -> tuple[int, str, int, tuple[str, ...]]:
    world, task, track = key[:3]
    found = [ORDER.index(name) if name in ORDER else len(ORDER) for name in (world, track)]
    return found[0], task, found[1], key


def make_table(runs: Sequence[Loaded], apart: str = "") -> Table:
    """Make one table of runs that share their key; ``apart`` tells it from others like it."""
    world, task, track, protocol, fingerprint, model, renderer = table_key(runs[0])
    table_id = slug(world, task, track, protocol.rpartition("/")[2], fingerprint[:6], apart)
    entries = row_groups(runs)
    rows = {
        row.id: (row, group)
        for row, group in (
            (make_row(slug(table_id, i), label, group, notes + version_notes(group, runs)), group)
            for i, (label, group, notes) in enumerate(entries)
        )
    }
    contestants = sorted((row for row, _ in rows.values() if not row.floor), key=_place)
    ranked = [rows[row.id] for row in contestants if row.status != STATUSES[-1]]
    conditions = conditions_of(runs)
    compared = [c for c in conditions if c == NOMINAL or c.startswith(f"{COMBINED}/")]
    floors = sorted((row for row, _ in rows.values() if row.floor), key=_place)
    beaten = [rows[row.id] for row in floors if row.status != STATUSES[-1]]
    return Table(
        id=table_id,
        world=world,
        task=task,
        track=track,
        protocol=protocol,
        protocol_hash=fingerprint,
        model=model,
        renderer=renderer,
        apart=apart,
        robots=tuple(sorted({run.manifest["robot"] for run in runs})),
        conditions=tuple(conditions),
        rows=tuple(contestants),
        floors=tuple(floors),
        families=tuple(f for condition in compared for f in families(ranked, condition)),
        above_floor=above_floors(ranked, beaten),
    )


def _place(row: Row) -> tuple[int, float, str]:
    """Return the sorting key of a row: valid first, then by success, then by name."""
    return (STATUSES.index(row.status), -(row.nominal.value if row.nominal else -1.0), row.label)


def row_groups(runs: Sequence[Loaded]) -> list[tuple[str, list[Loaded], list[str]]]:
    """Return label, runs (one a checkpoint, by seed) and notes of every row, in a fixed order."""
    groups: dict[Identity, list[Loaded]] = {}
    for run in runs:
        groups.setdefault(identity(run), []).append(run)
    found = []
    counts = {
        key: same[0].manifest["policy"]["data"].get("episodes") for key, same in groups.items()
    }
    for key in sorted(groups, key=lambda k: tuple(str(part) for part in k)):
        group = sorted(groups[key], key=lambda r: (int(r.manifest["policy"]["seed"] or 0), r.name))
        kept, notes = one_run_a_checkpoint(group)
        found.append((_label(key, counts), kept, notes))
    return found


def _label(key: Identity, counts: Mapping[Identity, int | None]) -> str:
    """Name a row by its policy, with what tells it from other rows of the same name.

    Args:
        key: of the row.
        counts: demonstrations of every row by its key.
    """
    same = [other for other in counts if other[0] == key[0] and other != key]
    away = [REMOTE] if REMOTE in key[-1:] else []
    if same and all(counts[key] not in (None, counts[other]) for other in same):
        return f"{key[0]} ({', '.join([f'{counts[key]} demos', *away])})"
    names = (
        *("", "algorithm", "preset", "", "data", "config"),
        *("chunk", "execute", "ensemble", "delay", "ddim_steps", "sampler", ""),
    )
    apart = [
        f"{name} {str(value)[:6] if name in ('data', 'config') else value}"
        for name, value, *rest in zip(names, key, *same, strict=True)
        if name and any(other != value for other in rest)
    ]
    apart += away
    return f"{key[0]} ({', '.join(apart)})" if apart else str(key[0])


def families(ranked: Sequence[Entry], condition: str) -> list[Family]:
    """Compare the rows in one condition, those with the same starts among each other."""
    groups = by_starts(ranked, condition)
    return [family(group, condition, starts) for starts, group in groups if len(group) > 1]


def by_starts(
    ranked: Sequence[Entry], condition: str
) -> list[tuple[int, list[tuple[str, stats.Outcomes]]]]:
    """Return the outcomes of rows by how many starts of a condition they planned, most first.

    A plan holds the first starts of a condition, so the number tells which they are.
    """
    groups: dict[int, list[tuple[str, stats.Outcomes]]] = {}
    for row, runs in ranked:
        found = outcomes(row, runs, condition)
        if found:
            plans = [Plan.from_json(run.manifest["plan"]) for run in used_runs(runs)]
            starts = min(dict(plan.cells).get(condition, 0) for plan in plans)
            groups.setdefault(starts, []).append((row.id, found))
    return sorted(groups.items(), key=lambda group: -group[0])


def family(entries: Sequence[tuple[str, stats.Outcomes]], condition: str, starts: int) -> Family:
    """Compare rows from the same starts in one condition, all pairs of them."""
    entries = sorted(entries, key=lambda e: (-e[1].rate, e[0]))
    made = [(a, b, stats.compare(x, y)) for (a, x), (b, y) in combinations(entries, 2)]
    adjusted = [float(p) for p in stats.holm([c.p for _, _, c in made])]
    place = {row_id: i for i, (row_id, _) in enumerate(entries)}
    differ = np.zeros((len(entries), len(entries)), np.bool_)
    for (a, b, _), p in zip(made, adjusted, strict=True):
        differ[place[a], place[b]] = differ[place[b], place[a]] = p <= ALPHA
    scores = [found.rate for _, found in entries]
    order = tuple(place)
    return Family(
        condition=condition,
        starts=starts,
        order=order,
        pairs=tuple(_pair(a, b, c, p) for (a, b, c), p in zip(made, adjusted, strict=True)),
        ranks=tuple(
            (i, lo, hi) for i, (lo, hi) in zip(order, stats.rank_sets(scores, differ), strict=True)
        ),
        letters=tuple(zip(order, stats.letters(scores, differ), strict=True)),
    )


def above_floors(ranked: Sequence[Entry], floors: Sequence[Entry]) -> tuple[Pair, ...]:
    """Compare every row with the best floor that has the same nominal starts.

    Adjusted for the number of rows compared with one floor.
    """
    known = dict(by_starts(floors, NOMINAL))
    pairs: list[Pair] = []
    for starts, entries in by_starts(ranked, NOMINAL):
        if starts in known:
            floor, base = known[starts][0]
            made = [(row_id, stats.compare(found, base)) for row_id, found in entries]
            adjusted = stats.holm([c.p for _, c in made])
            pairs += (
                _pair(row_id, floor, c, float(p))
                for (row_id, c), p in zip(made, adjusted, strict=True)
            )
    return tuple(pairs)


def outcomes(row: Row, runs: Sequence[Loaded], condition: str) -> stats.Outcomes | None:
    """Return a row's successes in one condition, or None where it has none."""
    grid = make_grid(used_runs(runs), condition)
    trained = not row.floor or row.training_s is not None
    return stats.Outcomes(grid.success, grid.units, trained) if grid else None


def _pair(a: str, b: str, c: stats.Comparison, p_holm: float) -> Pair:
    limits = (c.diff, c.low, c.high)
    return Pair(a, b, *limits, c.p, p_holm, c.n, c.a_only, c.b_only, c.method, c.claim)
