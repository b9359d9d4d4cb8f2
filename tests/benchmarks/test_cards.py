"""Model cards and data cards say what the files say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_checkpoint import config

from benchmarks.cards import card
from benchmarks.records import read_run
from benchmarks.run import evaluate
from envs.episode import Episode, EpisodeMeta, write_episode
from envs.errors import UsageError
from envs.formats.convert import Conversion, convert

META = EpisodeMeta("pick_place", "put it there", "viperx", operator="clean", success=True)


def demonstrations(folder: Path) -> Path:
    for i, steps in enumerate((50, 100, 150)):
        qpos = np.full((steps, 7), 0.1 * i)
        outcome = replace(META, success=i < 2, failure="" if i < 2 else "dropped")
        write_episode(
            folder / f"episode_{i}.hdf5",
            Episode({"qpos": qpos}, qpos + 0.5, np.arange(steps) / 50, outcome),
        )
    return folder


def test_a_data_card_counts_what_was_told(tmp_path: Path) -> None:
    text = card(demonstrations(tmp_path / "data"), None)
    assert "| episodes | 3 |" in text
    assert "| steps | 300, 50 to 150 an episode |" in text
    assert "| outcome | success (2), failure dropped (1) |" in text
    assert "| instruction | put it there |" in text
    assert "| joint 0 | 0.500 | 0.700 |" in text


def test_every_format_has_the_same_card_but_for_its_name(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    source = demonstrations(tmp_path / "data")
    convert(Conversion(source, tmp_path / "l/data", "lerobot"))
    convert(Conversion(source, tmp_path / "data.hdf5", "robomimic"))
    cards = [card(p, None) for p in (source, tmp_path / "l/data", tmp_path / "data.hdf5")]
    plain = [
        [line for line in text.splitlines() if "format" not in line and "# Data card" not in line]
        for text in cards
    ]
    assert plain[0] == plain[1] == plain[2]


def test_a_model_card_has_the_results_of_these_weights(checkpoint: Path, tmp_path: Path) -> None:
    text = card(checkpoint, tmp_path)
    assert "No sealed run of these weights was looked at." in text
    done = evaluate(config(checkpoint, tmp_path))
    evaluate(config("floor:hold", tmp_path))
    text = card(checkpoint, tmp_path)
    cell = read_run(done.folder).cells()["observation/L2"]
    successes = sum(t["success"] for t in cell)
    assert f"| observation/L2 | {successes}/4 =" in text
    assert done.folder.name in text
    assert "hold" not in text
    assert "| algorithm | bc |" in text


def test_what_a_stranger_wrote_is_no_markup_in_a_card(tmp_path: Path) -> None:
    qpos = np.zeros((2, 7))
    meta = replace(META, instruction="a | b\n# Heading <script>[x](y)")
    write_episode(tmp_path / "d/episode_0.hdf5", Episode({"qpos": qpos}, qpos, np.arange(2), meta))
    text = card(tmp_path / "d", None)
    assert "a \\| b \\# Heading \\<script\\>" in text
    assert len([line for line in text.splitlines() if line.startswith("# ")]) == 1


def test_a_run_or_nothing_has_no_card(checkpoint: Path, tmp_path: Path) -> None:
    done = evaluate(config(checkpoint, tmp_path))
    with pytest.raises(UsageError, match="is a run: cards are of checkpoints"):
        card(done.folder, None)
    with pytest.raises(UsageError, match="does not exist"):
        card(tmp_path / "none", None)


def test_the_command_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scripts.main import main

    assert main(["card", str(demonstrations(tmp_path / "data"))]) == 0
    assert capsys.readouterr().out.startswith("# Data card: data")
