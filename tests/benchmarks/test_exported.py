"""An exported folder is a checkpoint folder: every command that takes a policy takes it."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from envs.collect import collect
from envs.collection import Collection
from envs.errors import UsageError
from envs.tasks import TASKS
from policies.checkpoint import load_checkpoint, load_checkpoint_on, stored_observations
from policies.export import ExportConfig, export, recorded_difference
from policies.exported import GraphForm
from policies.serve import PolicyServer
from policies.train import train
from policies.train_config import TrainConfig
from scripts.main import main

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Demonstrations ``data``, a policy ``bc`` that stays near where it is, and its ``graph``."""
    folder = tmp_path_factory.mktemp("exported")
    collect(Collection(task="pick_place"), 3, folder / "data", 1)
    config = TrainConfig("bc", folder / "data", folder / "bc", preset="quick-delta", steps=2)
    export(ExportConfig(train(config), folder / "graph", GraphForm("onnx")))
    return folder


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(TASKS["pick_place"]), "horizon", 10)


def test_it_is_evaluated_and_swept(made: Path, tmp_path: Path) -> None:
    words = ["--policy", str(made / "graph"), "--trials", "2", "--workers", "1"]
    words += ["--results", str(tmp_path / "runs"), "--split", "dev"]
    assert main(["evaluate", *words, "--conditions", "nominal", "--videos", "none"]) == 0
    (run,) = (tmp_path / "runs").glob("dev/*/bc*-onnx-*")
    policy = json.loads((run / "manifest.json").read_text())["policy"]
    assert policy["exported"]["format"] == "onnx"
    words = ["sweep", "--policy", str(made / "graph"), "--over", "execute=1,2", "--trials", "2"]
    words += ["--workers", "1", "--results", str(tmp_path / "runs")]
    assert main([*words, "--out", str(tmp_path / "sweep")]) == 0


def test_it_is_served(made: Path) -> None:
    server = PolicyServer(load_checkpoint_on(str(made / "graph")), 2**20)
    assert server.policy.name.endswith("-onnx")
    asyncio.run(asyncio.sleep(0))


def test_the_gate_judges_it(made: Path, tmp_path: Path) -> None:
    words = ["gate", "--policy", str(made / "graph"), "--data", str(made / "data")]
    words += ["--trials", "1", "--perturbed-trials", "1", "--timed", "1"]
    assert main([*words, "--out", str(tmp_path / "gate")]) == 1
    verdict = json.loads((tmp_path / "gate" / "verdict.json").read_text())
    checks = {c["name"]: c["outcome"] for c in verdict["checks"]}
    assert checks["artefact"] == checks["statistics"] == checks["canary"] == "pass"


def test_it_is_deployed(made: Path, tmp_path: Path) -> None:
    pytest.importorskip("dynamixel_easy_sdk")
    words = ["deploy", "--policy", str(made / "graph"), "--twin", "--episodes", "1"]
    assert main([*words, "--out", str(tmp_path / "log")]) == 0
    assert (tmp_path / "log" / "failed" / "episode_0.hdf5").is_file()


def test_it_is_compared_on_the_observations_of_demonstrations(made: Path, tmp_path: Path) -> None:
    network, graph = (load_checkpoint(made / name) for name in ("bc", "graph"))
    count, worst = recorded_difference(network, graph, made / "data")
    assert count > 300
    assert 0 < worst <= 1e-4
    form = GraphForm("onnx")
    done = export(ExportConfig(made / "bc", tmp_path / "again", form, data=made / "data"))
    assert (done.observations, done.recorded) == (count, worst)
    collect(Collection(task="pour"), 1, tmp_path / "pour", 1)
    with pytest.raises(UsageError, match="the policy reads"):
        recorded_difference(network, graph, tmp_path / "pour")


def test_what_its_latency_is_with_several_threads_is_told(
    made: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.timing.cold_start", lambda folder, threads: (1.5, 300.0))
    out = tmp_path / "timed"
    words = ["export", "--policy", str(made / "bc"), "--out", str(out), "--trials", "0"]
    assert main([*words, "--timed", "5", "--threads", "1", "2"]) == 0
    told = json.loads((out / "export.json").read_text())["timing"]
    assert [one["threads"] for one in told] == [1, 2]
    assert {"p50_ms", "p99_ms", "max_ms", "cold_start_s", "memory_mb", "largest_stride"} <= {
        *told[1]["graph"]
    }
    assert "strides" in capsys.readouterr().out
    seen = {k: v[:1] for k, v in stored_observations(out).items()}
    policy = load_checkpoint(out)
    policy.reset([""], [0])
    assert np.isfinite(policy.act(seen)).all()
