"""Diagnosis: small runs in which each of the five faults was planted, and where to go next."""

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import benchmarks.run as running
from benchmarks.diagnose import REMEDIES, UNSEEN, Diagnosis, diagnose
from benchmarks.failures import AVERAGE, ERROR, HARDWARE, RESETS, SHIFT
from benchmarks.origins import checkpoint_of, demonstrations_of
from benchmarks.planted import CAUSES, Found, Plant, confusion, plants
from benchmarks.propose import propose
from benchmarks.protocol import DEV
from benchmarks.records import read_run
from benchmarks.report.diagnose_page import write_diagnosis
from benchmarks.retrace import demonstrations, retrace
from benchmarks.run import EvaluateConfig, evaluate
from benchmarks.suspects import LEAST, UNDECIDED, Sign, Suspect, verdict
from benchmarks.symptoms import _two
from envs.arm import Array
from envs.collect import collect
from envs.collection import Collection
from envs.demonstrate import Demonstrator
from envs.errors import UsageError
from envs.feasible import checker
from envs.robots import ROBOTS
from envs.starts_file import read_starts
from envs.tasks import TASKS
from policies.base import PolicySpec
from policies.dataset import EpisodeSet, Reading
from policies.train import train
from policies.train_config import TrainConfig
from scripts import main as cli
from scripts import tables

TRIALS, EPISODES = 5, 12


def tried(folder: Path, policy: str, protocol: str = "pick_place/v1", **how: object) -> Path:
    config = EvaluateConfig(
        policy, protocol, results=folder, trials=TRIALS, split=DEV, videos="none",
        conditions=("nominal",),
    )  # fmt: skip
    return evaluate(replace(config, **how)).folder  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diagnose")
    collect(Collection("pick_place"), EPISODES, folder / "data")
    return folder


def test_an_arm_that_answers_otherwise_is_a_hardware_mismatch(place: Path) -> None:
    replay = f"floor:replay:{place / 'data'}"
    found = diagnose(tried(place, replay, "pick_place/v1+twin-hard"), place / "data")
    assert found.cause == HARDWARE
    assert found.answer.delay >= 3  # 60 ms of latency, and a weaker servo besides
    assert f"delay {20 * found.answer.delay} ms" in found.suspects[1].evidence
    assert found.notes == ["Statistics and predictions were not looked at: give --policy for that."]


Knows = Callable[[Mapping[str, Array]], bool]


class Knowing:
    """Does what the expert would from where things begin, if it knows the place.

    Else it stays, or plays ``otherwise`` (steps, n).
    """

    name = "knowing"

    def __init__(self, data: EpisodeSet, knows: Knows, otherwise: Array | None = None) -> None:
        arm, task = ROBOTS["viperx"].spec(), TASKS[data.meta.task]
        shapes = {key: value.shape[1:] for key, value in data.observations.items()}
        steps = task.horizon
        self.spec = PolicySpec(
            arm.name, arm.joints, 50.0, task.name, "state", shapes, 1, steps, steps
        )
        self.data, self.knows, self.otherwise = data.provenance(), knows, otherwise
        self.usual = Collection(task.name).start(0)

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        pass

    def act(self, obs: Mapping[str, Array]) -> Array:
        rows = [{key: value[i, -1] for key, value in obs.items()} for i in range(len(obs["qpos"]))]
        return np.stack([held(self._chunk(row), self.spec.chunk) for row in rows])

    def _chunk(self, seen: Mapping[str, Array]) -> Array:
        if not self.knows(seen):
            return seen["qpos"][None] if self.otherwise is None else self.otherwise
        things = {
            key.removeprefix("objects/"): tuple(map(float, value))
            for key, value in seen.items()
            if key.startswith("objects/")
        }
        begin = replace(self.usual, objects={**self.usual.objects, **things})
        return Demonstrator(Collection(self.spec.task, starts=(begin,))).episode(0).actions


def held(actions: Array, steps: int) -> Array:
    """Return ``steps`` actions, the last one repeated."""
    return actions[np.minimum(np.arange(steps), len(actions) - 1)].astype(np.float32)


