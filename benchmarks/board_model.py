"""What a row of the leaderboard holds; its JSON form is the page's only source of numbers."""

from dataclasses import dataclass
from typing import Any

from benchmarks.board_cells import Cell, Change, Estimate
from benchmarks.ways import Ways


@dataclass(frozen=True)
class SeedResult:
    """Nominal success of one training seed."""

    seed: int
    k: int
    n: int
    value: float


@dataclass(frozen=True)
class Worst:
    """The perturbed condition with the largest loss; its interval is corrected for the search."""

    condition: str
    gap: Change
    searched: int


@dataclass(frozen=True)
class Together:
    """All factors at once against what the single factors explain.

    Attributes:
        condition: name of the combined condition.
        retention: success over nominal success under it.
        product: product of the retentions of the single factors at the same level.
        gap: retention minus product; negative: worse together than the factors explain.
    """

    condition: str
    retention: float | None
    product: float | None
    gap: float | None


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        id: short and unique within the page.
        label: name shown.
        name: of the policy.
        algorithm: that trained it.
        preset: of its settings.
        floor: whether it is a floor (hold, random, replay, blind) and not a contestant.
        status: ``valid``; ``partial`` where it covers less than the protocol; ``preliminary``.
        reasons: why it is preliminary.
        short: which part of the protocol it covers, such as ``2 of 200 starts``.
        notes: what else a reader should know.
        claim: ``algorithm`` (at least three training seeds), ``checkpoint``, or ``floor``.
        seeds: nominal success by training seed.
        nominal: nominal success, None where no nominal trial is valid.
        progress: mean progress on nominal starts.
        mean_gap: mean change over the single perturbations.
        worst: the perturbation that costs most, None where none costs anything.
        retention: mean retention over the single perturbations.
        together: combined conditions.
        cells: every condition.
        also: by failure label the tags that more than half of its trials have as well, and their
            share.
        sparc: median smoothness of nominal trials.
        path_ratio: median path length over the straight one.
        p50_ms: typical latency of a prediction [ms].
        p99_ms: typical 99th percentile of it within a trial [ms].
        training_s: mean wall-clock of the training [s], None for what is not trained.
        parameters: number of trained parameters.
        demonstrations: episodes in the training data.
        reproduce: shell lines that make the row again.
        provenance: what each run was made of.
        ways: ways taken in nominal trials, None where the task has one way only.
        reproduced: trials of each run that its policy did the same again, when somebody verified
            it or in a second sealed run, the fewest of all its runs; 0: nobody has tried.
    """

    id: str
    label: str
    name: str
    algorithm: str
    preset: str
    floor: bool
    status: str
    reasons: tuple[str, ...]
    short: tuple[str, ...]
    notes: tuple[str, ...]
    claim: str
    seeds: tuple[SeedResult, ...]
    nominal: Estimate | None
    progress: Estimate | None
    mean_gap: Change | None
    worst: Worst | None
    retention: float | None
    together: tuple[Together, ...]
    cells: tuple[Cell, ...]
    also: dict[str, dict[str, float]]
    sparc: float | None
    path_ratio: float | None
    p50_ms: float | None
    p99_ms: float | None
    training_s: float | None
    parameters: int | None
    demonstrations: int | None
    reproduce: str
    provenance: tuple[dict[str, Any], ...]
    ways: Ways | None = None
    reproduced: int = 0
