"""The report of a session: its numbers are those of simulation, and it says what it cannot know."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_session import GOOD, OTHERS, POOR, MadeSession

from benchmarks import stats
from benchmarks.report import session_page as session_page_module
from benchmarks.report.session_page import session_page, simulated_film, write_session
from benchmarks.session.closed import Closed
from benchmarks.session.findings import Findings, find, runs_of


def found(made: MadeSession, closed: Closed | None = None) -> Findings:
    closed = closed or made.closed()
    return find(closed, runs_of(closed, [made.folder / "results"]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeSession:
    session = MadeSession(tmp_path_factory.mktemp("session"))
    session.write_simulated()
    return session


@pytest.fixture(autouse=True)
def _without_charts_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out a megabyte of JavaScript that no test here runs."""
    monkeypatch.setattr(session_page_module, "vega_script", lambda: "")


def test_rates_and_differences_are_those_of_the_leaderboard(made: MadeSession) -> None:
    closed = made.closed()
    shown = found(made)
    wins = {
        p.name: np.array([
            t.labels.success for t in closed.trials
            if t.policy == p.name and t.counted and t.labels is not None
        ])
        for p in made.policies
    }  # fmt: skip
    for policy in shown.policies:
        assert (policy.k, policy.n) == (wins[policy.name].sum(), made.blocks)
        assert policy.rate == stats.algorithm_interval(wins[policy.name])
    (pair,) = shown.pairs
    expected = stats.compare(*(stats.Outcomes(wins[n]) for n in (pair.first, pair.second)))
    assert pair.found == expected
    assert shown.policies[0].name == pair.first == "act"


def test_a_void_attempt_counts_for_nothing_but_is_listed(made: MadeSession) -> None:
    shown = found(made)
    assert sum(p.voids for p in shown.policies) == 1
    page = session_page(made.closed(), [made.folder / "results"])
    assert "the camera fell" in page
    assert page.count('class="void"') == 1


def test_trials_are_paired_with_simulated_ones_from_the_same_start(made: MadeSession) -> None:
    for policy in found(made).policies:
        assert policy.paired == tuple(range(made.blocks))
        assert policy.simulated is not None
        assert policy.powered is not None
        assert policy.powered == stats.powered_rate(
            [policy.trials[i].labels.success for i in range(20)],  # type: ignore[union-attr]
            [policy.simulated.trials[i].success for i in range(20)],
            [policy.simulated.trials[i].success for i in range(20, 200)],
        )


def test_two_policies_are_too_few_for_a_correlation_and_six_are_enough(tmp_path: Path) -> None:
    two = MadeSession(tmp_path / "two", blocks=8, simulated=60)
    two.write_simulated()
    assert found(two).worlds.pearson is None
    page = session_page(two.closed(), [two.folder / "results"])
    assert "No correlation is reported: 2 policies in both worlds; from 6 on" in page
    six = MadeSession(tmp_path / "six", (GOOD, POOR, *OTHERS), blocks=20, simulated=100)
    six.write_simulated()
    worlds = found(six).worlds
    assert worlds.policies == 6
    assert worlds.pearson is not None
    assert worlds.pearson[0] > 0.8
    assert "Pearson's r <b>" in session_page(six.closed(), [six.folder / "results"])


def test_sealed_runs_of_other_sessions_count_for_the_correlation(tmp_path: Path) -> None:
    made = MadeSession(tmp_path, blocks=8, simulated=60)
    made.write_simulated((GOOD, POOR, *OTHERS))
    twin = replace(made.maker, world="twin", trials=20)
    for policy in OTHERS:
        manifest = {**twin.manifest(policy, 0), "run": f"{policy.name}-twin"}
        folder = made.folder / "results" / "runs" / "pick_place_v1" / manifest["run"]
        from synthetic_runs import write_run

        write_run(folder, manifest, twin.records(policy, 0))
    worlds = found(made)
    assert worlds.worlds.policies == 6
    assert {name for name, _, _ in worlds.rates} == {"act", "bc", *(p.name for p in OTHERS)}


def test_without_simulated_runs_the_report_says_so(tmp_path: Path) -> None:
    made = MadeSession(tmp_path, blocks=4)
    (policy, _) = found(made).policies
    assert policy.simulated is None
    assert policy.powered is None
    page = session_page(made.closed(), [tmp_path / "nowhere"])
    assert "not simulated" in page
    assert "no policy in both worlds" in page


def test_a_run_of_other_weights_or_another_protocol_is_no_pair(tmp_path: Path) -> None:
    made = MadeSession(tmp_path, blocks=4, simulated=20)
    made.write_simulated()
    closed = made.closed()
    entry = dict(closed.policies["act"])
    other = {**closed.policies, "act": {**entry, "hashes": {"weights": "f" * 64}}}
    shown = found(made, replace(closed, policies=other))
    assert {p.name: p.simulated is None for p in shown.policies} == {"act": True, "bc": False}
    lock = {**closed.lock, "protocol": "0" * 64}
    assert runs_of(replace(closed, lock=lock), [tmp_path / "results"]) == []


def test_one_policy_alone_is_reported_without_a_test(tmp_path: Path) -> None:
    made = MadeSession(tmp_path, (GOOD,), blocks=5, simulated=20)
    page = session_page(made.closed(), [])
    assert "There was nothing to compare." in page


def test_a_session_that_ended_before_a_block_was_complete_has_a_report(tmp_path: Path) -> None:
    made = MadeSession(tmp_path, blocks=3)
    closed = made.closed(path=(), ratings={}, ended="the gripper broke", runs={})
    none = tuple(replace(t, counted=False, labels=None, void="not finished") for t in closed.trials)
    page = session_page(replace(closed, trials=none), [])
    assert "There was nothing to compare." in page
    assert "Nobody else rated a trial." in page
    empty = session_page(replace(closed, trials=(), policies={}, permission={}), [])
    assert "The gripper broke" in empty


def test_raters_are_compared_with_kappa(made: MadeSession) -> None:
    kappa = found(made).kappa
    assert set(kappa) == {"second", "automatic"}
    assert kappa["second"].value == 1.0
    assert kappa["automatic"].n == 2 * made.blocks
    assert kappa["automatic"].agreed == 2 * made.blocks - 2


def test_what_a_record_says_is_escaped_and_the_path_is_drawn(made: MadeSession) -> None:
    page = session_page(made.closed(deviations=("<script>alert(1)</script>",)), [])
    assert "<script>alert(1)" not in page
    assert "2 mm &lt;b&gt;" in page
    specs = re.findall(r'class="spec" data-for="chart-path-1">(.*?)</script>', page)
    drawn = json.loads(specs[0])
    last = [v for v in drawn["layer"][1]["data"]["values"]][-1]
    assert last["block"] == made.closed().path[-1].block


def test_films_of_one_start_stand_side_by_side(tmp_path: Path) -> None:
    made = MadeSession(tmp_path, blocks=4, simulated=20, films=1)
    replace(made.maker, videos=True).write(GOOD, 0)
    made.maker.write(POOR, 0)
    shown = {p.name: p for p in found(made).policies}
    filmed = [ic for ic in range(20) if simulated_film(shown["act"], ic)]
    assert filmed  # those that were kept with the run
    assert simulated_film(shown["bc"], 0) == ""
    page = write_session(made.closed(), [tmp_path / "results"], tmp_path / "out").read_text("utf-8")
    assert page.count('class="beside"') == 2
    assert "No film of the simulated trial was kept" in page
