"""The gate knows whose scaling a policy has: its own demonstrations', a stream's, or its base's."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from benchmarks.gate import planted, recorded
from benchmarks.gate.check import FAIL, NOT_RUN, PASS, Check
from benchmarks.gate.recorded import stream_of
from benchmarks.gate.run import Gate, GateConfig, Passage, write_verdict
from envs.collect import collect
from envs.collection import Collection, from_definition
from envs.errors import UsageError
from policies.checkpoint import load_checkpoint
from policies.lora import LoraConfig
from policies.stream import StreamConfig, stream_again
from policies.train import train
from policies.train_config import TrainConfig

COLLECTION = Collection("pick_place", variations=(("home_pose", "L1"),), seed=3)
STREAM = StreamConfig(COLLECTION, window=3, refresh=1)


class Made(NamedTuple):
    """Folders of demonstrations, and checkpoints by how they came about."""

    arm: Path
    other: Path
    policies: dict[str, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("pretrained")
    arm, other = folder / "arm", folder / "other"
    collect(Collection("pick_place", gap="hard"), 3, arm)
    collect(Collection("pick_place", seed=9), 3, other)

    def fit(name: str, data: Path | None, begin: str = "", lora: bool = False) -> Path:
        config = TrainConfig(
            "bc", data, folder / name, preset="quick", steps=2, batch=8,
            stream=None if data else STREAM, initial=folder / begin if begin else None,
            lora=LoraConfig(rank=2) if lora else None,
        )  # fmt: skip
        return train(config)

    policies = {"streamed": fit("streamed", None), "plain": fit("plain", other)}
    policies["tuned"] = fit("tuned", arm, "streamed")
    policies["tuned twice"] = fit("twice", arm, "tuned")
    policies["adapted"] = fit("adapted", arm, "plain", lora=True)
    return Made(arm, other, policies)


def statistics(policy: Path, data: Path | None = None, base: tuple[Path, ...] = ()) -> Check:
    """Return what the gate says of a policy's statistics."""
    gate = Gate(GateConfig(policy, data=data, base_data=base, observations=20))
    checks: list[Check] = []
    loaded = gate._load(checks.append)
    assert loaded is not None
    gate._static(loaded, checks.append)
    (found,) = (check for check in checks if check.name == "statistics")
    return found


@pytest.mark.parametrize("name", ["tuned", "tuned twice"])
def test_the_scaling_of_a_streamed_pre_training_is_computed_anew(made: Made, name: str) -> None:
    found = statistics(made.policies[name], made.arm)
    assert found.outcome == PASS, found.text
    assert "that it was pre-trained on" in found.text


def test_a_streamed_policy_is_held_against_its_stream_made_again(made: Made) -> None:
    assert statistics(made.policies["streamed"]).outcome == PASS
    found = statistics(made.policies["streamed"], made.arm)
    assert (found.outcome, found.cause) == (FAIL, "other training data")
    assert "leave --data out" in found.text


def test_a_pre_training_in_a_folder_is_asked_for_and_held_against_it(made: Made) -> None:
    adapted = made.policies["adapted"]
    asked = statistics(adapted, made.arm)
    assert asked.outcome == NOT_RUN
    assert "--base-data" in asked.text
    assert statistics(adapted, made.arm, (made.other,)).outcome == PASS
    wrong = statistics(adapted, made.arm, (made.arm,))
    assert (wrong.outcome, wrong.cause) == (FAIL, "other training data")


def test_a_checkpoint_that_does_not_tell_whose_scaling_it_keeps_is_not_called_wrong(
    made: Made, tmp_path: Path
) -> None:
    older = tmp_path / "older"
    shutil.copytree(made.policies["tuned"], older)
    origin = json.loads((older / "provenance.json").read_text())
    del origin["scaling"]
    (older / "provenance.json").write_text(json.dumps(origin))
    found = statistics(older, made.arm)
    assert found.outcome == NOT_RUN
    assert "does not tell whose scaling it keeps" in found.text


def test_a_stream_that_cannot_be_made_again_leaves_the_check_out(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(told: object) -> StreamConfig:
        raise UsageError("the simulation that made them was another one")

    monkeypatch.setattr(recorded, "stream_again", refuse)
    for name, data in (("streamed", None), ("tuned", made.arm)):
        found = statistics(made.policies[name], data)
        assert (found.outcome, "was another one" in found.text) == (NOT_RUN, True)


def test_a_verdict_names_the_stream_that_was_made_again(made: Made, tmp_path: Path) -> None:
    config = GateConfig(made.policies["streamed"])
    fingerprint = load_checkpoint(config.policy).provenance["data"]["fingerprint"]
    for compared, named in ((True, fingerprint), (False, "none")):
        passage = Passage(NOT_RUN, "", (), 0.0, None, compared)
        verdict = json.loads(write_verdict(passage, config, tmp_path).read_bytes())
        assert verdict["inputs"]["data"] == named


def test_wrong_statistics_of_a_pre_trained_policy_are_still_found(
    made: Made, tmp_path: Path
) -> None:
    plant = planted.resaved(planted.with_stats(planted.wider))
    broken = plant(made.policies["tuned"], tmp_path / "broken")
    found = statistics(broken.folder, made.arm)
    assert (found.outcome, found.cause) == (FAIL, "wrong statistics")


def test_base_data_of_a_policy_that_began_anew_are_refused(made: Made) -> None:
    with pytest.raises(UsageError, match="was not pre-trained: leave --base-data out"):
        statistics(made.policies["plain"], made.other, (made.arm,))


def test_a_stream_made_again_has_the_steps_of_its_episodes_alone(made: Made) -> None:
    policy = load_checkpoint(made.policies["streamed"])
    data = stream_of(policy, policy.provenance["data"]["stream"])
    assert len(data) == 4  # three that are learned from, one held out
    assert len(data.actions) == data.lengths.sum() == len(data.steps(range(4)))
    assert np.array_equal(data.steps(range(4)), np.arange(data.lengths.sum()))
    assert np.abs(data.actions).max() < 4  # rad; no step is what lay in memory before
    first = (data.actions[data.starts], data.observations["qpos"][data.starts])
    assert np.allclose(*first, atol=0.2)


def test_a_stream_is_made_again_from_its_description_or_not_at_all() -> None:
    told = {
        "collection": COLLECTION.definition(),
        "identity": "0" * 64,
        "window": 3,
        "refresh": 1,
    }
    assert from_definition(COLLECTION.definition()) == COLLECTION
    with pytest.raises(UsageError, match="the simulation that made them was another one"):
        stream_again(told)
