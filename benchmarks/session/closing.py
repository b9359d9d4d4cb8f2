"""The end of a session: records are sealed, then the codes are resolved; and what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.lines import digest
from benchmarks.protocol import NOMINAL, PROTOCOLS
from benchmarks.records import SEAL, read_manifest
from benchmarks.session import deciding
from benchmarks.session.attempt import FINAL, Attempt
from benchmarks.session.closed import Agreement, Closed, ClosedTrial, Labels, Look
from benchmarks.session.ledger import Event, read_ledger
from benchmarks.session.lock import Lock, read_lock
from benchmarks.session.opening import Opened
from benchmarks.session.schedule import Planned
from benchmarks.session.sealing import NOTHING, attempts, seal
from benchmarks.session.state import State, fold
from benchmarks.stats.raters import cohen_kappa
from envs.errors import UsageError
from policies.base import Policy

EMPTY = {"none": "no block was complete"}
"""Instead of seals, where a session ended before anything could be sealed."""


@dataclass(frozen=True)
class Closer:
    """Seals the records of a session.

    Attributes:
        sealed: told the folder of every run.
    """

    sealed: Callable[[Path], None] = lambda folder: None

    def seal(self, opened: Opened, policies: list[Policy], state: State) -> dict[str, Path]:
        """Seal a run for every policy, once; return their folders by the policies' numbers."""
        if not state.complete:
            return {}
        runs = {}
        for arm in range(opened.lock.arms):
            folder = seal(opened, policies, state, arm)
            self.sealed(folder)
            runs[str(arm)] = folder
        return runs


def seals_of(folders: Mapping[str, Path]) -> dict[str, str]:
    """Return the hashes of the seals of runs: they name no policy."""
    found = {arm: digest((folder / SEAL).read_bytes()) for arm, folder in folders.items()}
    return found or EMPTY


def read_closed(folder: Path) -> Closed:
    """Return a closed session, from its files alone.

    Raises:
        UsageError: there is none, it is not closed, or a file was edited.
    """
    folder = Path(folder)
    lock = read_lock(folder)
    events = read_ledger(folder, lock.hash)
    state = fold(lock, events)
    if not state.closed:
        raise UsageError(f"{folder} is not closed: its codes are not resolved yet")
    return _closed(folder, lock, state, events)


def _closed(folder: Path, lock: Lock, state: State, events: list[Event]) -> Closed:
    names = [driver["name"] for driver in state.unblinded["drivers"]]
    runs = {names[int(arm)]: Path(run) for arm, run in state.runs.items()}
    manifests = {name: read_manifest(path) for name, path in runs.items()}
    ratings = _ratings(state)
    return Closed(
        folder=folder,
        name=lock.terms.name,
        world=lock.terms.world,
        lock={**lock.body, "hash": lock.hash},
        policies={name: manifest["policy"] for name, manifest in manifests.items()},
        runs=runs,
        trials=tuple(
            _trial(state, names, *found) for found in attempts(state)
        ),
        path=tuple(
            Look(a.block, names[a.pair[0]], names[a.pair[1]], a.wins, a.losses, a.boundary,
                 a.decision.value)
            for a in deciding.path(state)
        ),
        ended=state.ended,
        checks=tuple(_check(event) for event in events if event["kind"] == "checked"),
        ratings=ratings,
        agreement=_agreement(ratings),
        deviations=state.notes,
        permission={n: m["session"]["permission"] for n, m in manifests.items()},
        started=_iso(state.began),
        ended_at=_iso(state.time),
    )  # fmt: skip


def _trial(
    state: State, names: list[str], trial: Planned, number: int, attempt: Attempt
) -> ClosedTrial:
    ran: Mapping[str, Any] = attempt.ran or NOTHING
    final = attempt.step == FINAL
    numbers = {
        **ran["latency"], **ran["quality"],
        **{name: ran[name] for name in ("lost_ticks", "clamps", "ends", "reason")},
    }  # fmt: skip
    film = state.films.get(trial.code, "") if final else ""
    return ClosedTrial(
        code=trial.code,
        policy=names[trial.arm],
        block=trial.block,
        ic=trial.ic,
        attempt=number,
        order=attempt.order,
        start=_start(state.lock, trial),
        placed=attempt.placed,
        labels=Labels(**attempt.labels) if final else None,
        automatic=ran["automatic"],
        void="" if final else attempt.void or "not finished",
        counted=final and trial.block < state.complete,
        steps=ran["steps"],
        duration_s=ran["duration_s"],
        numbers=numbers,
        film=film,
    )


def _start(lock: Lock, trial: Planned) -> dict[str, Any]:
    return dict(PROTOCOLS[lock.terms.protocol].start(NOMINAL, trial.ic).to_json())


def _check(event: Event) -> dict[str, Any]:
    return {name: event[name] for name in ("name", "outcome", "text", "evidence")}


def _ratings(state: State) -> dict[str, dict[str, bool]]:
    """Return what everybody said of every trial that counts: code -> rater -> success."""
    found: dict[str, dict[str, bool]] = {}
    for trial, _, attempt in attempts(state):
        if attempt.step != FINAL or trial.block >= state.complete:
            continue
        said = {"operator": bool(attempt.labels["success"])}
        automatic = attempt.ran["automatic"]["success"]
        if automatic is not None:
            said["automatic"] = bool(automatic)
        if trial.code in state.ratings:
            said["second"] = state.ratings[trial.code]
        found[trial.code] = said
    return found


def _agreement(ratings: Mapping[str, Mapping[str, bool]]) -> dict[str, Agreement]:
    """Compare the operator with the second rater, and with what was told automatically."""
    found = {}
    for rater in ("second", "automatic"):
        both = [(said["operator"], said[rater]) for said in ratings.values() if rater in said]
        if both:
            kappa = cohen_kappa([one for one, _ in both], [other for _, other in both])
            limits = kappa.interval and (kappa.interval.low, kappa.interval.high)
            found[rater] = Agreement(
                kappa.n, kappa.agreed / kappa.n, kappa.value, *(limits or (None, None))
            )
    return found


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
