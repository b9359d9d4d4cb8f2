"""The experiment about wrong statistics: what loading and the gate say of each mistake."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from benchmarks.experiment import Ask, Cell, Result
from benchmarks.experiment_run import Place, lines, run
from benchmarks.experiments import EXPERIMENTS
from benchmarks.protocol import DEV

ASKED = EXPERIMENTS["normalisation"]
NAMED = {"offset": "wrong statistics", "mode": "normalised by minmax, trained with meanstd"}


@contextmanager
def quiet(title: str, total: int) -> Iterator[object]:
    yield lambda n=1: None


def small(ask: Ask) -> list[Cell]:
    """The grid's own cells with few demonstrations, right and with two of the mistakes."""
    fit = ask.fit("bc", ask.demos(6))
    return [replace(c, fit=fit) for c in ASKED.cells(ask) if c.damage in ("", *NAMED)]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ask, list[Result]]:
    folder = tmp_path_factory.mktemp("normalisation")
    ask = Ask("pick_place", trials=2, split=DEV, steps=300, algos=("bc",))
    return ask, run(replace(ASKED, cells=small), ask, Place(folder, folder), quiet)


def test_the_gate_names_the_mistake_of_a_policy_made_whole(done: tuple[Ask, list[Result]]) -> None:
    _, results = done
    found = {row["x"]: row for row in lines(results)}
    for mistake, cause in NAMED.items():
        assert found[mistake]["refused"]
        assert (found[mistake]["gate"], found[mistake]["cause"]) == ("refuses", cause)
    assert found["right"]["refused"] is None
    assert found["right"]["cause"] not in NAMED.values()


def test_the_table_says_what_loading_and_the_gate_say(done: tuple[Ask, list[Result]]) -> None:
    ask, results = done
    passing = {"gate": "finds nothing", "cause": ""}
    results = [r if r.cell.damage else replace(r, extra={**r.extra, **passing}) for r in results]
    told = ASKED.conclude(ask, results)
    assert told.said[-2:] == [
        "loading refuses 2 of 2 checkpoints whose statistics were replaced",
        "the gate refuses 2 of 2 policies with wrong statistics, and 0 of 1 with the right ones",
    ]
    [table] = told.tables
    assert table.heads[-2:] == ("gate if made whole", "cause it names")
    assert [row[1] for row in table.rows] == ["right", "offset", "mode"]
    assert [row[-3:] for row in table.rows] == [
        ("loads", "finds nothing", "\u2013"),
        *(("refused", "refuses", cause) for cause in NAMED.values()),
    ]
