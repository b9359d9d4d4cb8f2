"""armtrials train: what the user sees."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gail_curve import REQUIRED, SVG
from envs.episode import Episode, EpisodeMeta, write_episode
from policies.train_log import FILE
from scripts.main import main


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for index in range(4):
        rng = np.random.default_rng(index)
        qpos = np.cumsum(rng.normal(size=(21, 2)), axis=0).astype(np.float32)
        cube = np.tile(rng.normal(size=7), (20, 1))
        observations = {"qpos": qpos[:-1], "objects/cube": cube}
        meta = EpisodeMeta(task="toy", robot="toy", joints=("a", "b"), success=True)
        episode = Episode(observations, qpos[1:], np.arange(20) / 50, meta)
        write_episode(folder / f"episode_{index}.hdf5", episode)
    return folder


def arguments(data: Path, out: Path, change: dict[str, str] | None = None) -> list[str]:
    options = {"algo": "bc", "data": str(data), "out": str(out), "preset": "quick", "steps": "5"}
    options |= change or {}
    return ["train", *(word for k, v in options.items() for word in (f"--{k}", v))]


def test_training_ends_with_a_line_that_says_where_the_policy_is(data, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(arguments(data, out)) == 0
    assert f"{out}: 5 steps in" in capsys.readouterr().err
    assert (out / "provenance.json").exists()
    assert main(arguments(data, out)) == 0
    assert "trained already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algo": "akt"}, "unknown algorithm 'akt'; known: act, bc, bc_rnn"),
        ({"preset": "big"}, "unknown preset 'big' of bc on the state track; known: cpu, paper, qu"),
        ({"data": "nowhere"}, "nowhere is not a folder of demonstrations"),
        ({"track": "pixels"}, "no images"),
        ({"steps": "0"}, "steps must be at least 1, got 0"),
    ],
)
def test_a_mistake_is_answered_in_one_line_with_exit_code_2(
    data, tmp_path, capsys, change, message
):
    assert main(arguments(data, tmp_path / "run", change)) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error
    assert not (tmp_path / "run").exists()


def test_the_help_shows_examples(capsys):
    assert main(["train", "--help"]) == 0
    assert "armtrials train --algo act --data data/pick_place" in capsys.readouterr().out


def test_gail_that_is_interrupted_leaves_its_learning_curve(data, tmp_path, monkeypatch, capsys):
    def ended(config: object, *_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "run"
    out.mkdir()
    row = dict.fromkeys(REQUIRED, 0.25) | {"step": 1, "environment_steps": 800.0, "episodes": 4.0}
    (out / FILE).write_text(json.dumps(row) + "\n")
    monkeypatch.setattr("policies.train.train", ended)
    assert main(arguments(data, out, {"algo": "gail"})) == 130
    assert "learning curve" in capsys.readouterr().err
    assert (out / SVG).read_text().startswith("<svg")


def test_gail_in_the_folder_of_another_policy_is_refused_in_one_line(data, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(arguments(data, out)) == 0
    assert main(arguments(data, out, {"algo": "gail"})) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (out / SVG).exists()
