"""From a deployment's log to the next policy: what is taken, from where, and what it is worth."""

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.flywheel.assemble import old_lines
from benchmarks.flywheel.ledger import NAME, Line, read_ledger, verify, write_ledger
from benchmarks.flywheel.log import lesson, read_entries, second_try, usual_closings
from benchmarks.flywheel.run import NEXT, Turn
from benchmarks.flywheel.wheel import Wheel
from benchmarks.gate.verdict import artefact_hash
from benchmarks.report.flywheel_page import write_flywheel
from envs.collect import collect
from envs.collection import Collection
from envs.episode import Episode, read_episode, write_episode
from envs.errors import UsageError
from envs.robots import ROBOTS
from envs.starts_file import read_starts
from envs.step_log import BY_PERSON, StepLog
from envs.tasks import TASKS
from policies.checkpoint import load_checkpoint
from policies.dataset import EpisodeSet, Reading
from policies.train import train
from policies.train_config import TrainConfig
from scripts.main import main
from scripts.progress import progress

ARM = ROBOTS["viperx"].spec()
TASK = TASKS["pick_place"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Demonstrations, and a policy that has hardly learnt anything from them."""
    folder = tmp_path_factory.mktemp("flywheel")
    collect(Collection(task="pick_place"), 3, folder / "data", 1)
    train(TrainConfig("bc", folder / "data", folder / "bc", preset="quick", steps=2, batch=2))
    return folder


def logged(
    episode: Episode, policy: str, person: tuple[int, int] = (0, 0), failure: str = "", **meta
) -> Episode:
    """Return a demonstration as a deployment would have logged it."""
    steps = len(episode)
    by = np.zeros(steps, np.uint8)
    by[slice(*person)] = BY_PERSON
    none = np.zeros(steps)
    log = StepLog(episode.actions, none, by, none, none, none, np.zeros((0, 1, ARM.n), np.float32))
    told = json.dumps({"policy": {"name": "bc", "artefact": policy}})
    success = not failure
    about = replace(episode.meta, success=success, failure=failure, deployment=told, **meta)
    return replace(episode, meta=about, log=log)


@pytest.fixture
def log(made: Path, tmp_path: Path) -> Path:
    """A log of four episodes: alone, with help, a failure, one that was cut off."""
    policy = artefact_hash(made / "bc")
    one, two, three = (read_episode(made / "data" / f"episode_{i}.hdf5") for i in range(3))
    out = tmp_path / "log"
    write_episode(out / "episode_0.hdf5", logged(one, policy, index=0))
    write_episode(out / "episode_1.hdf5", logged(two, policy, (40, 90), index=1))
    failed = logged(three, policy, failure="dropped", index=2)
    write_episode(out / "failed" / "episode_2.hdf5", failed)
    cut = logged(three, policy, failure="interrupted", index=3)
    write_episode(out / "failed" / "episode_3.hdf5", cut)
    return out


def turn(made: Path, log: Path, out: Path, said: list[str] | None = None, **settings) -> Turn:
    wheel = Wheel(made / "bc", made / "data", (log,), out, **settings)
    return Turn(wheel, progress, (said if said is not None else []).append)


def test_a_log_is_read_by_outcome_and_what_was_cut_off_is_left_out(made: Path, log: Path) -> None:
    entries = read_entries((log,), usual_closings(made / "data"))
    assert [entry.outcome for entry in entries] == ["success", "success with help", "dropped"]
    assert [entry.kind for entry in entries] == ["success", "intervention", ""]
    assert [entry.alone for entry in entries] == [True, False, False]
    with pytest.raises(
        UsageError, match="is a demonstration, not an episode that armtrials deploy"
    ):
        read_entries((made / "data",), 1)
    with pytest.raises(UsageError, match="holds no episode"):
        read_entries((log / "nothing",), 1)


def test_of_an_intervention_the_persons_steps_alone_are_learned(made: Path, log: Path) -> None:
    whole, helped, failed = read_entries((log,), 1)
    found = lesson(helped)
    assert found.marks is not None
    assert np.flatnonzero(found.marks.asked).tolist() == list(range(40, 90))
    assert found.log is None
    taken = json.loads(found.meta.deployment)["taken"]
    assert taken == {
        "log": str(log), "episode": 1, "fingerprint": helped.fingerprint,
        "policy": artefact_hash(made / "bc"), "steps": [[40, 90]],
    }  # fmt: skip
    assert lesson(whole).marks is None
    with pytest.raises(ValueError, match="nothing is to be learned from a failure"):
        lesson(failed)


def test_a_second_try_begins_where_the_gripper_opens_again(made: Path) -> None:
    episode = read_episode(made / "data" / "episode_0.hdf5")
    usual = usual_closings(made / "data")
    assert second_try(episode, ARM, usual) is None
    actions = np.array(episode.actions)
    actions[20:30, -1] = 0.0  # it closed on nothing
    actions[10:20, -1] = actions[30:40, -1] = 1.0
    again = replace(episode, actions=actions)
    assert second_try(again, ARM, usual) == 30


def test_the_stages_before_training_make_a_dataset_with_its_origins(
    made: Path, log: Path, tmp_path: Path
) -> None:
    out, said = tmp_path / "turn", []
    one = turn(made, log, out, said, count=2)
    one.run(("select", "propose", "demonstrate", "assemble"))
    assert said[0].startswith("select: 1 of 3 episodes succeeded without help")
    starts = read_starts(out / NEXT, "pick_place", "viperx")
    assert len(starts) == 2
    assert verify(out / "data") == 6
    lines, head = read_ledger(out / "data")
    assert [line.kind for line in lines] == ["data"] * 3 + ["intervention"] + ["demonstration"] * 2
    assert lines[3].source["log"] == str(log)
    assert one.read("assemble")["head"] == head
    data = EpisodeSet.load(out / "data", Reading(validation=0.0))
    assert len(data) == 6
    assert data.labelled is not None
    assert (~data.labelled).sum() == data.lengths[3] - 50
    begun = read_episode(out / "data" / "episode_4.hdf5").meta.start
    assert begun is not None
    assert begun.objects == starts[0].objects


def test_a_turn_ends_with_a_compared_policy_and_does_nothing_twice(
    made: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(TASK), "horizon", 5)  # of the trials that compare
    given = {"count": 0, "steps": 2, "results": tmp_path / "runs"}
    one = turn(made, log, tmp_path / "turn", **given)
    one.run()
    found = one.read("compare")
    assert (found["trials"], found["before"], found["verdict"]) == (50, 0, "not told apart")
    assert load_checkpoint(one.wheel.made).provenance["training"]["steps"] == 2
    page = write_flywheel(one).read_text()
    for text in ("not told apart", "success with help", "provenance.jsonl"):
        assert text in page
    assert (tmp_path / "turn" / "flywheel.png").stat().st_size > 1000
    before = {p: p.stat().st_mtime_ns for p in one.wheel.out.rglob("*.hdf5")}
    again: list[str] = []
    turn(made, log, tmp_path / "turn", again, **given).run()
    assert len(again) == 6
    assert all(text.endswith("(done before)") for text in again)
    assert before == {p: p.stat().st_mtime_ns for p in one.wheel.out.rglob("*.hdf5")}
    with pytest.raises(UsageError, match="was begun with another count"):
        turn(made, log, tmp_path / "turn", **{**given, "count": 3}).run()


def test_a_control_is_trained_as_long_on_the_old_data_alone(
    made: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(TASK), "horizon", 5)  # of the trials that compare
    one = turn(made, log, tmp_path / "turn", count=0, steps=2, results=tmp_path / "runs")
    with pytest.raises(UsageError, match="run the stage train first"):
        one.run(("control",))
    one.run()
    assert one.read("control") is None
    page = write_flywheel(one).read_text()
    assert not [words for words in ("old data alone", "not run yet") if words in page]
    one.run(("control",))
    folders = (made / "bc", one.wheel.made, one.wheel.control)
    old, new, control = (load_checkpoint(folder).provenance for folder in folders)
    assert control["data"]["fingerprint"] == old["data"]["fingerprint"]
    assert control["data"]["fingerprint"] != new["data"]["fingerprint"]
    assert control["training"]["steps"] == new["training"]["steps"] == one.read("control")["steps"]
    assert control["identity"]["initial"] == new["identity"]["initial"]
    assert one.read("control")["trials"] == 50
    assert "old data alone" in write_flywheel(one).read_text()


def test_the_next_turn_keeps_the_ledger_of_the_one_before(
    made: Path, log: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    turn(made, log, first, count=0).run(("select", "propose", "demonstrate", "assemble"))
    second.mkdir()
    lines = old_lines(first / "data", second)
    assert lines == read_ledger(first / "data")[0]
    episode = read_episode(first / "data" / "episode_0.hdf5")
    (first / "data" / "episode_0.hdf5").unlink()
    write_episode(
        first / "data" / "episode_0.hdf5", replace(episode, marks=None, actions=episode.actions * 0)
    )
    with pytest.raises(UsageError, match="was changed since it was taken in"):
        old_lines(first / "data", second)


def test_a_log_without_failure_or_help_teaches_nothing_and_no_training_begins(
    made: Path, log: Path, tmp_path: Path
) -> None:
    shutil.rmtree(log / "failed")
    (log / "episode_1.hdf5").unlink()
    out = tmp_path / "turn"
    with pytest.raises(UsageError, match="there is nothing new to learn"):
        turn(made, log, out, count=2).run()
    assert not (out / "data").exists()
    said: list[str] = []
    stages = ("select", "propose", "demonstrate", "assemble")
    turn(made, log, tmp_path / "all", said, count=2, use=("success",)).run(stages)
    assert said[-1].startswith("assemble: 4 episodes")


def test_a_stage_alone_needs_those_before_it(made: Path, log: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="run the stage propose first"):
        turn(made, log, tmp_path / "turn").run(("demonstrate",))


def test_from_a_real_arm_a_person_demonstrates(made: Path, log: Path, tmp_path: Path) -> None:
    for path in log.rglob("*.hdf5"):
        episode = read_episode(path)
        write_episode(path, replace(episode, meta=replace(episode.meta, sim=False)))
    out = tmp_path / "turn"
    stages = ("select", "propose", "demonstrate")
    with pytest.raises(UsageError, match=r"armtrials record --starts .*next.json"):
        turn(made, log, out, count=2).run(stages)
    said: list[str] = []
    turn(made, log, out, said, count=2, demonstrations=made / "data").run(stages)
    assert said[2].startswith("demonstrate: 3 demonstrations of")


def test_the_log_of_another_policy_is_refused(made: Path, log: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(made / "bc", other)
    (other / "provenance.json").write_text((other / "provenance.json").read_text() + " ")
    wheel = Wheel(other, made / "data", (log,), tmp_path / "turn")
    with pytest.raises(UsageError, match="another policy drove"):
        Turn(wheel, progress).run(("select",))


def test_a_mistake_is_told_in_one_line(
    made: Path, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["flywheel", "--policy", str(made / "bc"), "--data", str(made / "data")]
    words += ["--log", str(log)]
    for more, told in (
        (["--trials", "10"], "--trials at least 50"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--out", str(log)], "--out must be a folder of its own"),
    ):
        assert main([*words, "--out", str(tmp_path / "turn"), *more]) == 2
        assert told in capsys.readouterr().err


LEDGER = [Line(f"episode_{i}.hdf5", f"{i:064d}", "data", {"file": f"{i}"}) for i in range(3)]


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_edit_of_a_ledger_is_noticed(tmp_path: Path, place: int, bit: int) -> None:
    head = write_ledger(tmp_path, LEDGER)
    assert read_ledger(tmp_path) == (LEDGER, head)
    data = bytearray((tmp_path / NAME).read_bytes())
    data[place % len(data)] ^= 1 << bit
    (tmp_path / NAME).write_bytes(bytes(data))
    with contextlib.suppress(UsageError):
        assert read_ledger(tmp_path)[1] != head
