"""The compact vision-language-action model: told, it acts; any objects, several tasks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_contract import acts, observe
from toy import JOINTS, MakeDemos, N, arm_spec
from toy_presets import SMALLER, shrink

from envs.episode import Episode, EpisodeMeta, write_episode
from envs.errors import UsageError
from policies.action_tokens import to_actions, to_tokens
from policies.base import PolicySpec
from policies.checkpoint import Deployment, check_compatible, load_checkpoint
from policies.dataset import EpisodeSet, Reading
from policies.mixture import join
from policies.sentences import SentenceConfig, tokens_of
from policies.train import train
from policies.train_config import TrainConfig
from policies.trained import placed
from policies.vla import Vla, VlaConfig, mentioned
from policies.windows import Sampler
from scripts.main import main

LANGUAGE = Reading(language=True)
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch)


@pytest.fixture
def told(tmp_path: Path) -> Write:
    """Write demonstrations that follow from what is said alone: up or down."""

    def make(task: str, objects: tuple[str, ...], episodes: int = 6, **meta: str) -> Path:
        folder = tmp_path / task
        for i in range(episodes):
            sentence, sign = (("raise the arm", 1.0), ("lower the arm", -1.0))[i % 2]
            rng = np.random.default_rng(i)
            steps = 20
            pose = np.array([*rng.uniform(-1, 1, 3), 1, 0, 0, 0], np.float32)
            observations = {
                "qpos": rng.normal(0, 0.1, (steps, N)).astype(np.float32),
                **{f"objects/{name}": np.tile(pose, (steps, 1)) for name in objects},
            }
            named = {"task": task, "instruction": sentence, "robot": "toy", **meta}
            made = EpisodeMeta(joints=JOINTS, success=True, index=i, **named)  # type: ignore[arg-type]
            actions = np.full((steps, N), sign, np.float32)
            episode = Episode(observations, actions, np.arange(steps) / 50, made)
            write_episode(folder / f"episode_{i}.hdf5", episode)
        return folder

    return make


def model(**objects: torch.Tensor) -> tuple[Vla, dict[str, torch.Tensor]]:
    """Return a small network with random weights, and one observation of it."""
    torch.manual_seed(0)
    spec = PolicySpec(
        "toy", JOINTS, 50.0, "toy", "state", {"qpos": (N,)}, 1, 16, 8, language=True
    )  # fmt: skip
    network = Vla(replace(VlaConfig(mentions=True), **SMALLER["vla"]), spec).eval()
    seen = {"qpos": torch.zeros(1, 1, N), "sentence": network.read(["put it there"])}
    return network, {**seen, **{f"objects/{k}": v.reshape(1, 1, 7) for k, v in objects.items()}}


CUBE, PEG = torch.linspace(-1, 1, 7), torch.linspace(1, -0.5, 7)


@pytest.mark.parametrize("preset", ["quick", "quick-tokens"])
def test_it_does_what_it_is_told(preset: str, told: Write, tmp_path: Path):
    config = TrainConfig(
        "vla", told("arm", ("cube",)), tmp_path / "run", preset=preset, steps=80, lr=5e-3
    )
    policy = load_checkpoint(train(config))
    policy.reset(["raise the arm", "lower the arm"], [0, 0])
    up, down = policy.act({k: v * 0 for k, v in observe(policy, 2, 0).items()})
    assert up.mean() > 0.5
    assert down.mean() < -0.5


MILLIONS = {
    ("state", "cpu"): 12.8, ("state", "paper"): 28.3,
    ("pixels", "cpu"): 13.4, ("pixels", "paper"): 33.9,
}  # fmt: skip


@pytest.mark.parametrize(("track", "name"), MILLIONS)
def test_the_presets_have_the_size_that_is_promised(track: str, name: str) -> None:
    """As docs/vla.md says, with the two cameras of the single arm."""
    seen: dict[str, tuple[int, ...]] = {"objects/cube": (7,)}
    if track == "pixels":
        seen = {f"images/{camera}": (84, 84, 3) for camera in ("overhead", "wrist")}
    config = Vla.PRESETS[track, name].config
    spec = PolicySpec(
        "viperx", tuple("abcdefg"), 50.0, "pick_place", track, {"qpos": (7,), **seen},
        1, config.chunk, config.execute, language=True,
    )  # fmt: skip
    network = Vla(config, spec)  # type: ignore[arg-type]
    count = sum(p.numel() for p in network.parameters())
    assert count / 1e6 == pytest.approx(MILLIONS[track, name], abs=0.06)
    assert 10e6 < count < 40e6


def test_what_moves_within_a_cell_of_the_grid_is_seen(monkeypatch: pytest.MonkeyPatch):
    spec = PolicySpec(
        "viperx", tuple("abcdefg"), 50.0, "pick_place", "pixels",
        {"qpos": (7,), "images/overhead": (84, 84, 3)}, 1, 96, 48, language=True,
    )  # fmt: skip
    scene = Vla(replace(VlaConfig(), **SMALLER["vla"]), spec).scene

    def tokens(row: int, column: int) -> torch.Tensor:
        maps = torch.zeros(1, 1, scene.images.channels, 8, 8)
        maps[..., row, column] = 9.0
        monkeypatch.setattr(scene.images, "maps", lambda obs: [maps])
        found: torch.Tensor = scene({"qpos": torch.zeros(1, 1, 7)})[0]
        return found

    here, there = tokens(2, 4), tokens(3, 5)  # 4 x 4 cells of 2 x 2
    moved = (here - there).abs().amax(-1)[0]
    assert moved[1] > 1e-3  # the keypoints, after the joints
    assert moved[2:].max() < 1e-6


def test_an_object_that_is_not_there_says_nothing():
    network, seen = model(cube=CUBE)
    _, beside = model(cube=CUBE, peg=torch.full((7,), torch.nan))
    with torch.inference_mode():
        torch.testing.assert_close(network.observe(beside), network.observe(seen))


def test_rows_with_different_objects_are_read_as_they_would_be_alone():
    network, cube = model(cube=CUBE)
    _, both = model(cube=CUBE, peg=PEG, ring=PEG)
    gone = torch.full((1, 1, 7), torch.nan)
    padded = {**cube, "objects/peg": gone, "objects/ring": gone}
    together = {key: torch.cat([padded[key], both[key]]) for key in both}
    with torch.inference_mode():
        rows = network.observe(together)
        torch.testing.assert_close(rows[:1], network.observe(cube))
        torch.testing.assert_close(rows[1:], network.observe(both))


def test_an_object_is_known_by_its_name_and_not_by_its_place_in_a_list():
    network, seen = model(cube=CUBE, peg=PEG)
    _, swapped = model(cube=PEG, peg=CUBE)
    _, renamed = model(cube=CUBE, ring=PEG)
    with torch.inference_mode():
        found = network.observe(seen)
        assert (found - network.observe(swapped)).abs().max() > 1e-3
        assert (found - network.observe(renamed)).abs().max() > 1e-3


@given(st.floats(-1, 1), st.integers(2, 512))
def test_a_token_means_its_bin(value: float, bins: int):
    tokens = to_tokens(torch.tensor([value]), bins)
    assert 0 <= int(tokens) < bins
    assert abs(float(to_actions(tokens, bins)) - value) <= 1 / bins + 1e-6
    assert torch.equal(to_tokens(to_actions(tokens, bins), bins), tokens)


def test_several_tasks_are_one_data_set(told: Write):
    one, two = (
        EpisodeSet.load(told(name, objects, count), LANGUAGE)
        for name, objects, count in (("arm", ("cube",), 4), ("pair", ("cube", "peg"), 12))
    )
    both = join([one, two])
    assert both.meta.task == "arm+pair"
    assert len(both) == 16
    assert len(both.train) == len(one.train) + len(two.train)
    names = [both.names[i] for i in both.validation]
    assert {name.partition("/")[0] for name in names} == {"arm", "pair"}
    assert np.isnan(both.observations["objects/peg"][: len(one.actions)]).all()
    assert not np.isnan(both.observations["objects/cube"]).any()
    stats = both.stats().keys
    assert stats["objects/cube"] == stats["objects/peg"]  # one scale for all objects
    drawn = Sampler(both, both.train, 1, 4).batch(np.random.default_rng(0), 4000)
    share = float(np.isnan(drawn["objects/peg"]).any((1, 2)).mean())
    rows = [sum(data.lengths) ** 0.5 for data in (one, two)]
    expected = rows[0] * len(one.train) / len(one)
    expected /= expected + rows[1] * len(two.train) / len(two)
    assert share == pytest.approx(expected, abs=0.03)
    assert set(drawn["sentence"]) == {"raise the arm", "lower the arm"}


def test_demonstrations_of_another_arm_are_not_joined(told: Write):
    sets = [
        EpisodeSet.load(told(name, ("cube",), robot=robot), LANGUAGE)
        for name, robot in (("arm", "toy"), ("else", "koch"))
    ]
    with pytest.raises(UsageError, match=r"robot must be 'toy'.*got 'koch'"):
        join(sets)


def test_a_policy_of_several_tasks_acts_in_each_and_says_where_not(told: Write, tmp_path: Path):
    folders = told("arm", ("cube",)), told("pair", ("cube", "peg"))
    config = TrainConfig(
        "vla", folders[0], tmp_path / "run", preset="quick", steps=2, also=folders[1:]
    )
    policy = load_checkpoint(train(config))
    assert policy.spec.tasks == ("arm", "pair")
    arm = arm_spec()
    check_compatible(policy.spec, Deployment(arm, "pair", "state"))
    with pytest.raises(UsageError, match=r"trained for task 'arm\+pair', this is 'lift'"):
        check_compatible(policy.spec, Deployment(arm, "lift", "state"))
    for task, objects in (("arm", ("cube",)), ("pair", ("cube", "peg")), ("lift", ("ball",))):
        there = SimpleNamespace(name=task, objects=objects)
        here = placed(load_checkpoint(config.out), there)  # type: ignore[arg-type]
        assert set(here.spec.observations) == {"qpos", *(f"objects/{name}" for name in objects)}
        assert np.isfinite(acts(here, [observe(here, 2, 0)], [0, 1])).all()


def test_one_task_is_for_the_other_algorithms(
    told: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folders = [str(told("arm", ("cube",))), str(told("pair", ("cube", "peg")))]
    words = ["train", "--algo", "act", "--data", *folders, "--out", str(tmp_path / "run")]
    assert main(words) == 2
    assert "act learns one task, got 2 folders" in capsys.readouterr().err


def test_demonstrations_without_an_instruction_are_refused(
    told: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = str(told("arm", ("cube",), instruction=" "))
    assert main(["train", "--algo", "vla", "--data", data, "--out", str(tmp_path / "run")]) == 2
    assert "instruction is missing" in capsys.readouterr().err


def test_a_trial_without_an_instruction_is_refused(demos: MakeDemos, tmp_path: Path):
    config = TrainConfig("vla", demos(episodes=3), tmp_path / "run", preset="quick", steps=2)
    policy = load_checkpoint(train(config))
    with pytest.raises(UsageError, match="must be told one in each of 2 trials, got 0"):
        policy.reset([], [0, 1])


def test_an_environment_that_asks_nothing_is_refused(
    demos: MakeDemos, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    from envs.adapters import adapt
    from envs.foreign_episodes import record
    from envs.success import Success

    car = adapt("gym:MountainCarContinuous-v0")
    record(
        car, lambda seen: np.where(seen["state"][1:] >= 0, 1.0, -1.0), Success("return>0"),
        episodes=2, out=tmp_path / "car",
    )  # fmt: skip
    for path in (tmp_path / "car").glob("*.hdf5"):
        import h5py

        with h5py.File(path, "a") as file:
            file.attrs["instruction"] = "drive up"
    config = TrainConfig("vla", tmp_path / "car", tmp_path / "run", preset="quick", steps=2)
    words = ["evaluate", "--policy", str(train(config)), "--env", "gym:MountainCarContinuous-v0"]
    words += ["--success", "return>0", "--results", str(tmp_path / "results")]
    assert main(words) == 2
    assert "acts on an instruction" in capsys.readouterr().err


WORDS = st.lists(st.sampled_from(("left", "right", "tray", "cube", "cross")), max_size=6)
NAMES = st.lists(
    st.lists(st.sampled_from(("left", "right", "tray", "cube")), min_size=1, max_size=4),
    min_size=1,
    max_size=4,
)


@given(said=st.lists(WORDS, min_size=1, max_size=3), names=NAMES)
def test_an_object_is_mentioned_by_the_share_of_its_words(
    said: list[list[str]], names: list[list[str]]
):
    scene = model(**{"_".join(name): CUBE for name in names})[0].scene
    told = scene._told([f"objects/{'_'.join(name)}" for name in names])
    shares = [[sum(w in words for w in name) / len(name) for name in names] for words in said]
    config = SentenceConfig(buckets=scene.words[0].buckets)
    sentences = torch.from_numpy(tokens_of([" ".join(words) for words in said], config))
    assert torch.allclose(mentioned(told, sentences), torch.tensor(shares))


def test_which_object_is_mentioned_changes_what_the_scene_says():
    network, seen = model(cube=CUBE, peg=PEG)
    tokens = {}
    for name in ("cube", "peg", "thing"):
        sentence = network.read([f"take the {name}"])
        tokens[name] = network.scene({**seen, "sentence": sentence})[0][0]
    joints, cube, peg = 0, 1, 2
    assert torch.equal(tokens["cube"][joints], tokens["peg"][joints])
    assert torch.equal(tokens["cube"][peg], tokens["thing"][peg])
    assert torch.equal(tokens["peg"][cube], tokens["thing"][cube])
    assert not torch.equal(tokens["cube"][cube], tokens["thing"][cube])
    assert not torch.equal(tokens["peg"][peg], tokens["thing"][peg])
