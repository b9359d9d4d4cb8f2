"""A policy at work outside an evaluation: what is logged, by whose leave, and what survives."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.deployment import Deployment
from benchmarks.deployment_log import logged_episodes
from benchmarks.deployment_site import TWIN, duty_of, twin_site, work_of
from benchmarks.gate.verdict import artefact_hash
from envs.collect import collect
from envs.collection import Collection
from envs.episode import read_episode
from envs.tasks import TASKS
from policies.checkpoint import load_checkpoint
from policies.chunking import Controller
from policies.dataset import EpisodeSet, Reading
from policies.remote import PolicyGoneError
from policies.train import train
from policies.train_config import TrainConfig
from real.calibration import Calibration
from real.emulators.twin import TwinSetup
from real.teleop.later import LaterAlbum
from scripts.main import main

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)
STEPS = 40


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that has hardly learnt anything: it stays near where it is."""
    folder = tmp_path_factory.mktemp("deployment")
    collect(Collection(task="pick_place"), 3, folder / "data", 1)
    config = TrainConfig(
        algo="act", data=folder / "data", out=folder / "act", preset="quick-delta", steps=2,
        batch=2, validation=0.3, device="cpu", chunk=20,
    )  # fmt: skip
    return train(config)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes of the task end soon."""
    monkeypatch.setattr(type(TASKS["pick_place"]), "horizon", STEPS)


def deploy(policy: Path, out: Path, *words: str) -> int:
    return main(["deploy", "--policy", str(policy), "--out", str(out), "--twin", *words])


def test_every_episode_is_logged_step_by_step_and_is_a_demonstration(
    policy: Path, short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "log"
    assert deploy(policy, out, "--episodes", "1") == 0
    assert "0 of 1 episodes succeeded" in capsys.readouterr().out
    episode = read_episode(out / "failed" / "episode_0.hdf5")
    log, told = episode.log, json.loads(episode.meta.deployment)
    assert log is not None
    assert len(episode) == STEPS == len(log.asked)
    assert log.predicted.tolist() == [int(step % 20 == 0) for step in range(STEPS)]
    assert log.chunks.shape == (2, 20, 7)
    np.testing.assert_array_equal(log.asked, log.chunks.reshape(STEPS, 7))
    assert (log.latency > 0).tolist() == log.predicted.astype(bool).tolist()
    clamped = np.abs(episode.actions - log.asked).max(axis=1) > 1e-6
    assert (log.verdict[clamped] > 0).all()
    assert told["policy"]["artefact"] == artefact_hash(policy)
    assert told["leave"]["twin"]
    assert sum(told["safety"]["verdicts"].values()) == STEPS
    assert (out / "safety" / told["safety"]["log"]).is_file()
    assert episode.meta.failure not in ("", "interrupted")
    assert episode.marks is None
    assert episode.meta.start != Collection(task="pick_place").start(0)  # it has learned from that
    page = ["--films", "0", "--out", str(tmp_path / "page.html")]
    assert main(["inspect", str(out / "failed"), *page]) == 0


def test_chunks_are_carried_out_as_asked_and_the_record_says_how(
    policy: Path, short: None, tmp_path: Path
) -> None:
    out = tmp_path / "log"
    assert deploy(policy, out, "--episodes", "1", "--execute", "10", "--ensemble", "0.5") == 0
    episode = read_episode(out / "failed" / "episode_0.hdf5")
    assert episode.log is not None
    assert np.flatnonzero(episode.log.predicted).tolist() == [0, 10, 20, 30]
    old, new = np.exp([0.0, -0.5]) / np.exp([0.0, -0.5]).sum()
    chunks = episode.log.chunks
    np.testing.assert_allclose(
        episode.log.asked[10:20], old * chunks[0, 10:] + new * chunks[1, :10], atol=1e-6
    )
    told = json.loads(episode.meta.deployment)["execution"]
    assert told == {"execute": 10, "ensemble": 0.5, "batch": 1}


def test_the_same_command_goes_on_and_another_policy_is_refused(
    policy: Path, short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "log"
    assert deploy(policy, out, "--episodes", "1") == 0
    assert deploy(policy, out, "--episodes", "2") == 0
    assert "1 of 2: " not in capsys.readouterr().out.split("Look at them")[1]
    assert sorted(p.name for p in (out / "failed").iterdir()) == [
        "episode_0.hdf5", "episode_1.hdf5",
    ]  # fmt: skip
    other = tmp_path / "other"
    train(TrainConfig("bc", policy.parent / "data", other, preset="quick", steps=1, batch=2))
    assert deploy(other, out, "--episodes", "3") == 2
    assert "was collected with other settings: policy" in capsys.readouterr().err


def test_who_takes_over_is_marked_and_only_their_steps_are_learned(
    policy: Path, short: None, tmp_path: Path
) -> None:
    out = tmp_path / "log"
    assert deploy(policy, out, "--episodes", "1", "--rescue", "0.4") == 0
    (path,) = [*out.glob("episode_*.hdf5"), *out.glob("failed/episode_*.hdf5")]
    episode = read_episode(path)
    assert episode.log is not None
    assert episode.marks is not None
    ((begin, end),) = episode.log.interventions
    assert 20 <= begin <= 22
    assert end == len(episode) > STEPS  # who helps has more time than the policy
    assert episode.marks.acted.sum() == end - begin
    data = EpisodeSet.load(path.parent, Reading(validation=0.0))
    assert data.labelled is not None
    assert data.labelled.sum() == end - begin


class Hasty(Deployment):
    """Ctrl-C comes in the tenth control period."""

    def _watch(self, period) -> bool:
        if self._take is not None and len(self._take.stamps) == 10:
            raise KeyboardInterrupt
        return super()._watch(period)


def test_ctrl_c_keeps_the_running_episode_as_interrupted(policy: Path, tmp_path: Path) -> None:
    out = tmp_path / "log"
    loaded, collection = work_of(load_checkpoint(policy), "", "")
    with (
        LaterAlbum(out, collection, {"operator": "policy"}) as album,
        twin_site(TwinSetup(), loaded, duty_of(loaded, str(policy), TWIN, out, True)) as site,
    ):
        made = Hasty(site.arm, Controller(loaded), album, site.duty, site.oversight)
        with pytest.raises(KeyboardInterrupt):
            made.run(5)
    episode = read_episode(out / "failed" / "episode_0.hdf5")
    assert (len(episode), episode.meta.failure) == (10, "interrupted")
    with LaterAlbum(out, collection, {"operator": "policy"}) as album:
        assert logged_episodes(album) == 0


def test_a_real_arm_needs_a_passing_verdict_or_a_reason(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["deploy", "--policy", str(policy), "--out", str(tmp_path / "log")]
    port = ["--port", str(tmp_path / "no_such_port")]
    assert main([*words, *port]) == 2
    told = capsys.readouterr().err
    assert "there is no verdict" in told
    assert "--override" in told
    assert not (tmp_path / "log").exists()
    assert main([*words, *port, "--override", "a test"]) == 2
    assert "nobody sees it" in capsys.readouterr().err  # a policy of the state track needs tags


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "give the port of an arm, or --twin"),
        (("--twin", "--rescue", "-1"), "--rescue must be 0 or more"),
        (("--twin", "--rescue", "99"), "--rescue must be below 8 s"),
        (("--twin", "--leader", "x"), "--leader needs --clock real"),
        (("--twin", "--override", "why"), "belongs to a real arm"),
        (("--twin", "--tags", "x"), "are of an arm, not of the twin"),
        (("--twin", "--episodes", "0"), "--episodes must be at least 1"),
        (("--twin", "--task", "pour"), "trained for task 'pick_place', this is 'pour'"),
        (("--twin", "--robot", "koch"), "trained for arm 'viperx', this is 'koch'"),
        (("--twin", "--gap", "wide"), "unknown gap 'wide'"),
        (("--twin", "--execute", "999"), "execute must be in 1..chunk=20, got 999"),
        (("--twin", "--ensemble", "-1"), "ensemble must be 0 or more"),
        (("--twin", "--ddim-steps", "4"), "ddim_steps belongs to a diffusion policy"),
        (("--twin", "--sampler", "ddim"), "sampler belongs to a diffusion policy"),
        (("--port", "x", "--override", "y", "--calibration", "none.json"), "none.json: cannot"),
        (("--port", "x", "--override", "y", "--cameras", "wrist"), "a camera must be NAME=SOURCE"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    policy: Path, words, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "log")]
    assert main(["deploy", "--policy", str(policy), *words, *out]) == 2
    assert told in capsys.readouterr().err


def test_what_an_arm_is_and_sees_is_checked_before_it_is_switched_on(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Calibration("koch").save(tmp_path / "koch" / "calibration.json")
    Calibration("viperx").save(tmp_path / "calibration.json")
    tags = ["--tags", str(tmp_path / "objects.json")]
    (tmp_path / "objects.json").write_text("[]")
    words = ["deploy", "--policy", str(policy), "--out", str(tmp_path / "log")]
    words += ["--port", str(tmp_path / "no_such_port"), "--override", "a test", "--calibration"]
    for more, told in (
        ([str(tmp_path / "koch")], "the calibration is of koch, not of viperx"),
        ([str(tmp_path / "none.json")], "none.json"),
        ([str(tmp_path), *tags], "camera 'overhead' is not calibrated"),
        ([str(tmp_path)], "the policy reads where cube is, and nobody sees it: give --tags"),
    ):
        assert main([*words, *more]) == 2
        assert told in capsys.readouterr().err


def test_a_server_that_goes_leaves_an_episode_that_does_not_count(
    policy: Path, short: None, tmp_path: Path
) -> None:
    loaded, collection = work_of(load_checkpoint(policy), "", "")
    out = tmp_path / "log"
    act, calls, told = loaded.act, [], []

    def lost(obs):
        calls.append(1)
        if len(calls) == 2:
            raise PolicyGoneError("the line is cut")
        return act(obs)

    loaded.act = lost
    with (
        LaterAlbum(out, collection, {"operator": "policy"}) as album,
        twin_site(TwinSetup(), loaded, duty_of(loaded, str(policy), TWIN, out, True)) as site,
    ):
        made = Deployment(
            site.arm, Controller(loaded), album, site.duty, site.oversight, told.append
        )
        made.run(1)
    assert "The arm is held, and the episode does not count: the line is cut." in told
    assert [one.index for one in made.logged] == [1]
    cut = read_episode(out / "failed" / "episode_0.hdf5")
    assert (cut.meta.failure, len(cut)) == ("interrupted", 20)


def test_a_policy_that_gives_nonsense_ends_the_episode(policy: Path, tmp_path: Path) -> None:
    loaded, collection = work_of(load_checkpoint(policy), "", "")
    out = tmp_path / "log"
    act, calls = loaded.act, []

    def broken(obs):
        calls.append(1)
        chunk = act(obs)
        return chunk * np.nan if len(calls) > 2 else chunk

    loaded.act = broken
    with (
        LaterAlbum(out, collection, {"operator": "policy"}) as album,
        twin_site(TwinSetup(), loaded, duty_of(loaded, str(policy), TWIN, out, True)) as site,
    ):
        made = Deployment(site.arm, Controller(loaded), album, site.duty, site.oversight)
        made.run(1)
    (one,) = made.logged
    assert (one.success, one.failure, one.steps) == (False, "policy_error", 40)
