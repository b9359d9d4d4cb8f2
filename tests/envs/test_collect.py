import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from envs.arm import CameraSpec
from envs.collect import CollectReport, collect
from envs.collection import Collection, read_info
from envs.episode import episode_files, read_episode, write_episode
from envs.errors import UsageError
from envs.lock import locked
from envs.sim import SimArm
from envs.tasks import TASKS
from tests.envs.episodes import episode

CLEAN = Collection("pick_place")
RAY = CameraSpec("overhead", 16, 12)


def content(folder: Path) -> dict[str, str]:
    """Hash of every file that is part of the data."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != ".lock"]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three demonstrations, made by one process."""
    out = tmp_path_factory.mktemp("data") / "three"
    report = collect(CLEAN, 3, out)
    assert report == CollectReport(3, 3, 0, ())
    return out


def test_a_collection_is_complete_and_succeeds(three: Path) -> None:
    episodes = [read_episode(p) for p in episode_files(three)]
    assert [e.meta.index for e in episodes] == [0, 1, 2]
    assert all(e.meta.success and e.meta.task == "pick_place" for e in episodes)
    assert len({e.meta.start.objects["cube"] for e in episodes if e.meta.start}) == 3
    info = read_info(three)
    assert info is not None
    assert (info.episodes, info.attempts, info.failed) == (3, 3, ())
    assert not (three / ".partial").exists()


def test_the_number_of_workers_does_not_change_a_byte(three: Path, tmp_path: Path) -> None:
    collect(CLEAN, 3, tmp_path, workers=2)
    assert content(tmp_path) == content(three)


def test_a_recorded_episode_replays_to_the_same_states(three: Path) -> None:
    saved = read_episode(episode_files(three)[1])
    assert saved.meta.start is not None
    arm = SimArm(TASKS["pick_place"])
    seen = [arm.home(saved.meta.start)]
    seen += [arm.command(action) for action in saved.actions]
    for name, array in saved.observations.items():
        assert np.array_equal(np.stack([o[name] for o in seen[:-1]]), array)
    assert arm.sim.success[0]


@pytest.mark.parametrize("robot", ["koch", "openarm"])
def test_every_arm_can_be_demonstrated_with(robot: str, tmp_path: Path) -> None:
    report = collect(Collection("pick_place", robot), 2, tmp_path)
    assert report.failed == ()
    saved = read_episode(episode_files(tmp_path)[0])
    assert saved.meta.robot == robot
    assert (
        saved.actions.shape[1]
        == len(saved.meta.joints)
        == SimArm(TASKS["pick_place"], robot).spec.n
    )


def test_recorded_commands_keep_the_limits_of_the_arm(three: Path) -> None:
    spec = SimArm(TASKS["pick_place"]).spec
    for path in episode_files(three):
        saved = read_episode(path)
        assert saved.meta.start is not None
        commands = np.vstack([saved.meta.start.qpos, saved.actions])
        assert (np.abs(np.diff(commands, axis=0)) * 50 <= np.array(spec.velocity) + 1e-4).all()


def test_what_is_there_is_kept_and_what_is_broken_is_made_anew(three: Path, tmp_path: Path) -> None:
    collect(CLEAN, 2, tmp_path)
    kept, broken = tmp_path / "episode_0.hdf5", tmp_path / "episode_1.hdf5"
    before = kept.stat().st_mtime_ns
    broken.write_bytes(broken.read_bytes()[:5000])
    (tmp_path / ".partial" / "99").mkdir(parents=True)
    report = collect(CLEAN, 3, tmp_path)
    assert (report.episodes, report.kept) == (3, 1)
    assert kept.stat().st_mtime_ns == before
    assert content(tmp_path) == content(three)


def test_asking_for_fewer_keeps_all(three: Path) -> None:
    before = content(three)
    assert collect(CLEAN, 1, three).episodes == 3
    assert content(three) == before