@pytest.fixture(scope="module")
def shifted(place: Path) -> Diagnosis:
    box = TASKS["pick_place"].region_on(ROBOTS["viperx"].spec())
    data = EpisodeSet.load(place / "data", Reading("state"))

    def inside(seen: Mapping[str, Array]) -> bool:
        cube = seen["objects/cube"]
        return box.x[0] <= cube[0] <= box.x[1] and box.y[0] <= cube[1] <= box.y[1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "load", lambda config: Knowing(data, inside))
        run = tried(place, "floor:knowing", conditions=("nominal", "object_pose/L3"))
    return diagnose(run, place / "data", condition="object_pose/L3")


def test_starts_outside_of_the_training_box_are_distribution_shift(shifted: Diagnosis) -> None:
    assert shifted.cause == SHIFT, shifted.suspects
    assert shifted.starts.outside.all()
    assert shifted.answer.apart.max() == 0


def test_demonstrations_from_one_corner_are_insufficient_resets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = TASKS["pick_place"].region_on(ROBOTS["viperx"].spec())
    drawn = [Collection("pick_place", seed=5).start(i) for i in range(60)]
    half = [s for s in drawn if s.objects["cube"][1] > np.mean(box.y) + 0.02]
    collect(Collection("pick_place", starts=tuple(half)), 12, tmp_path / "data")
    data = EpisodeSet.load(tmp_path / "data", Reading("state"))
    policy = Knowing(data, lambda seen: seen["objects/cube"][1] > np.mean(box.y))
    monkeypatch.setattr(running, "load", lambda config: policy)
    found = diagnose(tried(tmp_path, "floor:knowing", trials=20), tmp_path / "data")
    assert found.cause == RESETS, found.suspects


def test_a_policy_hardly_trained_errs_in_the_demonstrations_own_states(place: Path) -> None:
    config = TrainConfig("bc", place / "data", place / "bc", preset="quick", steps=4)
    policy = train(config)
    run = tried(place, str(policy))
    found = diagnose(run, place / "data", policy)
    assert found.cause == ERROR
    assert "statistics as the demonstrations ask for" in found.suspects[0].evidence
    unseen = diagnose(run, place / "data")
    assert (unseen.cause, unseen.remedy) == (UNDECIDED, UNSEEN), unseen.suspects
    other = train(TrainConfig("bc", place / "data", place / "other", preset="quick", steps=3))
    with pytest.raises(UsageError, match="is not the policy of this run"):
        diagnose(run, place / "data", other)


def test_a_mean_of_two_ways_is_mode_averaging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(Collection("two_ways"), 20, tmp_path / "data")
    data = EpisodeSet.load(tmp_path / "data", Reading("state"))
    walks = demonstrations(data)
    mean = np.mean([held(w.actions, max(map(len, walks))) for w in walks], axis=0)
    edge = float(np.quantile([w.observations["objects/post"][0][1] for w in walks], 0.7))
    plants: tuple[tuple[Knows, str], ...] = (
        (lambda seen: seen["objects/post"][1] > edge, AVERAGE),
        (lambda seen: False, UNDECIDED),
    )
    for knows, cause in plants:
        policy = Knowing(data, knows, mean)
        monkeypatch.setattr(running, "load", lambda config: policy)  # noqa: B023
        run = tried(tmp_path, "floor:mean", "two_ways/v1", trials=16, name=cause)
        found = diagnose(run, tmp_path / "data")
        assert found.cause == cause, found.suspects
        assert found.modes.separation > 4.5
        assert "go two ways" in found.suspects[4].evidence


def test_the_trials_are_stepped_again_to_their_recorded_ends(shifted: Diagnosis) -> None:
    assert len(shifted.walks) == TRIALS
    for walk in shifted.walks:
        assert walk.observations["qpos"].shape == walk.actions.shape
        assert np.allclose(walk.observations["qpos"][0], walk.start.qpos, atol=0.05)


