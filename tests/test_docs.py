"""What the documents show works as shown."""

import importlib.util
import re
import sys
import threading
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from websockets.sync.server import serve

from benchmarks.records import read_run
from benchmarks.run import EvaluateConfig, evaluate
from envs.collect import collect
from envs.collection import Collection
from envs.env import TabletopEnv
from envs.expert import OPERATORS
from envs.sim import SimArm
from policies.base import ALGORITHMS, AlgorithmEntry
from policies.checkpoint import load_policy
from policies.dataset import EpisodeSet
from policies.train import train
from policies.train_config import TrainConfig
from policies.train_log import read_log

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def snippets(document: Path) -> list[str]:
    """Return the Python blocks of a document, in order."""
    return re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)


def as_module(source: str, name: str, folder: Path, patch: pytest.MonkeyPatch) -> ModuleType:
    """Import ``source`` as the module ``name``, as if it stood in its package."""
    path = folder / f"{name.rpartition('.')[2]}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    patch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("document", [README, *sorted((ROOT / "docs").glob("*.md"))])
def test_every_link_into_the_repository_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert not missing


def test_the_results_in_the_readme_are_those_of_the_leaderboard() -> None:
    board = ROOT / "results" / "leaderboard" / "leaderboard.md"
    shown = README.read_text().partition("<!-- results: begin -->")[2]
    rows = [
        line for line in shown.partition("<!-- results: end -->")[0].splitlines() if line[:1] == "|"
    ]
    known = board.read_text().splitlines() if board.exists() else []
    assert not set(rows) - set(known), "copy the table from results/leaderboard/leaderboard.md"
    assert bool(rows) == bool(known)


def test_the_policy_shown_trains_and_acts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, registration = snippets(README)
    assert source.count("\n") <= 30
    as_module(source, "policies.linear", tmp_path, monkeypatch)
    assert registration.startswith("ALGORITHMS.register(")
    name, *entry = re.findall(r'"([^"]+)"', registration)
    monkeypatch.setitem(ALGORITHMS._items, name, AlgorithmEntry(*entry))
    collect(Collection("pick_place"), 4, tmp_path / "data")
    config = TrainConfig(name, tmp_path / "data", tmp_path / "linear", steps=150)
    policy = load_policy(str(train(config)))
    assert policy.name == "linear"
    lines = read_log(tmp_path / "linear")
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_the_task_shown_can_be_demonstrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = snippets(ROOT / "docs" / "adding.md")[0]
    task = as_module(source, "envs.tasks.lift", tmp_path, monkeypatch).Lift()
    env = TabletopEnv(SimArm(task), task)
    for seed in range(5):
        env.reset(seed=seed)
        expert = task.expert(env.arm.sim.world, OPERATORS["clean"])
        expert.reset(env.start, np.random.default_rng(seed))
        over = False
        while not over:
            *_, terminated, truncated, info = env.step(expert.act(env.arm.readings))
            over = terminated or truncated
        assert info["is_success"], f"seed {seed}: stage {info['stage']}"


def test_the_foreign_demonstrations_shown_can_be_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = snippets(ROOT / "docs" / "adding.md")
    source = next(text for text in found if "foreign_episodes" in text)
    monkeypatch.chdir(tmp_path)
    as_module(source, "car", tmp_path, monkeypatch)
    data = EpisodeSet.load(tmp_path / "data" / "car")
    assert len(data) >= 19
    assert set(data.observations) == {"qpos", "state"}


def test_the_server_shown_is_evaluated_and_the_client_shown_gets_its_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = snippets(ROOT / "docs" / "serving.md")
    assert "armtrials" not in "".join(re.findall(r"^(?:import|from) .*", theirs + ours, re.M))
    server = as_module(theirs, "their_server", tmp_path, monkeypatch)
    client = as_module(ours, "their_client", tmp_path, monkeypatch)
    with serve(server.client, "127.0.0.1", 0, max_size=2**28, compression=None) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            address = f"ws://127.0.0.1:{listening.socket.getsockname()[1]}"
            spec, chunk = client.chunk(address, {"qpos": np.arange(7, dtype=np.float32)})
            asked = EvaluateConfig(
                f"remote:{address}", results=tmp_path, trials=2, conditions=("nominal",),
                videos="none",
            )  # fmt: skip
            run = read_run(evaluate(asked).folder)
        finally:
            listening.shutdown()
            thread.join()
    assert (spec["chunk"], chunk.shape, chunk[9].tolist()) == (10, (10, 7), list(range(7)))
    assert run.manifest["policy"]["remote"]["software"] == "theirs 1.0"
    assert {trial["status"] for trial in run.trials} == {"valid"}
    assert not [trial for trial in run.trials if trial["failure"] == "policy_error"]
