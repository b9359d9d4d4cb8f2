import json
import os
import resource
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_checkpoint import CHUNK, EXECUTE, config, make_checkpoint, stable

from benchmarks.lines import digest, parse
from benchmarks.protocol import PROTOCOLS, Wave
from benchmarks.records import (
    FIELDS,
    MANIFEST,
    TRIALS,
    made_in,
    manifest_bytes,
    read_run,
    verify_run,
)
from benchmarks.run import evaluate, prepare
from benchmarks.trajectories import trajectory
from benchmarks.trial import Execution, Runner, replay, state_digest
from benchmarks.writer import RunWriter
from envs.arm import Array
from envs.errors import UsageError
from envs.robots import ROBOTS
from policies.base import PolicySpec

PROTOCOL = PROTOCOLS["pick_place/v1"]
NOBODY = 65534


@pytest.fixture(scope="module")
def finished(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluate(config(checkpoint, tmp_path_factory.mktemp("results"))).folder


def test_a_run_is_sealed_intact_and_complete(finished: Path) -> None:
    run = read_run(finished)
    assert verify_run(finished) == []
    keys = [(t["key"]["condition"], t["key"]["ic"]) for t in run.trials]
    assert keys == [(c, i) for c in ("nominal", "observation/L2") for i in range(4)]
    assert all(set(t) == FIELDS for t in run.trials)
    assert run.manifest["plan"] == {
        "split": "test",
        "cells": [["nominal", 4], ["observation/L2", 4]],
    }
    assert run.manifest["execution"] == {
        "chunk": CHUNK, "execute": EXECUTE, "ensemble": None, "batch": 3,
    }  # fmt: skip
    assert run.manifest["policy"]["data"]["train"] == [0]
    assert set(run.manifest["policy"]["hashes"]) == {"weights", "config", "stats", "spec"}
    assert finished.name == run.manifest["run"]


def test_the_trials_are_those_of_the_protocol(finished: Path) -> None:
    for trial in read_run(finished).trials:
        condition, ic = trial["key"]["condition"], trial["key"]["ic"]
        assert trial["start"] == json.loads(json.dumps(PROTOCOL.start(condition, ic).to_json()))
        assert trial["seeds"] == PROTOCOL.seeds(ic)


def test_two_workers_write_what_one_writes(
    checkpoint: Path, finished: Path, tmp_path: Path
) -> None:
    other = evaluate(config(checkpoint, tmp_path, workers=2)).folder
    assert stable(read_run(other).trials) == stable(read_run(finished).trials)
    assert (other / "manifest.json").read_bytes() == (finished / "manifest.json").read_bytes()
    for path in (finished / "trajectories").iterdir():
        assert (other / "trajectories" / path.name).read_bytes() == path.read_bytes()


def test_a_smaller_plan_gives_the_first_trials_of_a_larger_one(
    checkpoint: Path, finished: Path, tmp_path: Path
) -> None:
    smaller = evaluate(config(checkpoint, tmp_path, trials=3, conditions=("nominal",))).folder
    assert stable(read_run(smaller).trials) == stable(read_run(finished).trials[:3])


def test_every_trial_replays_to_its_recorded_end(finished: Path) -> None:
    for trial in read_run(finished).trials[::3]:
        actions = trajectory(finished, trial, 3)
        assert len(actions) == trial["steps"]
        *_, sims = replay(trial, actions)
        assert state_digest(sims, 0) == trial["final_sha256"]


def test_a_changed_trajectory_is_refused(finished: Path) -> None:
    trial = read_run(finished).trials[0]
    actions = trajectory(finished, trial, 3).copy()
    actions[-1, :-1] += 0.01
    with pytest.raises(UsageError, match="are not the recorded ones"):
        list(replay(trial, actions))
    forged = {**trial, "actions_sha256": digest(np.ascontiguousarray(actions, "<f4").tobytes())}
    with pytest.raises(UsageError, match="does not replay to its recorded end"):
        list(replay(forged, actions))


def test_a_sealed_run_is_not_run_again(checkpoint: Path, finished: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}
    seen: list[int] = []
    again = evaluate(config(checkpoint, finished.parents[2]), seen.append)
    assert again.sealed_before
    assert (again.ran, again.folder, sum(seen)) == (0, finished, 8)
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*")} == before


def test_other_settings_or_weights_make_another_run(checkpoint: Path, tmp_path: Path) -> None:
    base = prepare(config(checkpoint, tmp_path)).folder
    other = make_checkpoint(tmp_path / "other", seed=1)
    for changed in (
        config(checkpoint, tmp_path, execute=4),
        config(checkpoint, tmp_path, ensemble=0.01),
        config(checkpoint, tmp_path, trials=5),
        config(checkpoint, tmp_path, batch=2),
        config(checkpoint, tmp_path, name="mine"),
        config(other, tmp_path),
    ):
        assert prepare(changed).folder != base
    assert prepare(config(checkpoint, tmp_path, workers=2, videos="all")).folder == base


def test_trials_in_another_simulated_world_are_another_run(
    checkpoint: Path, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished.parents[2], tmp_path, dirs_exist_ok=True)
    before = prepare(config(checkpoint, tmp_path))
    assert before.folder.name == finished.name
    manifest = parse((before.folder / MANIFEST).read_bytes())
    (before.folder / MANIFEST).write_bytes(manifest_bytes({**manifest, "model_hash": "0" * 64}))
    job = prepare(config(checkpoint, tmp_path))
    assert job.folder.name.startswith(f"{finished.name}-")
    assert job.manifest["run"] == job.folder.name
    done = evaluate(config(checkpoint, tmp_path))
    assert (done.folder, done.ran, verify_run(done.folder)) == (job.folder, 8, [])
    assert evaluate(config(checkpoint, tmp_path)).sealed_before


def test_what_draws_the_pictures_tells_worlds_apart_where_there_are_pictures() -> None:
    manifest = {"model_hash": "00", "track": "pixels", "versions": {"renderer": "egl"}}
    assert made_in(manifest) == ("00", "egl")
    assert made_in({**manifest, "track": "state"}) == ("00", "")
    assert made_in({}) == made_in({"versions": [], "track": "pixels"}) == ("", "")


def test_the_dev_split_is_kept_apart_and_has_other_starts(checkpoint: Path, tmp_path: Path) -> None:
    done = evaluate(config(checkpoint, tmp_path, split="dev", conditions=("nominal",), trials=1))
    assert done.folder.parent == tmp_path / "dev" / "pick_place_v1"
    start = read_run(done.folder).trials[0]["start"]
    assert start["objects"] != PROTOCOL.start("nominal", 0).to_json()["objects"]


def test_an_edited_protocol_is_refused_where_runs_of_it_exist(
    checkpoint: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = replace(PROTOCOL, alpha=0.1)
    monkeypatch.setitem(PROTOCOLS._items, PROTOCOL.id, edited)
    with pytest.raises(UsageError, match="pick_place/v1 was edited after runs were made with it"):
        evaluate(config(checkpoint, finished.parents[2]))


@pytest.mark.parametrize("broken", ["{", "{}", "[]", '{"protocol": {"hash": 1}}', "[" * 10**5])
def test_a_broken_run_among_the_results_is_named(
    checkpoint: Path, tmp_path: Path, broken: str
) -> None:
    own = prepare(config(checkpoint, tmp_path))
    for folder in (own.folder, own.folder.with_name("other")):
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(broken)
        with pytest.raises(UsageError, match=rf"{folder} is broken .*: move this folder away, or"):
            evaluate(config(checkpoint, tmp_path))
        with pytest.raises(UsageError, match="is broken"), RunWriter(folder, own.manifest):
            pass
        (folder / "manifest.json").unlink()


def test_a_second_evaluation_of_the_same_run_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    job = prepare(config(checkpoint, tmp_path))
    with (
        RunWriter(job.folder, job.manifest),
        pytest.raises(UsageError, match="another evaluation is writing to"),
    ):
        evaluate(config(checkpoint, tmp_path))


def test_a_full_disk_keeps_completed_waves_and_the_run_goes_on(
    checkpoint: Path, finished: Path, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (24_000, hard))
        with pytest.raises(UsageError, match="the disk is full"):
            evaluate(config(checkpoint, tmp_path, batch=1, trials=40))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    folder = prepare(config(checkpoint, tmp_path, batch=1, trials=40)).folder
    kept = (folder / TRIALS).read_bytes()
    assert 0 < len(kept) <= 24_000
    assert kept.endswith(b"\n")
    with RunWriter(folder, prepare(config(checkpoint, tmp_path, batch=1, trials=40)).manifest) as w:
        assert len(w.trials) > 2


def test_a_read_only_results_folder_is_a_clear_error(checkpoint: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o500)
        job = prepare(config("floor:hold", Path(name)))
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            with pytest.raises(UsageError, match="choose a writable folder with --results"):
                evaluate(config("floor:hold", Path(name)), job=job)
        finally:
            if root:
                os.seteuid(0)
            Path(name).chmod(0o700)


def test_films_are_chosen_rendered_and_sealed(checkpoint: Path, tmp_path: Path) -> None:
    folder = evaluate(config(checkpoint, tmp_path, videos="some", trials=2)).folder
    run = read_run(folder)
    filmed = [t["video"] for t in run.trials if t["video"]]
    assert filmed[0] == "videos/nominal_000.mp4"
    assert run.seal is not None
    assert set(filmed) <= set(run.seal["files"])
    assert all((folder / name).stat().st_size > 1000 for name in filmed)
    assert verify_run(folder) == []


class Broken:
    """A policy that fails in one way or another."""

    name = "broken"

    def __init__(self, how: str) -> None:
        self.how, self.calls = how, 0
        joints = PROTOCOL_ARM.joints
        self.spec = PolicySpec(
            "viperx", joints, 50.0, "pick_place", "state", {"qpos": (7,)}, 1, 5, 5
        )

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        self.calls = 0

    def act(self, obs: Mapping[str, Array]) -> Array:
        self.calls += 1
        if self.how == "raises" and self.calls == 2:
            raise RuntimeError("out of ideas")
        width = 6 if self.how == "narrow" else 7
        chunk = np.repeat(obs["qpos"][:, -1:, :width], 5, axis=1)
        if self.how == "nan":
            chunk[1, 3] = np.nan
        return chunk


PROTOCOL_ARM = ROBOTS["viperx"].spec()


@pytest.mark.parametrize(
    ("how", "failing", "reason"),
    [
        ("raises", [True] * 3, "RuntimeError: out of ideas"),
        ("narrow", [True] * 3, "NaN or a wrong shape at step 0"),
        ("nan", [False, True, False], "NaN or a wrong shape at step 0"),
    ],
)
def test_a_broken_policy_makes_failures_not_crashes(
    how: str, failing: list[bool], reason: str
) -> None:
    runner = Runner(Broken(how), "broken", PROTOCOL, Execution(5), "test")
    result = runner.run(Wave("nominal", 0, 3))
    assert [r["failure"] == "policy_error" for r in result.records] == failing
    assert result.records[1]["reason"] == reason
    assert all(r["latency"]["p50_ms"] >= 0 for r in result.records)
    assert all(r["steps"] == n for r, n in zip(result.records, result.lengths, strict=True))


class Looking(Broken):
    """A policy of the pixel track that keeps what it saw."""

    def __init__(self) -> None:
        super().__init__("")
        shapes = {"qpos": (7,), "images/overhead": (24, 32, 3), "images/wrist": (16, 16, 3)}
        self.spec = replace(self.spec, track="pixels", observations=shapes, chunk=5, execute=5)
        self.seen: list[Mapping[str, Array]] = []

    def act(self, obs: Mapping[str, Array]) -> Array:
        self.seen.append(obs)
        return super().act(obs)


def test_a_policy_of_the_pixel_track_sees_the_perturbed_frames() -> None:
    first = []
    for condition in ("nominal", "texture/L2"):
        policy = Looking()
        Runner(policy, "looking", PROTOCOL, Execution(5), "test").run(Wave(condition, 0, 2))
        first.append(policy.seen[0])
        assert policy.seen[0]["images/overhead"].shape == (2, 1, 24, 32, 3)
        assert policy.seen[0]["images/wrist"].dtype == np.uint8
    assert (first[0]["qpos"] == first[1]["qpos"]).all()
    changed = first[0]["images/overhead"].astype(int) - first[1]["images/overhead"]
    assert np.abs(changed).mean() > 10


def test_mistakes_are_refused_before_anything_is_written(checkpoint: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    for changes, message in (
        ({"protocol": "pick/v9"}, "unknown protocol 'pick/v9'; known"),
        ({"conditions": ("wind/L1",)}, "unknown condition 'wind/L1'"),
        ({"execute": 11}, r"execute must be in 1\.\.chunk=10, got 11"),
        ({"videos": "many"}, "unknown videos 'many'; known: some, few, all, none"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"execute": 0}, "execute must be at least 1, got 0"),
        ({"ensemble": float("nan")}, "ensemble must be 0 or more and finite, got nan"),
        ({"name": " "}, "name must not be empty"),
        ({"policy": str(tmp_path / "nowhere")}, "is not a checkpoint folder"),
        ({"policy": "floor:sit"}, "unknown floor 'sit'; known"),
        (
            {"policy": str(make_checkpoint(tmp_path / "x", task="stack"))},
            "trained for task 'stack'",
        ),
    ):
        with pytest.raises(UsageError, match=message):
            evaluate(replace(config(checkpoint, results), **changes))
    assert not results.exists()
