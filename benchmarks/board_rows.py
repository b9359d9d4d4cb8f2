"""Rows of the leaderboard: the runs of one policy over its training seeds, summed up."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import stats
from benchmarks.board_cells import (
    COMBINED,
    NOMINAL,
    Cell,
    Change,
    Grid,
    gap_of,
    make_cell,
    make_grid,
    matched,
    mean_gap,
    progress_of,
)
from benchmarks.board_commands import reproduce
from benchmarks.board_model import Row, SeedResult, Together, Worst
from benchmarks.board_runs import Loaded, Seen
from benchmarks.protocol import CONTROL, PROTOCOLS
from benchmarks.stats.clustered import MIN_SEEDS
from benchmarks.ways import ways_of

Identity = tuple[Any, ...]

VERSIONS = ("mujoco", "torch", "numpy", "armtrials")
"""What may change a trial without changing the model or the protocol."""
REMOTE = "remote"
"""Said of a row whose policy acted over a policy server."""
FEW = 10  # failures below which nothing is said of their tags
USUAL = "timeout"  # a trial that fails goes on to its last step


def identity(run: Loaded) -> Identity:
    """Return what makes two runs seeds of one row: everything but the training seed."""
    policy, execution = run.manifest["policy"], run.manifest["execution"]
    return (
        policy["name"],
        policy["algorithm"],
        str(policy.get("preset")),
        bool(policy.get("floor", False)),
        str(policy["data"].get("fingerprint")),
        str(policy["hashes"].get("config")),
        *(str(execution.get(key)) for key in ("chunk", "execute", "ensemble")),
        str(execution.get("delay", 0)),
        str(execution.get("ddim_steps")),
        str(execution.get("sampler")),
        REMOTE if policy.get("remote") else "",
    )


def conditions_of(runs: Sequence[Loaded]) -> list[str]:
    """Return the conditions of some runs of one protocol, in its order."""
    ran = {t.condition: None for run in runs for t in run.trials}
    if not ran:
        return []
    name = runs[0].manifest["protocol"]["id"]
    known = PROTOCOLS[name].conditions if name in PROTOCOLS else ()
    order = [c.name for c in known if c.name in ran]
    return list(dict.fromkeys([*order, *sorted(ran)]))


@dataclass(frozen=True)
class Grids:
    """The grids of one row by condition."""

    all: dict[str, Grid]

    @property
    def nominal(self) -> Grid | None:
        """The nominal grid."""
        return self.all.get(NOMINAL)

    @property
    def single(self) -> dict[str, Grid]:
        """The grids with one factor changed."""
        return {c: g for c, g in self.all.items() if c != NOMINAL and not _is_special(c)}


def _is_special(condition: str) -> bool:
    """Tell whether a condition is everything at once, or a negative control."""
    return condition.partition("/")[0] in (COMBINED, CONTROL)


def make_grids(runs: Sequence[Loaded]) -> Grids:
    """Return the grids of the conditions that every seed ran."""
    made = {c: make_grid(runs, c) for c in conditions_of(runs)}
    return Grids({c: g for c, g in made.items() if g is not None})


def make_row(row_id: str, label: str, runs: Sequence[Loaded], notes: Sequence[str] = ()) -> Row:
    """Sum up the runs (one a training seed) of one row.

    Runs with a problem are left out of the numbers where the row has others; it is preliminary
    in any case.
    """
    reasons, used = row_reasons(runs), used_runs(runs)
    short = tuple(dict.fromkeys(text for run in used for text in run.short))
    left_out = [run for run in runs if run not in used]
    policy = runs[0].manifest["policy"]
    grids = make_grids(used)
    cells = _cells(used, grids)
    floor = bool(policy.get("floor", False))
    calm = grids.nominal.all() if grids.nominal is not None else []
    return Row(
        id=row_id,
        label=label,
        name=policy["name"],
        algorithm=policy["algorithm"],
        preset=str(policy.get("preset") or ""),
        floor=floor,
        status="preliminary" if reasons else "partial" if short else "valid",
        reasons=reasons,
        short=short,
        notes=tuple(notes) + _notes(runs),
        claim="floor" if floor else ("algorithm" if len(used) >= MIN_SEEDS else "checkpoint"),
        seeds=_seeds(used, grids.nominal),
        nominal=next((c.success for c in cells if c.condition == NOMINAL), None),
        progress=progress_of(grids.nominal) if grids.nominal is not None else None,
        mean_gap=_mean_gap(grids),
        worst=_worst(grids),
        retention=_mean([c.retention for c in cells if c.condition in grids.single]),
        together=_together(cells),
        cells=cells,
        also=company([t for grid in grids.all.values() for t in grid.all()]),
        sparc=_median([t.sparc for t in calm]),
        path_ratio=_median([t.path_ratio for t in calm if t.success]),
        p50_ms=_median([t.p50_ms for t in calm]),
        p99_ms=_median([t.p99_ms for t in calm]),
        training_s=_mean(_training(runs, "wall_s")),
        parameters=_first(_training(runs, "parameters")),
        demonstrations=_first([r.manifest["policy"]["data"].get("episodes") for r in runs]),
        reproduce=reproduce([run.manifest for run in used or runs]),
        provenance=tuple({**provenance(run), "used": run in used} for run in (*used, *left_out)),
        ways=ways_of(calm),
        reproduced=min((run.reproduced for run in used), default=0),
    )


def _cells(runs: Sequence[Loaded], grids: Grids) -> tuple[Cell, ...]:
    return tuple(
        make_cell(c, grid, grids.nominal, sum(run.invalid.get(c, 0) for run in runs))
        for c, grid in grids.all.items()
    )


def used_runs(runs: Sequence[Loaded]) -> Sequence[Loaded]:
    """Return the runs without a problem, or where there is none those with trials."""
    sound = [run for run in runs if not run.problems]
    return sound or [run for run in runs if run.trials]


def row_reasons(runs: Sequence[Loaded]) -> tuple[str, ...]:
    """Return why a row is preliminary: the problems of its runs and of their combination."""
    reasons = [f"{run.manifest['run']}: {text}" for run in runs for text in run.problems]
    seeds = [run.manifest["policy"].get("seed") for run in runs]
    twice = sorted({str(s) for s in seeds if seeds.count(s) > 1})
    if twice:
        reasons.append(f"training seed {', '.join(twice)} stands for more than one checkpoint")
    return tuple(reasons)


def _notes(runs: Sequence[Loaded]) -> tuple[str, ...]:
    """Return what a reader should know and what does not make the row preliminary."""
    notes = []
    if any(run.manifest["code"].get("dirty") for run in runs):
        notes.append("run from a working tree with uncommitted changes")
    if len({run.manifest["code"].get("commit") for run in runs}) > 1:
        notes.append("its seeds were run at different commits")
    return tuple(notes)


def version_notes(runs: Sequence[Loaded], others: Sequence[Loaded]) -> list[str]:
    """Return where the versions of a row's runs differ from each other or from ``others``."""
    notes = []
    for name in VERSIONS:
        own, known = ({str(r.manifest["versions"].get(name)) for r in g} for g in (runs, others))
        apart = sorted(known - own)
        if len(own) > 1 or apart:
            rest = f"; other rows of this table with {', '.join(apart)}" if apart else ""
            notes.append(f"run with {name} {', '.join(sorted(own))}{rest}")
    return notes


