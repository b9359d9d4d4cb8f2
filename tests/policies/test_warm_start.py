"""Going on from another checkpoint: its settings are asked for again, or the difference is told."""

from dataclasses import replace
from pathlib import Path

import pytest
from toy import MakeDemos
from toy_presets import shrink

from envs.errors import UsageError
from policies.act import ACT
from policies.train import train
from policies.train_config import TrainConfig
from policies.vla import Vla
from policies.warm_start import differences


def test_only_the_settings_that_differ_are_told_by_their_dotted_names():
    one = Vla.PRESETS["state", "quick"].config
    other = replace(one, execute=3, trunk=replace(one.trunk, width=16, heads=2))
    told = list(differences(one, other))
    assert [line.split()[0] for line in told] == ["execute", "trunk.width", "trunk.heads"]
    assert told[0] == f"execute {one.execute}, not 3"
    assert list(differences(one, one)) == []


@pytest.mark.parametrize("ending", ["", "-delta"])
@pytest.mark.parametrize(
    ("chunk", "advice"), [(None, "give --preset quick{}"), (10, "give --preset quick{} --chunk 10")]
)
def test_the_options_that_ask_for_the_settings_of_the_checkpoint_are_told(
    chunk: int | None, advice: str, ending: str, demos: MakeDemos, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    shrink(monkeypatch)
    made = TrainConfig(
        "act", demos(episodes=3), tmp_path / "base", preset=f"quick{ending}", steps=1, chunk=chunk
    )
    train(made)
    asked = replace(made, out=tmp_path / "on", preset="cpu", chunk=None, initial=made.out)
    with pytest.raises(UsageError) as told:
        train(asked)
    message = str(told.value)
    assert message.endswith(advice.format(ending))
    assert f"chunk {chunk or 20}, not {ACT.PRESETS['state', 'cpu'].config.chunk}" in message
    assert ("actions delta, not absolute" in message) == bool(ending)
    assert len(message) < 800
    train(replace(asked, preset=made.preset, chunk=chunk))


def test_settings_that_no_preset_has_are_told_with_the_presets_there_are(
    demos: MakeDemos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = TrainConfig("act", demos(episodes=3), tmp_path / "base", preset="quick", steps=1)
    with monkeypatch.context() as patch:
        shrink(patch)
        train(made)
    asked = replace(made, out=tmp_path / "on", initial=made.out)
    with pytest.raises(UsageError, match=r"no preset has its own; known: .*quick.*cpu"):
        train(asked)