def test_another_simulation_than_the_recorded_one_is_refused(place: Path) -> None:
    folder = tried(place, f"floor:replay:{place / 'data'}")
    run = read_run(folder)
    edited = [{**trial, "final_sha256": "0" * 64} for trial in run.trials[:2]]
    with pytest.raises(UsageError, match="does not come to its recorded end"):
        retrace(run, edited)


def test_other_demonstrations_and_too_few_failures_are_refused(place: Path, tmp_path: Path) -> None:
    collect(Collection("pick_place", seed=9), 2, tmp_path / "other")
    run = tried(place, f"floor:replay:{place / 'data'}")
    with pytest.raises(UsageError, match="learned from other demonstrations"):
        diagnose(run, tmp_path / "other")
    with pytest.raises(UsageError, match="the run has no condition 'rain/L1'; known: nominal"):
        diagnose(run, place / "data", condition="rain/L1")
    few = tried(place, f"floor:replay:{place / 'data'}", trials=2)
    with pytest.raises(UsageError, match="at least 5 failures are needed"):
        diagnose(few, place / "data")


def test_a_run_without_trajectories_is_refused_with_the_command_that_makes_one(
    place: Path,
) -> None:
    sealed = next((tables.RESULTS / "runs" / "two_ways_v1").glob("bc_rnn-*"))
    told = (
        "has no trajectories; runs that are committed are kept without them.*"
        "armtrials evaluate --policy CHECKPOINT --protocol two_ways/v1 --conditions nominal"
    )
    with pytest.raises(UsageError, match=told):
        diagnose(sealed, place / "data", condition="nominal")
    made = tried(place, f"floor:replay:{place / 'data'}", name="bare")
    for stored in (made / "trajectories").iterdir():
        stored.unlink()
    with pytest.raises(UsageError, match=rf"--conditions nominal .*--split {DEV}"):
        diagnose(made, place / "data")


def test_the_policies_recommended_against_averaging_were_measured_not_to_average() -> None:
    named = re.search(r"\((\w+(?:, \w+)*)\)", REMEDIES[AVERAGE])
    assert named is not None
    board = json.loads((tables.RESULTS / "leaderboard" / "leaderboard.json").read_text())
    rows = {
        row["name"]: row
        for table in board["tables"]
        if (table["task"], table["track"]) == ("two_ways", "state")
        for row in table["rows"]
    }
    for name in named[1].split(", "):
        assert rows[name]["ways"]["neither"] <= 5 < rows["bc"]["ways"]["neither"]
        assert rows[name]["nominal"]["low"] > rows["bc"]["nominal"]["high"]


def test_proposed_starts_can_be_demonstrated_and_are_no_starts_of_trials(
    shifted: Diagnosis, tmp_path: Path
) -> None:
    arm, task = ROBOTS["viperx"].spec(), TASKS["pick_place"]
    wanted = propose(task, arm, shifted.walks, shifted.shown, 5, np.random.default_rng(0))
    assert len(wanted) == 5
    check = checker(task, arm.name, 0)
    tried_at = np.array([w.start.objects["cube"][:2] for w in shifted.walks])
    for start in wanted:
        assert check.fault(start, 0.002) is None
        apart = np.linalg.norm(tried_at - np.array(start.objects["cube"][:2]), axis=1)
        assert 0 < apart.min() < 0.015
        assert start.factors == {}
    page = write_diagnosis(shifted, wanted, "viperx", tmp_path / "out")
    assert "Distribution shift" in page.read_text()
    stored = json.loads((tmp_path / "out" / "diagnosis.json").read_text())
    assert (stored["cause"], stored["proposed"]) == (SHIFT, 5)
    assert (tmp_path / "out" / "diagnosis.png").read_bytes()[:4] == b"\x89PNG"
    starts = read_starts(tmp_path / "out" / "next.json", "pick_place", "viperx")
    assert starts == tuple(wanted)
    report = collect(Collection("pick_place", starts=starts), 3, tmp_path / "next")
    assert report.episodes == 3
    with pytest.raises(UsageError, match="not wipe on viperx"):
        read_starts(tmp_path / "out" / "next.json", "wipe", "viperx")
    with pytest.raises(UsageError, match="is no file of starts"):
        read_starts(tmp_path / "out" / "diagnosis.json", "pick_place", "viperx")


