"""What every algorithm keeps to, and every variant of one."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_train import interrupted_at, weights
from toy import MakeDemos, N
from toy_presets import MODELS, shrink, variants

from policies.base import ALGORITHMS, TRACKS, Policy, preset
from policies.checkpoint import load_checkpoint
from policies.checkpoint_files import FILES, pretty, sha256
from policies.configs import from_json, to_json
from policies.train import train
from policies.train_config import TrainConfig

STEPS = 6
FROM_DATA = [name for name in ALGORITHMS if not ALGORITHMS[name].trainer]
RESULTS = Path(__file__).parents[2] / "results" / "runs"
every_variant = pytest.mark.parametrize(("algo", "name"), variants())


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch)


def training(algo: str, name: str, data: Path, out: Path, **changes: object) -> TrainConfig:
    return replace(TrainConfig(algo, data, out, preset=name, steps=STEPS), **changes)


def observe(policy: Policy, rows: int, call: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng((rows, call))
    shapes = policy.spec.observations
    made = {k: rng.normal(size=(rows, policy.spec.n_obs, *s)) for k, s in shapes.items()}
    return {k: v.astype(np.float32) for k, v in made.items()}


def acts(policy: Policy, seen: list[Mapping[str, np.ndarray]], seeds: list[int]) -> np.ndarray:
    """Return what a policy does in a trial of so many observations: (calls, rows, chunk, n)."""
    policy.reset(["go"] * len(seeds), seeds)
    return np.stack([policy.act(obs) for obs in seen])


@every_variant
def test_it_trains_to_the_same_bytes_and_its_checkpoint_acts_the_same(
    algo: str, name: str, demos: MakeDemos, tmp_path: Path
):
    data = demos(episodes=4)
    one, two = (train(training(algo, name, data, tmp_path / out)) for out in "ab")
    for file in FILES:
        assert (one / file).read_bytes() == (two / file).read_bytes()
    policy = load_checkpoint(one)
    seen = [observe(policy, 2, call) for call in range(5)]
    actions = acts(policy, seen, [3, 4])
    assert actions.shape == (5, 2, policy.spec.chunk, N)
    assert actions.dtype == np.float32
    assert np.isfinite(actions).all()
    assert np.array_equal(acts(load_checkpoint(two), seen, [3, 4]), actions)
    assert np.array_equal(acts(policy, seen, [3, 4]), actions)  # a new trial forgets the old one


@every_variant
def test_a_row_acts_as_it_would_alone(algo: str, name: str, demos: MakeDemos, tmp_path: Path):
    policy = load_checkpoint(train(training(algo, name, demos(episodes=4), tmp_path / "run")))
    seen = [observe(policy, 3, call) for call in range(5)]
    together = acts(policy, seen, [5, 6, 7])
    for row in range(3):
        alone = acts(policy, [{k: v[row : row + 1] for k, v in o.items()} for o in seen], [5 + row])
        np.testing.assert_allclose(alone[:, 0], together[:, row], atol=1e-4)


@every_variant
def test_an_interrupted_training_goes_on_to_the_same_bytes(
    algo: str, name: str, demos: MakeDemos, tmp_path: Path
):
    data = demos(episodes=4)
    straight = train(training(algo, name, data, tmp_path / "straight"))
    config = training(algo, name, data, tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        train(config, advance=interrupted_at(STEPS // 2))
    assert weights(train(config)) == weights(straight)


@every_variant
def test_it_learns_offsets_as_well(algo: str, name: str, demos: MakeDemos, tmp_path: Path):
    policy = load_checkpoint(
        train(training(algo, f"{name}-delta", demos(episodes=4), tmp_path / "run"))
    )
    assert policy.name.startswith(algo)
    assert policy.name.endswith("-delta")
    assert np.isfinite(acts(policy, [observe(policy, 2, 0)], [0, 1])).all()


@pytest.mark.parametrize("algo", FROM_DATA)
def test_it_sees_pictures(algo: str, demos: MakeDemos, tmp_path: Path):
    data = demos(episodes=3, image=24)
    config = training(algo, "quick", data, tmp_path / "run", track="pixels", steps=2)
    policy = load_checkpoint(train(config))
    seen = {k: v for k, v in observe(policy, 1, 0).items() if k not in policy.spec.images}
    shape = (1, policy.spec.n_obs, 24, 24, 3)
    half = np.zeros(shape, np.uint8)
    half[:, :, 4:9] = 255
    dark, light = (
        acts(policy, [{**seen, "images/overhead": picture}], [0])
        for picture in (np.zeros(shape, np.uint8), half)
    )
    assert (dark != light).any()


@pytest.mark.parametrize("algo", FROM_DATA)
@pytest.mark.parametrize("track", TRACKS)
def test_small_presets_are_bf16_and_settings_survive_json(algo: str, track: str):
    presets = ALGORITHMS[algo].load().PRESETS
    if algo in MODELS and track == "state":
        assert not any(where == track for where, _ in presets)  # they see pictures
        return
    assert {"quick", "cpu", "paper"} <= {name for where, name in presets if where == track}
    for where, name in presets:
        config, how = preset(algo, where, f"{name}-delta")
        assert how.precision == ("fp32" if name.startswith("paper") else "bf16")
        assert from_json(type(config), to_json(config), name) == config
        if how.augment is not None:
            assert how.augment.crop == config.vision.crop  # type: ignore[attr-defined]


def test_noise_of_a_row_is_its_own(demos: MakeDemos, tmp_path: Path):
    for algo, name in variants():
        policy = load_checkpoint(
            train(training(algo, name, demos(episodes=3), tmp_path / f"{algo}{name}", steps=1))
        )
        first = {k: v[:1].repeat(2, axis=0) for k, v in observe(policy, 1, 0).items()}
        twins, others = acts(policy, [first], [8, 8])[0], acts(policy, [first], [8, 9])[0]
        np.testing.assert_allclose(twins[0], twins[1], atol=1e-5)
        if policy.algorithm.noise_shape is not None:
            assert (others[0] != others[1]).any()


def sealed_settings() -> list[tuple[str, str, str, int, str]]:
    """Return algorithm, track, preset, steps and hash of the settings of every sealed run."""
    found = set()
    for path in sorted(RESULTS.glob("*/*/manifest.json")):
        manifest = json.loads(path.read_text())
        policy = manifest["policy"]
        if "config" in policy["hashes"]:
            key = (policy["algorithm"], manifest["track"], policy["preset"])
            found.add((*key, policy["training"]["steps"], policy["hashes"]["config"]))
    return sorted(found)


def test_the_settings_on_which_sealed_results_stand_keep_their_bytes(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.undo()
    known = sealed_settings()
    assert {algo for algo, *_ in known} >= {"bc", "act", "diffusion"}
    for algo, track, name, steps, mark in known:
        config, how = preset(algo, track, name)
        how = replace(how, steps=steps)  # a harder task is learned for longer
        file = {
            "algorithm": algo,
            "settings": to_json(config),
            "image_size": None,
            "training": to_json(how),
            "normalization": how.normalization,
        }
        marks = {sha256(pretty({**file, "settings": kept})) for kept in since(file["settings"])}
        assert mark in marks, f"{algo} {track} {name}"


SINCE = (("draws", 1), ("mentions", True))
"""Settings that presets have had since some runs were sealed; what became of the second is in
docs/vla.md, and the commands of a row begin with the commit that it is of."""


def since(settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the settings, and them without each of ``SINCE``."""
    yield dict(settings)
    for later in SINCE:
        yield {k: v for k, v in settings.items() if (k, v) != later}
