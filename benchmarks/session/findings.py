"""What a closed session shows: rates, differences, and how they go with simulated trials.

The same statistics as on the leaderboard, and beside them what only a session has: the simulated
trials of the same policies from the same starts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import stats
from benchmarks.board_runs import Loaded, Seen, load_run
from benchmarks.lines import parse
from benchmarks.protocol import NOMINAL
from benchmarks.records import MANIFEST, run_folders
from benchmarks.session.closed import Closed, ClosedTrial, Look

SIM = "sim"


@dataclass(frozen=True, eq=False)
class Simulated:
    """A policy's sealed run in simulation, on the nominal starts of the session's protocol.

    Attributes:
        run: name of the run.
        folder: where its films are.
        trials: by initial condition.
    """

    run: str
    folder: Path
    trials: Mapping[int, Seen]

    @property
    def k(self) -> int:
        """Successes."""
        return sum(trial.success for trial in self.trials.values())


@dataclass(frozen=True, eq=False)
class Shown:
    """A policy in a session.

    Attributes:
        name: of it.
        trials: that count, by initial condition.
        rate: its interval; None where no trial counts.
        progress: of the mean progress; None with it.
        failures: number of trials by label.
        voids: void attempts.
        off_mm: how far off objects were placed, the largest of every trial that was measured [mm].
        simulated: its run in simulation, None where there is none.
        powered: real success with the simulation's help; None without pairs.
    """

    name: str
    trials: Mapping[int, ClosedTrial]
    rate: stats.Interval | None
    progress: stats.Interval | None
    failures: Mapping[str, int]
    voids: int
    off_mm: tuple[float, ...]
    simulated: Simulated | None
    powered: stats.Powered | None

    @property
    def k(self) -> int:
        """Successes."""
        return sum(_won(trial) for trial in self.trials.values())

    @property
    def n(self) -> int:
        """Trials that count."""
        return len(self.trials)

    def mean_progress(self, goal: int) -> float:
        """Return the mean share of ``goal`` stages that its trials reached."""
        stages = [t.labels.stage for t in self.trials.values() if t.labels is not None]
        return sum(stages) / (len(stages) * goal)

    @property
    def paired(self) -> tuple[int, ...]:
        """Initial conditions that were also simulated."""
        return () if self.simulated is None else both(self.trials, self.simulated.trials)

    @property
    def paired_k(self) -> int:
        """Simulated successes from these."""
        seen = {} if self.simulated is None else self.simulated.trials
        return sum(seen[ic].success for ic in self.paired)


@dataclass(frozen=True)
class Against:
    """Two policies of a session, the better one first.

    Attributes:
        first, second: their names.
        found: paired difference with its interval.
        looks: what the sequential test said, as the session saw the two.
        verdict: what it ended with, in words.
    """

    first: str
    second: str
    found: stats.Comparison
    looks: tuple[Look, ...]
    verdict: str

    @property
    def decided(self) -> bool:
        """Whether the test found one of them better."""
        return bool(self.looks) and self.looks[-1].decision in ("a", "b")


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that a report says in numbers.

    Attributes:
        policies: best first.
        pairs: all of them.
        worlds: simulation against this world over all policies tried in both.
        rates: by policy in both worlds, its name and the two shares, that ``worlds`` is made of.
        kappa: by the other rater, ``second`` or ``automatic``.
    """

    policies: tuple[Shown, ...]
    pairs: tuple[Against, ...]
    worlds: stats.SimToReal
    rates: tuple[tuple[str, float, float], ...]
    kappa: Mapping[str, stats.Kappa]


def find(closed: Closed, runs: Sequence[Loaded]) -> Findings:
    """Return the findings of a session.

    Args:
        closed: the session.
        runs: sealed runs of its protocol in any world (``runs_of``), its own among them or not.
    """
    simulated = {key: run for run in runs if _world(run) == SIM and (key := weights(_policy(run)))}
    policies = tuple(
        _shown(closed, name, simulated.get(weights(entry)))
        for name, entry in sorted(closed.policies.items())
    )
    policies = tuple(sorted(policies, key=lambda p: (-p.k / max(p.n, 1), p.name)))
    worlds, rates = _worlds(closed, policies, runs, simulated)
    met = [(a, b) for a, b in combinations(policies, 2) if both(a.trials, b.trials)]
    return Findings(
        policies,
        tuple(_against(closed, a, b) for a, b in met),
        worlds,
        rates,
        _kappa(closed.ratings),
    )  # fmt: skip


def runs_of(closed: Closed, results: Iterable[Path]) -> list[Loaded]:
    """Return the sound sealed runs under some results folders that say something of a session.

    Those of its protocol whose policy was tried both in simulation and in the session's world.
    One that cannot be read, or that has a problem, is left out.
    """
    found: dict[str, Loaded] = {}
    for folder in _tried_in_both(closed, results):
        with suppress(OSError, ValueError):
            run = load_run(folder)
            if not run.problems:
                found.setdefault(run.head, run)
    # Where a checkpoint was simulated more than once, the run with the most trials counts.
    return sorted(found.values(), key=lambda run: (len(run.cell(NOMINAL)), run.name))