shares = st.lists(st.floats(0, 1), min_size=5, max_size=5)


@settings(max_examples=60, deadline=None)
@given(shares, st.booleans())
def test_the_verdict_is_the_first_that_explains_half_or_the_most_or_is_left_open(
    given_shares: list[float], right: bool
) -> None:
    suspects = [Suspect(c, s, "") for c, s in zip(CAUSES, given_shares, strict=True)]
    cause = verdict(suspects, right)
    half = [c for c, s in zip(CAUSES, given_shares, strict=True) if s >= 0.5]
    if half:
        assert cause == half[0]
    elif max(given_shares) >= 0.2:
        assert dict(zip(CAUSES, given_shares, strict=True))[cause] == max(given_shares)
    else:
        assert cause == (SHIFT if right else UNDECIDED)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=5, max_size=40))
def test_a_sign_explains_nothing_where_trials_without_it_fail_as_often(shown: list[bool]) -> None:
    sign = np.array(shown)
    lost, none = np.ones(len(sign), bool), np.zeros(0, bool)
    assert Sign(sign, lost, none, 0).explained()[0] == 0
    assert Sign(sign, lost, np.ones(9, bool), 0).explained()[0] == 0
    others = Sign(sign, lost, np.zeros(9, bool), 0).explained()[0]
    assert others == 0 or (~sign).sum() < LEAST
    assert Sign(lost, lost, np.zeros(9, bool), 0).explained()[0] == 1
    assert Sign(lost, lost, none, 9).explained()[0] == 1


def test_demonstrations_and_checkpoint_are_found_by_their_hashes(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(place / "data", tmp_path / "project" / "data" / "pick")
    collect(Collection("pick_place", seed=9), EPISODES, tmp_path / "data")
    for name, steps in (("first", 2), ("second", 3)):
        out = tmp_path / "runs" / name
        train(TrainConfig("bc", place / "data", out, preset="quick", steps=steps))
    run = read_run(tried(tmp_path / "project", "runs/second"))
    assert checkpoint_of(run) == Path("runs/second")
    assert demonstrations_of(run) == tmp_path / "project" / "data" / "pick"
    assert cli.main(["diagnose", str(run.folder), "--propose", "0"]) == 0
    stored = json.loads((tmp_path / "diagnosis" / run.folder.name / "diagnosis.json").read_text())
    assert stored["cause"] == ERROR
    shutil.rmtree(tmp_path / "project" / "data")
    shutil.rmtree(tmp_path / "runs" / "second")
    assert checkpoint_of(run) is None
    with pytest.raises(UsageError, match=r"learned from are not in data, .*: give their folder"):
        demonstrations_of(run)


@settings(max_examples=40, deadline=None)
@given(st.integers(12, 60), st.integers(0, 10_000))
def test_one_cloud_is_not_taken_for_two_ways(count: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=count)
    apart, low, high = _two(np.concatenate([values / 20, values / 20 + 1]))
    assert apart > 4.5
    assert high - low == pytest.approx(1, abs=0.2)
    assert _two(np.linspace(0, 1, count))[0] < 4.5


def test_the_confusion_table_counts_what_was_named() -> None:
    chosen = plants("quick", (0,))
    assert {plant.cause for plant in chosen} == {*CAUSES, UNDECIDED}
    assert len({plant.name for plant in chosen}) == len(chosen) >= 18
    first, second = chosen[0], next(p for p in chosen if p.cause == HARDWARE)
    found = [Found(first, ERROR, 9, 9), Found(second, SHIFT, 9, 9), Found(first, "", 2, 9)]
    table = confusion(found)
    assert (table[ERROR][ERROR], table[HARDWARE][SHIFT]) == (1, 1)
    assert sum(n for row in table.values() for n in row.values()) == 2
    assert [one.right for one in found] == [True, False, False]
    assert isinstance(first, Plant)
