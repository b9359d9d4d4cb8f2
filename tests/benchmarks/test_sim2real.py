"""Sim-to-real: how much simulation is seen before the twin, and that it is said."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.experiment import Ask
from benchmarks.experiment_run import Place, lines, run, work_of
from benchmarks.experiments import EXPERIMENTS
from benchmarks.experiments.sim2real import SERIES, TWIN, streamed
from benchmarks.protocol import DEV
from benchmarks.report.experiment_page import write_experiment
from envs.errors import UsageError

ASKED = EXPERIMENTS["sim2real"]


@contextmanager
def quiet(title: str, total: int) -> Iterator[object]:
    yield lambda n=1: None


@given(
    episodes=st.integers(2, 100_000),
    steps=st.integers(1, 100_000),
    window=st.integers(2, 200),
    refresh=st.integers(1, 20),
)
def test_a_training_sees_as_many_episodes_as_asked_for(
    episodes: int, steps: int, window: int, refresh: int
) -> None:
    held, every = streamed(episodes, steps, window, refresh)
    assert held + (steps - 1) // every == episodes
    assert held >= min(window, episodes)
    assert every >= 1
    assert streamed(None, steps, window, refresh) == (window, refresh)


@pytest.mark.parametrize(
    ("name", "asked", "told"),
    [
        ("sim2real", {"pretrain": 0}, "--pretrain must be at least 2 episodes, got 0"),
        ("sim2real", {"pretrain": -5}, "--pretrain must be at least 2 episodes, got -5"),
        ("modes", {"pretrain": 9}, "modes has no pre-training: leave out --pretrain"),
        ("modes", {"track": "pixels"}, "modes is of the track state, got 'pixels'"),
        ("camera_shift", {"track": "state"}, "camera_shift is of the track pixels, got 'state'"),
    ],
)
def test_what_the_question_cannot_be_asked_with_is_told(
    name: str, asked: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        EXPERIMENTS[name].grid(Ask(EXPERIMENTS[name].task, **asked))  # type: ignore[arg-type]


def test_with_pictures_all_trainings_see_them_and_those_randomised_have_other_light() -> None:
    cells = ASKED.grid(Ask("pick_place", track="pixels", pretrain=1000))
    for fit in work_of(cells).fits:
        made = fit.stream.collection if fit.stream else fit.demos.collection
        assert fit.track == "pixels"
        assert made.cameras
    name = SERIES[2].format(TWIN)
    varied = next(c.fit for c in cells if c.series == name).stream.collection.variations
    assert {"lighting", "camera_pose", "friction_mass"} <= {name for name, _ in varied}


def test_every_cell_records_how_much_it_learned_from(tmp_path: Path) -> None:
    ask = Ask("pick_place", trials=2, split=DEV, steps=3, algos=("bc",), at=("0", "10"), pretrain=4)
    results = run(ASKED, ask, Place(tmp_path, tmp_path), quiet)
    assert [(row["N"], row["in_memory"], row["M"]) for row in lines(results)] == [
        (4, 4, 0), (4, 4, 0), (0, 0, 10), (4, 4, 10), (4, 4, 10),
    ]  # fmt: skip
    page = write_experiment(ASKED, ask, results, tmp_path / "out", "armtrials experiment sim2real")
    assert "pre-training streams N = 4 simulated episodes in 3 gradient steps" in page.read_text()
    rows = list(csv.DictReader((tmp_path / "out" / "experiment.csv").read_text().splitlines()))
    assert [row["M"] for row in rows] == ["0", "0", "10", "10", "10"]