def _tried_in_both(closed: Closed, results: Iterable[Path]) -> list[Path]:
    """Return run folders, of which only the manifests were read: trials are many."""
    tried: dict[str, dict[str, list[Path]]] = {SIM: {}, closed.world: {}}
    for folder in (f for where in results for f in run_folders(Path(where))):
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            manifest = parse((folder / MANIFEST).read_bytes())
            if manifest["protocol"]["hash"] == closed.lock["protocol"]:
                by_weights = tried.get(manifest["world"], {})
                by_weights.setdefault(weights(manifest["policy"]), []).append(folder)
    here = {weights(policy) for policy in closed.policies.values()} | tried[closed.world].keys()
    wanted = here & tried[SIM].keys()
    return [f for world in tried.values() for key in wanted for f in world.get(key, [])]


def weights(policy: Mapping[str, Any]) -> str:
    """Return what makes two manifests' policies the same: the hash of the weights."""
    return str(policy["hashes"].get("weights") or "")


def both(a: Mapping[int, Any], b: Mapping[int, Any]) -> tuple[int, ...]:
    """Return the initial conditions of both, in order."""
    return tuple(sorted(a.keys() & b.keys()))


def _policy(run: Loaded) -> Mapping[str, Any]:
    policy: Mapping[str, Any] = run.manifest["policy"]
    return policy


def _world(run: Loaded) -> str:
    return str(run.manifest["world"])


def _won(trial: ClosedTrial) -> bool:
    return trial.labels is not None and trial.labels.success


def _shown(closed: Closed, name: str, run: Loaded | None) -> Shown:
    own = [trial for trial in closed.trials if trial.policy == name]
    counted = {trial.ic: trial for trial in own if trial.counted}
    goal = len(closed.lock["stages"])
    labels = [t.labels for t in counted.values() if t.labels is not None]
    rng = np.random.default_rng(0)
    simulated = None if run is None else Simulated(run.name, run.folder, run.cell(NOMINAL))
    return Shown(
        name,
        counted,
        stats.algorithm_interval([label.success for label in labels]) if labels else None,
        stats.progress_interval([label.stage / goal for label in labels], rng) if labels else None,
        dict(Counter(label.failure or "other" for label in labels if not label.success)),
        sum(bool(trial.void) for trial in own),
        tuple(off for trial in counted.values() if (off := _off(trial)) is not None),
        simulated,
        None if simulated is None else _powered(counted, simulated.trials),
    )


def _off(trial: ClosedTrial) -> float | None:
    """Return how far off the worst placed object was [mm]; None where nothing was measured."""
    found = [item["off_mm"] for item in trial.placed.get("objects", {}).values()]
    return max((float(off) for off in found if off is not None), default=None)


def _powered(
    counted: Mapping[int, ClosedTrial], simulated: Mapping[int, Seen]
) -> stats.Powered | None:
    """Return the estimate on the pairs; None where there is none, or a trial has no pair."""
    pairs = both(counted, simulated)
    if not pairs or len(pairs) < len(counted):
        return None
    return stats.powered_rate(
        [_won(counted[ic]) for ic in pairs],
        [simulated[ic].success for ic in pairs],
        [trial.success for ic, trial in simulated.items() if ic not in counted],
    )


def _outcomes(policy: Shown) -> stats.Outcomes:
    order = sorted(policy.trials)
    return stats.Outcomes(np.array([_won(policy.trials[ic]) for ic in order]), order)


def _against(closed: Closed, a: Shown, b: Shown) -> Against:
    looks = tuple(x for x in closed.path if {x.first, x.second} == {a.name, b.name})
    words = {
        "a": "{0} is better", "b": "{1} is better", "undecided": "no difference was found",
        "continue": "not decided: the session ended before",
    }  # fmt: skip
    last = looks[-1] if looks else None
    verdict = words[last.decision].format(last.first, last.second) if last else "not tested"
    return Against(a.name, b.name, stats.compare(_outcomes(a), _outcomes(b)), looks, verdict)


def _worlds(
    closed: Closed,
    policies: Sequence[Shown],
    runs: Sequence[Loaded],
    simulated: Mapping[str, Loaded],
) -> tuple[stats.SimToReal, tuple[tuple[str, float, float], ...]]:
    """Compare simulation with this world over every policy of the protocol tried in both."""
    there = {
        weights(_policy(run)): (str(_policy(run)["name"]), _seen(run))
        for run in runs
        if _world(run) == closed.world and run.cell(NOMINAL)
    }
    there |= {
        weights(closed.policies[p.name]): (p.name, _outcomes(p)) for p in policies if p.trials
    }
    keys = [key for key in there if key in simulated and simulated[key].cell(NOMINAL)]
    here = {key: _seen(simulated[key]) for key in keys}
    found = stats.sim_to_real(here, {key: there[key][1] for key in keys}, np.random.default_rng(0))
    rates = [(there[key][0], here[key].rate, there[key][1].rate) for key in keys]
    return found, tuple(sorted(rates, key=lambda item: (-item[2], item[0])))


def _seen(run: Loaded) -> stats.Outcomes:
    cell = run.cell(NOMINAL)
    order = sorted(cell)
    return stats.Outcomes(np.array([cell[ic].success for ic in order]), order)


def _kappa(ratings: Mapping[str, Mapping[str, bool]]) -> dict[str, stats.Kappa]:
    found = {}
    for rater in ("second", "automatic"):
        pairs = [(said["operator"], said[rater]) for said in ratings.values() if rater in said]
        if pairs:
            words = [["no success", "success"][one] for one, _ in pairs]
            others = [["no success", "success"][other] for _, other in pairs]
            found[rater] = stats.cohen_kappa(words, others)
    return found
