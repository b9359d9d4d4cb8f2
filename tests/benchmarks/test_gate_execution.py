"""A verdict holds for the way in which chunks were carried out, and says how to get another."""

import shlex
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from benchmarks.execution import Execution, Wanted
from benchmarks.gate.check import NAMES, PASS, passed
from benchmarks.gate.run import Gate, GateConfig, Passage, write_verdict
from benchmarks.gate.verdict import EXECUTION, Use, read_verdict, require_verdict
from envs.collect import collect
from envs.collection import Collection
from envs.errors import UsageError
from policies.train import train
from policies.train_config import TrainConfig
from scripts.gate import Gate as Command
from scripts.main import main

OWN = 40


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with chunks of 80 actions, of which it carries out 40."""
    folder = tmp_path_factory.mktemp("gate_execution")
    collect(Collection(task="pick_place"), 3, folder / "data", 1)
    config = TrainConfig(
        algo="act", data=folder / "data", out=folder / "act", preset="quick", steps=1, batch=2,
        validation=0.3, device="cpu", chunk=80,
    )  # fmt: skip
    return train(config)


def given(policy: Path, out: Path, execution: Execution | None) -> Path:
    """Write a verdict that passed under some settings, None: one from before they were kept."""
    passage = Passage(PASS, "", tuple(passed(name, "fine") for name in NAMES), 1.0, execution)
    return write_verdict(passage, GateConfig(policy), out)


def leave(verdict: Path, policy: Path, wanted: Wanted | None) -> str:
    """Return the verdict that permits it; None: the policy's own settings."""
    from policies.checkpoint import load_checkpoint

    spec = load_checkpoint(policy).spec
    execution = None if wanted is None else wanted.execution(spec).to_json()
    return require_verdict(verdict, Use(policy, "viperx", execution=execution)).verdict


def test_the_gate_keeps_under_what_it_was_passed(policy: Path, tmp_path: Path) -> None:
    config = GateConfig(policy, trials=3, wanted=Wanted(ensemble=0.1, delay=4))
    gate = Gate(config)
    gate._load(lambda check: None)
    passage = Passage(PASS, "", (), 0.0, gate.execution)
    kept = read_verdict(write_verdict(passage, config, tmp_path))[EXECUTION]
    assert kept == {"execute": 4, "ensemble": 0.1, "batch": 3, "delay": 4}


@pytest.mark.parametrize(
    "wanted", [Wanted(), Wanted(10), Wanted(delay=5), Wanted(ensemble=0.0), Wanted(8, 0.1, 3)]
)
def test_a_verdict_holds_for_the_settings_it_was_given_under(
    policy: Path, tmp_path: Path, wanted: Wanted
) -> None:
    from policies.checkpoint import load_checkpoint

    execution = wanted.execution(load_checkpoint(policy).spec, batch=50)
    verdict = given(policy, tmp_path, execution)
    assert leave(verdict, policy, wanted)
    other = Wanted(11) if wanted == Wanted() else Wanted()
    with pytest.raises(UsageError, match="the verdict was given under"):
        leave(verdict, policy, other)


@pytest.mark.parametrize("execution", [None, Execution(OWN)])
def test_an_older_verdict_is_of_the_policys_own_settings(
    policy: Path, tmp_path: Path, execution: Execution | None
) -> None:
    verdict = given(policy, tmp_path, execution)
    assert leave(verdict, policy, None)
    assert leave(verdict, policy, Wanted())
    assert leave(verdict, policy, Wanted(OWN))
    with pytest.raises(UsageError, match=f"given under execute {OWN}, this runs with execute 10"):
        leave(verdict, policy, Wanted(10))
    with pytest.raises(UsageError, match="ddim_steps own, this runs with ddim_steps 4"):
        leave(verdict, policy, Wanted(ddim_steps=4))


def test_the_policys_own_settings_are_meant_where_none_are_named(
    policy: Path, tmp_path: Path
) -> None:
    verdict = given(policy, tmp_path, Execution(OWN, delay=3))
    with pytest.raises(UsageError, match="given under delay 3, this runs with delay 0"):
        leave(verdict, policy, None)


def test_the_command_that_is_named_makes_the_verdict_that_is_wanted(
    policy: Path, tmp_path: Path
) -> None:
    import tyro

    calibration = tmp_path / "my calibration.json"
    calibration.write_text("{}")
    passage = Passage(PASS, "", tuple(passed(name, "fine") for name in NAMES), 1.0)
    config = GateConfig(policy, calibration=calibration)
    verdict = write_verdict(passage, config, tmp_path / "gate")
    asked: dict[str, Any] = Execution(8, 0.1, 1, 3, 4, "dpm").to_json()
    with pytest.raises(UsageError, match="make one: armtrials gate") as found:
        require_verdict(verdict, Use(policy, "viperx", calibration, asked))
    words = shlex.split(str(found.value).split("make one: ")[1].split(" (or give")[0])
    command = tyro.cli(Command, args=words[2:])
    told = (Path(command.policy), command.calibration, command.out)
    assert told == (policy, calibration, verdict.parent)
    assert astuple(command.chunks) == (8, 0.1, 3, 4, "dpm")


def test_an_arm_is_not_driven_otherwise_than_the_gate_saw_it(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = given(policy, tmp_path, Execution(OWN))
    words = ["deploy", "--policy", str(policy), "--out", str(tmp_path / "log")]
    words += ["--port", str(tmp_path / "no_such_port"), "--verdict", str(verdict)]
    assert main([*words, "--execute", "10"]) == 2
    assert f"under execute {OWN}, this runs with execute 10" in capsys.readouterr().err
    assert main(words) == 2
    assert "nobody sees it" in capsys.readouterr().err  # permitted: the next check refuses it


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--execute", "81"), "execute must be in 1..chunk=80, got 81"),
        (("--delay", "41"), "delay must be in 0..40, got 41"),
        (("--ensemble", "-1"), "ensemble must be 0 or more"),
        (("--ddim-steps", "4"), "ddim_steps belongs to a diffusion policy"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_runs(
    policy: Path, words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gate", "--policy", str(policy), *words]) == 2
    assert told in capsys.readouterr().err