def company(trials: Sequence[Seen]) -> dict[str, dict[str, float]]:
    """Return by failure label the tags that more than half of its trials have, and their share.

    Labels of fewer than ``FEW`` trials are left out, and the tag that nearly all failures have.
    """
    found: dict[str, dict[str, float]] = {}
    labels = Counter(t.failure for t in trials if t.failure)
    for label, count in sorted(labels.items()):
        tags = Counter(tag for t in trials if t.failure == label for tag in set(t.tags))
        often = {tag: tags[tag] / count for tag in sorted(tags) if tags[tag] > count / 2}
        often = {tag: share for tag, share in often.items() if tag not in (label, USUAL)}
        if often and count >= FEW:
            found[label] = often
    return found


def _seeds(runs: Sequence[Loaded], nominal: Grid | None) -> tuple[SeedResult, ...]:
    if nominal is None:
        return ()
    results = []
    for run, success in zip(runs, nominal.success, strict=True):
        seed, k, n = int(run.manifest["policy"].get("seed") or 0), int(success.sum()), success.size
        results.append(SeedResult(seed, k, n, k / n))
    return tuple(results)


def _mean_gap(grids: Grids) -> Change | None:
    if grids.nominal is None or not grids.single:
        return None
    return mean_gap(grids.nominal, list(grids.single.values()))


def _worst(grids: Grids) -> Worst | None:
    """Return the single perturbation with the largest loss, at a Bonferroni-corrected level.

    None where none has a loss: there is no worst among equals.
    """
    pairs = {}
    for condition, grid in grids.single.items():
        pair = matched(grids.nominal, grid) if grids.nominal is not None else None
        if pair is not None:
            pairs[condition] = pair
    if not pairs:
        return None
    loss = {c: float(b.success.mean() - a.success.mean()) for c, (a, b) in pairs.items()}
    condition = min(loss, key=lambda c: (loss[c], c))
    if loss[condition] >= 0:
        return None
    return Worst(condition, gap_of(*pairs[condition], level=1 - 0.05 / len(pairs)), len(pairs))


def _together(cells: Sequence[Cell]) -> tuple[Together, ...]:
    """Return each combined condition with the product of its single retentions."""
    found = []
    for cell in cells:
        if cell.axis == COMBINED:
            single = [c.retention for c in cells if c.level == cell.level and c.axis != COMBINED]
            known = [r for r in single if r is not None]
            product = float(np.prod(known)) if known and len(known) == len(single) else None
            gap = stats.compositional_gap(cell.retention, single)
            found.append(Together(cell.condition, cell.retention, product, gap))
    return tuple(found)


def provenance(run: Loaded) -> dict[str, Any]:
    """Return what a run was made of, for the reader who wants to follow it back."""
    manifest = run.manifest
    policy = manifest["policy"]
    return {
        "run": run.name,
        "seed": policy.get("seed"),
        "head": run.head,
        "trials": len(run.trials),
        "invalid": sum(run.invalid.values()),
        "hashes": dict(policy["hashes"]),
        "data": {key: policy["data"].get(key) for key in ("fingerprint", "episodes")},
        "training": dict(policy["training"]),
        "execution": dict(manifest["execution"]),
        "versions": dict(manifest["versions"]),
        "model_hash": manifest.get("model_hash"),
        "code": dict(manifest["code"]),
        "machine": dict(manifest["machine"]),
    }


def _training(runs: Sequence[Loaded], key: str) -> list[Any]:
    return [run.manifest["policy"]["training"].get(key) for run in runs]


def _known(values: Iterable[float | None]) -> list[float]:
    return [float(v) for v in values if v is not None]


def _mean(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return float(np.mean(known)) if known else None


def _median(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return float(np.median(known)) if known else None


def _first(values: Sequence[Any]) -> int | None:
    return next((int(v) for v in values if v is not None), None)
