"""How a session carries chunks out: locked, asked of verdicts, done in its trials."""

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.execution import Wanted
from benchmarks.gate import verdict as gate
from benchmarks.gate.check import PASS
from benchmarks.lines import canonical, digest, parse
from benchmarks.records import read_run, verify_run
from benchmarks.session.closing import read_closed
from benchmarks.session.lock import LOCK, Driver, Terms, artefact_of, read_lock
from benchmarks.session.opening import open_session, permit
from envs.errors import UsageError
from envs.tasks import TASKS
from policies.background import THREAD
from scripts.main import main
from tests.benchmarks.made_checkpoint import make_checkpoint
from tests.benchmarks.session.stand_in import lock_session

WORDS = ("--execute", "5", "--delay", "3", "--ddim-steps", "4", "--sampler", "dpm")
ASKED = {"execute": 5, "delay": 3, "ddim_steps": 4, "sampler": "dpm"}
STEPS = 14


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("execution") / "zebra", algorithm="diffusion")


def lock(policy: Path, out: Path, *words: str) -> int:
    given = ["--policy", str(policy), "--twin", "--out", str(out), "--blocks", "1"]
    return main(["session", "lock", *given, "--results", str(out / "evaluations"), *words])


def test_trials_are_carried_out_as_locked(
    policy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("dynamixel_easy_sdk")
    monkeypatch.setattr(type(TASKS["pick_place"]), "horizon", STEPS)
    out = tmp_path / "session"
    assert lock(policy, out, *WORDS, "--share", "0.01") == 0
    assert (
        "at most 1 blocks, ddim_steps 4, delay 3, execute 5, sampler dpm" in capsys.readouterr().out
    )
    assert json.loads((out / LOCK).read_text())["terms"]["execution"] == ASKED
    assert main(["session", "run", str(out), "--script"]) == 0
    assert [one for one in threading.enumerate() if one.name.startswith(THREAD)] == []
    (folder,) = read_closed(out).runs.values()
    assert verify_run(folder) == []
    run = read_run(folder)
    assert run.manifest["execution"] == {**ASKED, "chunk": 16, "ensemble": None, "batch": 1}
    (kept,) = (out / "trials").glob("*.npz")
    with np.load(kept) as stored:
        actions = stored["actions"]
    assert len(actions) == STEPS
    assert (np.diff(actions[:3], axis=0) == 0).all()  # held until the first prediction is there
    assert (np.diff(actions[2:5], axis=0) != 0).any(axis=1).all()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--execute", "17"), "execute must be in 1..chunk=16, got 17"),
        (("--delay", "9"), "delay must be in 0..8, got 9"),
        (("--delay", "-1"), "delay must be 0 or more, got -1"),
        (("--delay", "4", "--execute", "3"), "delay must be in 0..execute=3"),
        (("--ensemble", "-1"), "ensemble must be 0 or more"),
        (("--ddim-steps", "0"), "--ddim-steps must be in 1..levels="),
    ],
)
def test_settings_that_cannot_be_are_refused_in_the_words_of_deploy(
    policy: Path, words: tuple[str, ...], told: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert lock(policy, tmp_path / "s", *words) == 2
    here = capsys.readouterr().err
    assert told in here
    given = ["deploy", "--policy", str(policy), "--twin", "--out", str(tmp_path / "log")]
    assert main([*given, *words]) == 2
    assert capsys.readouterr().err == here
    assert not (tmp_path / "s" / LOCK).exists()


def test_a_policy_that_does_not_denoise_is_not_told_how(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_checkpoint(tmp_path / "other")
    given = ["--policy", str(policy), str(other), "--twin", "--out", str(tmp_path / "s")]
    assert main(["session", "lock", *given, "--ddim-steps", "4"]) == 2
    assert "ddim_steps belongs to a diffusion policy" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_a_verdict_must_be_for_what_is_locked(policy: Path, tmp_path: Path) -> None:
    inputs = gate.inputs_of(policy, "pick_place/v1", "viperx", None, "data")

    def allowed(told: dict[str, Any], locked: Wanted) -> bool:
        path = tmp_path / "verdict.json"
        import time

        execution = {"execute": 5, "ensemble": None, "batch": 50, **told}
        body = {"inputs": inputs, "outcome": PASS, "made": time.time(), "execution": execution}
        path.write_bytes(gate.sealed(body))
        terms = Terms("s", "real", "pick_place/v1", "viperx", 1, execution=locked.to_json())
        driver = Driver("zebra", str(policy), artefact_of(str(policy)), str(path))
        return bool(permit(driver, terms).verdict)

    assert allowed({"delay": 3}, Wanted(5, delay=3))
    assert allowed({}, Wanted(5))
    for told, locked, differs in (
        ({}, Wanted(5, delay=3), "under delay 0, this runs with delay 3"),
        ({"delay": 3}, Wanted(5), "under delay 3, this runs with delay 0"),
        ({}, Wanted(5, ddim_steps=4), "under ddim_steps own, this runs with ddim_steps 4"),
    ):
        with pytest.raises(UsageError, match=f"{differs}; make one: armtrials gate"):
            allowed(told, locked)


def test_a_lock_of_before_means_the_policies_own_settings(tmp_path: Path) -> None:
    lock_session(tmp_path)

    def rewritten(change: Any) -> None:
        body = parse((tmp_path / LOCK).read_bytes())
        body.pop("sha256")
        change(body["terms"])
        text = canonical({**body, "sha256": digest(canonical(body))})
        (tmp_path / LOCK).write_bytes(text + b"\n")

    rewritten(lambda terms: terms.pop("execution"))
    assert read_lock(tmp_path).terms.wanted == Wanted()
    assert open_session(tmp_path).load()
    rewritten(lambda terms: terms.update(execution={"pace": 3}))
    with pytest.raises(UsageError, match="is no lock of a session"):
        read_lock(tmp_path)
