"""DAgger: who acts, what is asked, what is learned."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from envs.arm import InitialCondition
from envs.episode import episode_files, read_episode
from envs.errors import UsageError
from policies.checkpoint import load_checkpoint
from policies.dagger import dagger
from policies.dagger_config import DaggerConfig
from policies.dagger_visits import Visit, spend
from policies.dataset import EpisodeSet, Reading
from policies.train import train
from policies.train_config import TrainConfig
from policies.windows import Sampler

N = 2


@pytest.fixture
def config(small: None, tmp_path: Path) -> DaggerConfig:
    """Two rounds after the first, in a few seconds."""
    return DaggerConfig(
        "pick_place", tmp_path / "run", rounds=2, labels=240, episodes=12, preset="quick", steps=20,
        schedule="exponential", decay=0.01,
    )  # fmt: skip


def contents(folder: Path) -> dict[str, str]:
    """Return the digests of data, table and weights."""
    paths = [*folder.glob("data/*"), *folder.glob("rounds/*/model.safetensors")]
    digests = {p.relative_to(folder): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}
    return {str(k): v for k, v in sorted(digests.items())}


def test_a_run_gives_the_same_bytes_with_other_workers_and_after_an_interruption(config) -> None:
    rows = dagger(config)

    class StopError(Exception):
        pass

    def stop(folder: Path) -> dict[str, int]:
        if folder.name == "01":
            raise StopError
        return {"successes": 0, "trials": 1}

    other = replace(config, out=config.out.with_name("other"), workers=2)
    with pytest.raises(StopError):
        dagger(other, measure=stop)
    again = dagger(other, measure=lambda folder: {"successes": 0, "trials": 1})
    assert contents(config.out) == contents(other.out)
    assert [row.pop("measured") for row in again] == [{"successes": 0, "trials": 1}] * 3
    assert again == rows
    _check_rows(config, rows)
    _check_marks(config, rows)


def _check_rows(config: DaggerConfig, rows) -> None:
    assert [row["total"] for row in rows] == [80, 160, 240]
    assert rows[0]["acted"] == rows[0]["labels"] == 80
    assert 0 < rows[1]["acted"] < 80
    assert [row["beta"] for row in rows] == pytest.approx([1, 0.01, 0.0001])


def _check_marks(config: DaggerConfig, rows) -> None:
    """What the expert did was commanded; all labels are counted; nothing else is learned."""
    episodes = [read_episode(path) for path in episode_files(config.out / "data")]
    assert sum(int(e.marks.asked.sum()) for e in episodes) == 240
    assert sum(int(e.marks.acted.sum()) for e in episodes) == sum(row["acted"] for row in rows)
    moved = load_checkpoint(config.checkpoint(2)).provenance["data"]
    assert len(moved["train"]) == len(episodes)
    assert any((e.marks.asked & ~e.marks.acted).any() for e in episodes)


def test_the_weights_go_on_from_the_round_before(config) -> None:
    dagger(replace(config, rounds=1, labels=120))
    weights = [load_checkpoint(config.checkpoint(r)).algorithm.state_dict() for r in (0, 1)]
    alone = replace(config.training(1), initial=None, steps=20, out=config.out / "alone")
    fresh = train(alone)
    other = load_checkpoint(fresh).algorithm.state_dict()
    name = "trunk.3.weight"
    near = (weights[1][name] - weights[0][name]).norm()
    assert near < 0.5 * (weights[1][name] - other[name]).norm()
    assert (
        load_checkpoint(config.checkpoint(0)).hashes["stats"]
        == (load_checkpoint(config.checkpoint(1)).hashes["stats"])
    )


def test_another_run_in_the_folder_is_refused(config) -> None:
    small = replace(config, rounds=0, labels=20)
    dagger(small)
    with pytest.raises(UsageError, match=r"another labels: 20 there, 30 asked for"):
        dagger(replace(small, labels=30))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "wipe", "robot": ""}, r"expert of wipe .* can: pick_place, .*two_ways"),
        ({"task": "pick_plaice", "robot": ""}, "unknown task 'pick_plaice'"),
        ({"schedule": "sometimes"}, "unknown schedule 'sometimes'; known: expert, exponential"),
        ({"labels": 2}, "labels must be more than rounds 2, got 2"),
        ({"episodes": 0}, "episodes must be at least 1"),
        ({"decay": 1.5}, "decay must be 0..1, got 1.5"),
        ({"algo": "bcc"}, "unknown algorithm 'bcc'"),
        ({"algo": "gail"}, "gail does not learn from labels of single steps"),
    ],
)
def test_what_cannot_be_is_refused_with_the_rule(config, change, message) -> None:
    with pytest.raises(UsageError, match=message):
        dagger(replace(config, **change))
    assert not (config.out / "data").exists()


@pytest.mark.parametrize(
    ("schedule", "betas"),
    [
        ("indicator", [1, 0, 0, 0, 0]),
        ("linear", [1, 0.75, 0.5, 0.25, 0]),
        ("exponential", [1, 0.7, 0.49, 0.343, 0.2401]),
        ("expert", [1, 1, 1, 1, 1]),
    ],
)
def test_the_expert_acts_in_round_0_and_then_as_the_schedule_says(schedule, betas) -> None:
    config = DaggerConfig("pick_place", Path("out"), rounds=4, schedule=schedule, decay=0.7)
    assert [config.beta(r) for r in range(5)] == pytest.approx(betas)


@given(st.integers(1, 5000), st.integers(0, 20))
def test_the_rounds_share_the_labels_and_none_is_lost(labels: int, rounds: int) -> None:
    assume(labels > rounds)
    config = DaggerConfig("pick_place", Path("out"), rounds=rounds, labels=labels)
    quotas = [config.quota(r) for r in range(rounds + 1)]
    assert sum(quotas) == labels
    assert max(quotas) - min(quotas) <= 1


def visit(index: int, acted: list[bool]) -> Visit:
    steps = len(acted)
    zeros = np.zeros((steps, N), np.float32)
    start = InitialCondition((0.0,) * N, {})
    return Visit(index, start, {"qpos": zeros}, zeros, zeros, np.array(acted), zeros, zeros, True)


@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=30), min_size=1, max_size=5),
    st.integers(0, 120),
    st.integers(1, 7),
)
def test_the_budget_is_spent_and_never_passed(turns, budget: int, run: int) -> None:
    visits = [visit(i, acted) for i, acted in enumerate(turns)]
    chosen = spend(visits, budget, run, np.random.default_rng(0))
    asked = sum(int(mask.sum()) for _, mask in chosen)
    whole = [v for v, _ in chosen] == visits
    assert asked <= budget
    assert asked == budget or (whole and asked == sum(map(len, turns)))
    for kept, mask in chosen:
        assert (mask | ~kept.acted).all()  # what was carried out is a label


def test_questions_come_in_runs_as_long_as_a_chunk() -> None:
    ((_, mask),) = spend([visit(0, [False] * 100)], 40, 10, np.random.default_rng(1))
    assert mask.reshape(10, 10).sum(axis=1).tolist().count(10) == 4


def test_windows_begin_at_labels_alone_and_hold_the_experts_actions(config) -> None:
    dagger(replace(config, schedule="indicator", rounds=1, labels=100))
    data = EpisodeSet.load(config.out / "data", Reading(validation=0.0))
    episodes = [read_episode(config.out / "data" / name) for name in data.names]
    taught = {row.tobytes() for e in episodes for row in e.marks.actions[e.marks.asked]}
    batch = Sampler(data, data.train, 1, 4).batch(np.random.default_rng(0), 300)
    assert not batch["pad"][:, 0].any()
    assert batch["pad"][:, 1:].any()
    assert {row.tobytes() for row in batch["action"][~batch["pad"]]} <= taught


def test_training_cannot_begin_with_another_kind_of_policy(config, demos, tmp_path) -> None:
    first = train(TrainConfig("bc", demos(), tmp_path / "first", preset="quick", steps=2))
    dagger(replace(config, rounds=0, labels=20))
    with pytest.raises(UsageError, match="its arm must be viperx, got toy"):
        train(
            TrainConfig("bc", config.out / "data", tmp_path / "second", preset="quick", steps=2,
                        initial=first)
        )  # fmt: skip