SCRIPT = """
if __name__ == "__main__":
    import sys, time
    from pathlib import Path
    from envs.collect import collect
    from envs.collection import Collection
    wait = lambda n: n and time.sleep(600)  # after the first episode, until the signal comes
    collect(Collection("pick_place"), 3, Path(sys.argv[1]), workers=2, progress=wait)
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_stopped_collection_resumes_to_the_same_bytes(
    three: Path, tmp_path: Path, name: str
) -> None:
    script, out = tmp_path / "run.py", tmp_path / "out"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with (tmp_path / "log").open("w") as log:
        command = [sys.executable, str(script), str(out)]
        process = subprocess.Popen(command, env=environment, stderr=log)
    while process.poll() is None and not list(out.glob("episode_*.hdf5")):
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    assert process.wait() != 0
    kept = len(list(out.glob("episode_*.hdf5")))
    assert collect(CLEAN, 3, out).kept >= kept
    assert content(out) == content(three)


def test_a_full_disk_is_said_and_collecting_resumes(three: Path, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        told = (
            f"collecting stopped: the disk is full; the demonstrations in {tmp_path} are kept; free"
        )
        with pytest.raises(UsageError, match=told):
            collect(CLEAN, 3, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    collect(CLEAN, 3, tmp_path)
    assert content(tmp_path) == content(three)


def test_other_settings_into_one_folder_are_refused(three: Path) -> None:
    with pytest.raises(UsageError, match=r"other settings: operator \"clean\" \(now \"noisy\"\)"):
        collect(Collection("pick_place", operator="noisy"), 3, three)
    with pytest.raises(UsageError, match=r"seed 0 \(now 1\)"):
        collect(Collection("pick_place", seed=1), 3, three)


def test_foreign_data_are_left_alone(tmp_path: Path) -> None:
    write_episode(tmp_path / "episode_0.hdf5", episode())
    with pytest.raises(UsageError, match=r"holds episodes but no dataset.json"):
        collect(CLEAN, 1, tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 9}', '{"schema": 1, "failed": []}'])
def test_a_broken_description_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(UsageError, match=r"dataset.json: is broken"):
        collect(CLEAN, 1, tmp_path)


def test_two_collections_into_one_folder_are_refused(tmp_path: Path) -> None:
    with locked(tmp_path, ""), pytest.raises(UsageError, match="another process is collecting"):
        collect(CLEAN, 1, tmp_path)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        collect(CLEAN, 1, tmp_path / "file")


def test_images_are_recorded_at_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARMTRIALS_GL", "ray")
    collect(Collection("pick_place", cameras=(RAY,)), 1, tmp_path)
    saved = read_episode(tmp_path / "episode_0.hdf5")
    assert saved.observations["images/overhead"].shape == (len(saved), 12, 16, 3)
    assert saved.observations["images/overhead"].std() > 5
    info = read_info(tmp_path)
    assert info is not None
    assert info.definition["renderer"] == "ray"


def test_failed_attempts_are_kept_aside_and_made_up_for(
    three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    longest = max(len(read_episode(path)) for path in episode_files(three)[:2])
    monkeypatch.setattr(type(TASKS["pick_place"]), "horizon", longest - 1)
    report = collect(CLEAN, 2, tmp_path)
    assert report.episodes == 2
    assert report.failed
    assert report.rate == 2 / (2 + len(report.failed))
    aside = read_episode(tmp_path / "failed" / f"episode_{report.failed[0]}.hdf5")
    assert (aside.meta.success, aside.meta.failure) == (False, "timeout")
    assert len(episode_files(tmp_path)) == 2
    assert json.loads((tmp_path / "dataset.json").read_text())["failed"] == list(report.failed)


def test_a_hopeless_expert_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(TASKS["pick_place"]), "horizon", 5)
    with pytest.raises(UsageError, match="the expert succeeded in 0 of 20 attempts"):
        collect(CLEAN, 10, tmp_path)


def test_operators_meet_the_same_starts_and_move_differently() -> None:
    noisy = Collection("pick_place", operator="noisy")
    assert noisy.start(4) == CLEAN.start(4)
    assert CLEAN.start(4) != CLEAN.start(5)
    assert Collection("pick_place", seed=1).start(4) != CLEAN.start(4)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"task": "juggle"}, r"unknown task 'juggle'; known: .*pick_place"),
        ({"robot": "r2d2"}, r"unknown .*'r2d2'; known: .*viperx"),
        ({"operator": "drunk"}, r"unknown operator 'drunk'; known: clean"),
        ({"variations": (("gravity", "L1"),)}, r"unknown variation 'gravity'; known"),
        ({"variations": (("lighting", "L9"),)}, r"unknown level 'L9'; known"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_unknown_settings_list_the_known_ones(settings: dict[str, object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        Collection(**{"task": "pick_place", **settings})  # type: ignore[arg-type]


def test_an_unknown_camera_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown camera 'ceiling'; known: .*overhead"):
        collect(Collection("pick_place", cameras=(CameraSpec("ceiling"),)), 1, tmp_path)


def test_no_episodes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="episodes must be at least 1"):
        collect(CLEAN, 0, tmp_path)
    with pytest.raises(UsageError, match="holds none"):
        episode_files(tmp_path)
    with pytest.raises(UsageError, match="must be a folder"):
        episode_files(tmp_path / "none")
