"""The sequential test on two runs: what it says must not depend on what came after its decision."""

from pathlib import Path
from typing import Any

import pytest
from made_records import manifest, record

from benchmarks.decide import decide
from benchmarks.stats.sequential import Decision
from benchmarks.writer import RunWriter
from envs.errors import UsageError
from scripts.main import main

RULE = {"id": "pick_place/v1", "hash": "00", "definition": {"alpha": 0.05, "n_max": 40}}


def run(folder: Path, outcomes: list[bool], sealed: bool = False, **changes: Any) -> Path:
    """Write a run with these outcomes of its nominal trials."""
    made = {"protocol": RULE, "track": "state", "plan": {"split": "test"}, "run": folder.name}
    trials = [
        record(i, success=won, failure=None if won else "stuck") for i, won in enumerate(outcomes)
    ]
    with RunWriter(folder, manifest(**{**made, **changes})) as writer:
        writer.append(trials)
        if sealed:
            writer.seal("armtrials 0")
    return folder


def test_a_clear_winner_stops_the_comparison_early(tmp_path: Path) -> None:
    a = run(tmp_path / "a", [True] * 40, sealed=True)
    b = run(tmp_path / "b", [False] * 40)
    found = decide(a, b, "nominal")
    assert found.test.decision is Decision.A_BETTER
    assert found.test.pairs < 20
    assert found.later == 40 - found.test.pairs
    assert "stop, a is better" in found.lines()[0]
    assert decide(b, a, "nominal").test.decision is Decision.B_BETTER


def test_pairs_behind_the_decision_change_nothing(tmp_path: Path) -> None:
    first = [True] * 20
    pairs = decide(run(tmp_path / "a", first), run(tmp_path / "b", [False] * 20), "nominal").test
    later = decide(
        run(tmp_path / "c", first + [False] * 20),
        run(tmp_path / "d", [False] * 20 + [True] * 20),
        "nominal",
    ).test
    assert (later.decision, later.pairs) == (pairs.decision, pairs.pairs)


def test_an_unfinished_run_counts_as_far_as_it_goes(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", [True, False] * 20), run(tmp_path / "b", [True, True, False])
    found = decide(a, b, "nominal")
    assert (found.test.pairs, found.test.wins, found.test.losses) == (3, 1, 1)
    assert found.test.decision is Decision.CONTINUE
    assert "go on" in found.lines()[0]


def test_equal_runs_end_without_a_difference(tmp_path: Path) -> None:
    a, b = (run(tmp_path / name, [True, False] * 20) for name in "ab")
    assert "no difference was found" in decide(a, b, "nominal").lines()[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"track": "pixels"}, "differ in track"),
        ({"model_hash": "11"}, "differ in simulated model"),
        ({"protocol": {**RULE, "hash": "01"}}, "differ in protocol"),
        ({"plan": None}, "lack what it takes"),
    ],
)
def test_runs_that_do_not_pair_are_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    a, b = run(tmp_path / "a", [True]), run(tmp_path / "b", [True], **changes)
    with pytest.raises(UsageError, match=reason):
        decide(a, b, "nominal")


def test_a_condition_that_they_do_not_share_lists_those_they_do(tmp_path: Path) -> None:
    a, b = (run(tmp_path / name, [True]) for name in "ab")
    with pytest.raises(UsageError, match="no pair of trials under 'lighting/L1'; both have: nomin"):
        decide(a, b, "lighting/L1")
    with pytest.raises(UsageError, match="two different runs"):
        decide(a, a, "nominal")


def test_the_command_prints_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = run(tmp_path / "a", [True] * 40), run(tmp_path / "b", [False] * 40)
    assert main(["plan", "--runs", str(a), str(b)]) == 0
    assert "a against b, nominal of pick_place/v1: stop, a is better" in capsys.readouterr().out
    assert main(["plan", "--runs", str(a), str(tmp_path / "none")]) == 2
