"""Trials in the layout of LeRobot's evaluator, and as a table that does not tell the policy."""

import csv
import io
import json
from pathlib import Path

import pytest
from boards import edit
from synthetic_runs import MadeUp, Maker

from benchmarks.records import read_run
from benchmarks.trial_exports import blinded_csv, eval_info
from envs.errors import UsageError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Maker(tmp_path, 20, ("object_pose/L2",)).write(MadeUp("secretive", 1.0), 0)


def test_lerobots_layout_has_every_trial_and_their_mean(run: Path) -> None:
    data, told = eval_info(run)
    info = json.loads(data)
    trials = read_run(run).trials
    assert told == "40 trials of 2 conditions"
    assert set(info) >= {"per_task", "per_group", "overall"}
    successes = [t["success"] for t in trials]
    assert info["overall"]["n_episodes"] == 40
    assert info["overall"]["pc_success"] == pytest.approx(100 * sum(successes) / 40)
    tasks = info["per_task"]
    assert [s for task in tasks for s in task["metrics"]["successes"]] == successes
    assert [t["task_id"] for t in tasks] == [0, 1]
    episode = tasks[1]["per_episode"][3]
    assert set(episode) == {"episode_ix", "sum_reward", "max_reward", "success", "seed"}
    assert episode["seed"] == trials[23]["seeds"]["ic"]


def test_the_table_has_every_trial_and_nothing_that_tells_the_policy(run: Path) -> None:
    data, _ = blinded_csv(run)
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    trials = read_run(run).trials
    assert [(r["condition"], int(r["ic"]), r["success"]) for r in rows] == [
        (t["key"]["condition"], t["key"]["ic"], str(t["success"])) for t in trials
    ]
    assert len({r["blind"] for r in rows}) == 1
    manifest = read_run(run).manifest
    hidden = ["secretive", manifest["run"], *manifest["policy"]["hashes"].values()]
    assert not [word for word in hidden if word in data.decode()]


def test_an_edited_run_is_not_exported(run: Path) -> None:
    edit(run, b'"steps":', b'"steps":1')
    for export in (eval_info, blinded_csv):
        with pytest.raises(UsageError, match="cannot be exported"):
            export(run)
