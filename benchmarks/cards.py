"""Model cards and data cards: what the files themselves say, as Markdown."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.board_runs import Loaded, load_run
from benchmarks.records import MANIFEST, run_folders
from benchmarks.report.page import percent
from benchmarks.stats.intervals import cell_interval
from envs.episode import Episode
from envs.errors import UsageError
from envs.formats.base import Source
from envs.formats.convert import format_of, open_source
from policies.checkpoint import load_checkpoint

Lines = list[str]
LIMITS = (
    "Success was measured on the start states and changes named above; it says nothing of other "
    "tasks, arms or scenes.",
    "Numbers from simulation are no promise for a real arm.",
)
MOST = 6  # failure labels named


def card(folder: Path, results: Path | None) -> str:
    """Return the card of a checkpoint folder or of demonstrations in any known format.

    Args:
        folder: what it is about.
        results: folder whose sealed runs tell how a checkpoint did; None: none are looked at.

    Raises:
        UsageError: neither a checkpoint nor demonstrations, or broken ones.
    """
    folder = Path(folder)
    if (folder / "provenance.json").is_file():
        return model_card(folder, results)
    if (folder / MANIFEST).is_file():
        raise UsageError(f"{folder} is a run: cards are of checkpoints and of demonstrations")
    return data_card(folder, open_source(folder))


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Lines:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return [*lines, *(f"| {' | '.join(_cell(value) for value in row)} |" for row in rows)]


def _cell(value: object) -> str:
    """Return text that stays within its cell and is no markup."""
    text = " ".join(str(value).split())
    for character in "\\|`*_[]<>#":
        text = text.replace(character, f"\\{character}")
    return text


def model_card(folder: Path, results: Path | None) -> str:
    """Return the card of a checkpoint: what it is, what it learned from, how it did."""
    policy = load_checkpoint(folder)
    origin, spec = policy.provenance, policy.spec
    data, training = origin["data"], origin["training"]
    about = [
        ("algorithm", origin["algorithm"]),
        ("preset", origin.get("preset") or "none"),
        ("task", spec.task),
        ("arm", f"{spec.arm}, {len(spec.joints)} joints"),
        ("track", spec.track),
        ("control rate", f"{spec.control_hz:g} Hz"),
        ("actions", f"joint targets, chunks of {spec.chunk}, {spec.execute} executed"),
        ("observes", ", ".join(f"{k} {tuple(v)}" for k, v in spec.observations.items())),
        ("parameters", training.get("parameters")),
        ("trained", f"{training.get('steps')} steps, seed {origin['seed']}"),
        ("demonstrations", f"{data.get('episodes')} ({len(data.get('train', []))} for training)"),
    ]
    lines = [f"# Model card: {_cell(folder.resolve().name)}", ""]
    lines += _table(("", ""), about)
    lines += ["", "## Results", "", *_results(policy.hashes["weights"], results)]
    hashes = [*sorted(policy.hashes.items()), ("demonstrations", data.get("fingerprint"))]
    lines += ["", "## Identity", "", *_table(("what", "SHA-256"), hashes)]
    return _finish(lines)


def _results(weights: str, results: Path | None) -> Lines:
    """Return a table of the sealed runs of these weights, a line a condition."""
    runs = [] if results is None else list(_runs_of(weights, results))
    if not runs:
        return ["No sealed run of these weights was looked at."]
    lines: Lines = []
    for run in runs:
        told = "; ".join(run.problems or run.short) or "the whole protocol"
        world, protocol = run.manifest["world"], run.manifest["protocol"]["id"]
        lines += [f"`{run.name}` ({_cell(world)}, {_cell(protocol)}; {_cell(told)}):", ""]
        conditions = dict.fromkeys(t.condition for t in run.trials)
        head = ("condition", "success", "95 % interval", "failures")
        lines += [*_table(head, (_line(run, c) for c in conditions)), ""]
    return lines[:-1]


def _runs_of(weights: str, results: Path) -> Iterable[Loaded]:
    for folder in run_folders(results):
        try:
            run = load_run(folder)
        except ValueError:
            continue
        if run.manifest["policy"]["hashes"].get("weights") == weights:
            yield run


def _line(run: Loaded, condition: str) -> tuple[str, str, str, str]:
    trials = list(run.cell(condition).values())
    k, n = sum(t.success for t in trials), len(trials)
    around = cell_interval(k, n)
    failures = Counter(t.failure for t in trials if t.failure).most_common(MOST)
    share = f"{k}/{n} = {percent(k / n)}"
    why = ", ".join(f"{label} {count}" for label, count in failures) or "none"
    return condition, share, f"{percent(around.low)} to {percent(around.high)}", why


def data_card(folder: Path, source: Source) -> str:
    """Return the card of demonstrations, read one by one."""
    tally = Tally()
    for i in range(len(source.names)):
        tally.add(source.read(i))
    lines = [f"# Data card: {_cell(folder.resolve().name)}", ""]
    lines += _table(("", ""), [("format", format_of(folder)), *tally.about()])
    lines += ["", "## Content", "", *_table(("array", "shape of a step"), tally.shapes.items())]
    lines += ["", "## Range of the commands", ""]
    lines += _table(("joint", "least", "greatest"), tally.ranges())
    if source.dropped:
        lines += ["", f"Not read, for want of a place: {_cell(', '.join(source.dropped))}."]
    return _finish(lines)


class Tally:
    """What many episodes have in common, gathered one by one."""

    def __init__(self) -> None:
        """Start with none."""
        self.steps: list[int] = []
        self.seconds: list[float] = []
        self.told: dict[str, Counter[str]] = {}
        self.shapes: dict[str, str] = {}
        self.joints: Sequence[str] = ()
        self.low: Any = None
        self.high: Any = None

    def add(self, episode: Episode) -> None:
        """Count one episode in."""
        meta, times = episode.meta, episode.timestamps
        self.steps.append(len(episode))
        self.seconds.append(float(times[-1] - times[0]))
        words = {True: "success", False: f"failure {meta.failure}".strip(), None: "not told"}
        for name, value in (
            *(("task", meta.task), ("instruction", meta.instruction), ("arm", meta.robot)),
            *(("demonstrated by", meta.operator), ("outcome", words[meta.success])),
            *(("control rate", f"{meta.control_hz:g} Hz"), ("left out", meta.flag)),
            *(("world", "simulation" if meta.sim else "real"), ("mishap", meta.mishap)),
            ("times", "measured" if meta.timed else "from the nominal rate"),
        ):
            if value:
                self.told.setdefault(name, Counter())[value] += 1
        arrays = {**episode.observations, "action": episode.actions}
        self.shapes = {k: str(a.shape[1:]) for k, a in arrays.items()}
        self.joints = meta.joints or [f"joint {i}" for i in range(episode.actions.shape[1])]
        low, high = episode.actions.min(0), episode.actions.max(0)
        self.low = low if self.low is None else np.minimum(self.low, low)
        self.high = high if self.high is None else np.maximum(self.high, high)

    def about(self) -> list[tuple[str, object]]:
        """Return episodes, steps, and every value with how often it was told."""
        count = len(self.steps)
        found: list[tuple[str, object]] = [
            ("episodes", count),
            ("steps", f"{sum(self.steps)}, {min(self.steps)} to {max(self.steps)} an episode"),
            ("duration", f"{sum(self.seconds) / 60:.1f} min"),
        ]
        for name, values in self.told.items():
            alone = len(values) == 1 and values.total() == count
            parts = [v if alone else f"{v} ({n})" for v, n in values.most_common(MOST)]
            more = [f"and {len(values) - MOST} more"] if len(values) > MOST else []
            found.append((name, ", ".join([*parts, *more])))
        return found

    def ranges(self) -> list[tuple[str, str, str]]:
        """Return the range of the commands by joint."""
        limits = zip(self.joints, self.low, self.high, strict=True)
        return [(name, f"{low:.3f}", f"{high:.3f}") for name, low, high in limits]


def _finish(lines: Lines) -> str:
    limits = ["", "## Limits", "", *(f"- {text}" for text in LIMITS)]
    return "\n".join([*lines, *limits]) + "\n"
