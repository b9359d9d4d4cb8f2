"""Diagnosis of trials that ended before their first step."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from test_diagnose import EPISODES, TRIALS, Knowing, tried

import benchmarks.run as running
from benchmarks.diagnose import UNSEEN, diagnose
from benchmarks.report.diagnose_page import write_diagnosis
from benchmarks.suspects import UNDECIDED
from envs.arm import Array
from envs.collect import collect
from envs.collection import Collection
from policies.dataset import EpisodeSet, Reading


@pytest.mark.parametrize("broken", [TRIALS, 2])
def test_trials_that_end_before_their_first_step_have_no_path_to_diagnose_from(
    broken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Breaking(Knowing):
        def act(self, obs: Mapping[str, Array]) -> Array:
            chunk = super().act(obs)
            chunk[:broken] = np.nan
            return chunk

    collect(Collection("pick_place"), EPISODES, tmp_path / "data")
    data = EpisodeSet.load(tmp_path / "data", Reading("state"))
    monkeypatch.setattr(running, "load", lambda config: Breaking(data, lambda seen: False))
    run = tried(tmp_path, "floor:knowing")
    found = diagnose(run, tmp_path / "data")
    lengths = [len(walk) for walk in found.walks]
    assert lengths.count(0) == broken
    note = f"{broken} of {TRIALS} trials ended before their first step: they have no path."
    assert found.notes[-1] == note
    assert np.isnan(found.modes.tried).sum() == broken
    assert found.cause == UNDECIDED, found.suspects
    if broken == TRIALS:
        assert "no path to diagnose from" in found.remedy
        assert "(NaN or a wrong shape at step 0)" in found.remedy
        assert found.suspects[1].evidence == "no trial has enough steps to look at"
    else:
        assert found.remedy == UNSEEN
    page = write_diagnosis(found, [], "viperx", tmp_path / "out")
    assert note in page.read_text()
