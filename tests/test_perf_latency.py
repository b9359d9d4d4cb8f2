"""What a prediction costs, by the hash of the weights that make it."""

import json
from pathlib import Path

import pytest

from benchmarks.comparison import prediction_cost
from envs.collect import collect
from envs.collection import Collection
from perf.latency import main
from policies.train import train
from policies.train_config import TrainConfig


@pytest.fixture(scope="module")
def diffusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Diffusion Policy after one step."""
    folder = tmp_path_factory.mktemp("latency")
    collect(Collection("pick_place"), 2, folder / "data")
    train(TrainConfig("diffusion", folder / "data", folder / "policy", steps=1, batch=2))
    return folder / "policy"


def test_fewer_steps_cost_less_and_the_weights_are_named(
    diffusion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [str(diffusion), f"{diffusion}@1", "--count", "10", "--json", str(tmp_path / "l.json")]
    monkeypatch.setattr("sys.argv", ["latency", *words])
    assert main() == 0
    own, one = json.loads((tmp_path / "l.json").read_text())["policies"]
    hashes = json.loads((diffusion / "provenance.json").read_text())["hashes"]
    assert own["weights"] == one["weights"] == hashes["model.safetensors"]
    assert (own["ddim_steps"], one["ddim_steps"]) == (None, 1)
    assert 0 < one["cpu_ms"] < own["cpu_ms"]
    monkeypatch.setattr("sys.argv", ["latency", f"{diffusion}@2", *words[2:]])
    assert main() == 0
    kept = json.loads((tmp_path / "l.json").read_text())
    assert kept["policies"][:2] == [own, one]
    assert kept["policies"][2]["ddim_steps"] == 2
    (tmp_path / "l.json").write_text(json.dumps(kept | {"cpu": "another"}))
    assert main() == 0
    assert len(json.loads((tmp_path / "l.json").read_text())["policies"]) == 1


@pytest.mark.parametrize("steps", ["", "two", "0"])
def test_steps_that_are_none_are_refused(
    steps: str, diffusion: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["latency", f"{diffusion}@{steps}"])
    assert main() == 2
    assert f"{steps!r}" in (told := capsys.readouterr().err) or "--ddim-steps must be" in told


def test_every_cost_on_the_page_is_of_weights_that_were_evaluated() -> None:
    results = Path(__file__).resolve().parent.parent / "results"
    assert {"bc", "act", "diffusion", "flow", "vla", "dagger"} <= prediction_cost(results).keys()
