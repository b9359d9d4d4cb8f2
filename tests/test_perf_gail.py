"""The comparison of two GAILs: what our half trains and counts."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from envs.collect import collect
from envs.collection import Collection
from perf.gail import Bench, main, successes
from policies.dataset import EpisodeSet
from policies.gail import Gail, GailConfig

SMALL = GailConfig(hidden=(8,), judge=(8,), warm=2, episodes=2, judged=1, epochs=1, held=1)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two demonstrations of pick_place."""
    folder = tmp_path_factory.mktemp("perf") / "pick_place"
    collect(Collection("pick_place"), 2, folder)
    return folder


def test_our_half_says_what_it_trained_and_how_often_it_succeeds(
    demos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    preset = Gail.PRESETS["state", "cpu"]
    preset = preset._replace(config=SMALL, training=replace(preset.training, batch=4))
    monkeypatch.setattr(Gail, "PRESETS", {("state", "cpu"): preset})
    words = ["armtrials", "--data", str(demos), "--rounds", "2", "--trials", "3"]
    monkeypatch.setattr(sys, "argv", ["gail", *words, "--out", str(tmp_path / "out")])
    main()
    told = capsys.readouterr().out
    assert re.match(r"armtrials: 0 of 3 trials, 1,600 environment steps in \d+ s of CPU", told)
    assert (tmp_path / "out" / "log.jsonl").exists()


def test_one_round_alone_is_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["gail", "armtrials", "--data", "nowhere", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit):
        main()
    assert "--rounds must be at least 2" in capsys.readouterr().err


def test_both_halves_are_asked_for_normalised_actions_and_see_the_flag(demos: Path) -> None:
    bench = Bench(EpisodeSet.load(demos), SMALL, Gail.PRESETS["state", "cpu"], 1)
    asked: list[tuple[torch.Size, torch.Size]] = []

    def still(seen: torch.Tensor, ended: torch.Tensor) -> torch.Tensor:
        asked.append((seen.shape, ended.shape))
        return torch.zeros(len(seen), 7)

    assert successes(bench, still, 3) == 0
    assert asked == [(torch.Size([3, 21]), torch.Size([3]))] * 400
    expert = bench.expert(bench.generator(1))
    assert expert.shape == (1, 400, 21 + 1 + 7)  # the other one is held out
    assert expert[0, -1, 21] == 1.0  # it succeeded, and stays in that state
