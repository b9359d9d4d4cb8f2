"""A policy that is shown wrong pictures is told from a healthy one, and the mistake is named."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.gate import defects, pictures
from benchmarks.gate.planted import Adapted
from benchmarks.gate.recorded import Recorded, answers
from envs.arm import Array
from envs.robots import ROBOTS
from policies.base import Policy, PolicySpec
from policies.preprocess import resize

ARM = ROBOTS["viperx"].spec()
KEYS = ("images/overhead", "images/wrist")
SIDE, COUNT = 84, 120
PICTURED = [d for d in defects.DEFECTS if d.track == defects.PIXELS]


class Reader:
    """Adds to where it is what it reads off the middle of two pictures, place by place."""

    name = "reader"

    def __init__(self, blind: bool = False) -> None:
        """Draw the weights; ``blind`` ones are 0 for the overhead camera."""
        rng = np.random.default_rng(1)
        shapes = {"qpos": (ARM.n,), **{key: (SIDE, SIDE, 3) for key in KEYS}}
        self.spec = PolicySpec(
            task="pick_place", arm=ARM.name, joints=ARM.joints, track="pixels",
            observations=shapes, control_hz=ARM.control_hz, chunk=2, n_obs=1, execute=2,
        )  # fmt: skip
        self.weights = rng.normal(size=(2, 19, 19, 3, ARM.n)) / 40
        self.weights[0] *= not blind

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Forget nothing."""

    def act(self, obs: Mapping[str, Array]) -> Array:
        """Return the same two actions a chunk."""
        said = obs["qpos"][:, -1].astype(float)
        for key, weights in zip(KEYS, self.weights, strict=True):
            middle = obs[key][:, -1, 4:-4, 4:-4] / 255 - 0.5
            small = middle.reshape(-1, 19, 4, 19, 4, 3).mean((2, 4))
            said += np.einsum("nhwc,hwca->na", small, weights)
        return np.repeat(said[:, None], 2, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    """Smooth pictures, and what was demonstrated there: nearly what a healthy reader says."""
    rng = np.random.default_rng(0)
    rough = rng.integers(0, 256, (2, COUNT, 1, 8, 8, 3)).astype(np.uint8)
    seen = {key: resize(one, (SIDE, SIDE)) for key, one in zip(KEYS, rough, strict=True)}
    seen["qpos"] = rng.normal(size=(COUNT, 1, ARM.n))
    unknown, inside = np.zeros((COUNT, 2, ARM.n)), np.ones((COUNT, 2), bool)
    recorded = Recorded(seen, unknown, inside, np.ones(COUNT, bool), np.ones(ARM.n))
    said = answers(Reader(), recorded)
    scale = said.std((0, 1))
    wanted = said + 0.05 * scale * rng.normal(size=said.shape)
    return replace(recorded, actions=wanted, scale=scale)


def cause(policy: Policy, recorded: Recorded) -> str:
    found = pictures.unseen(policy, recorded) or pictures.mistaken(policy, recorded)
    return "" if found is None else found.cause


def test_nothing_is_wrong_with_a_healthy_policys_pictures(recorded: Recorded):
    assert cause(Reader(), recorded) == ""


@pytest.mark.parametrize("defect", PICTURED, ids=lambda d: d.name)
def test_a_mistake_in_the_pictures_is_named(defect: defects.Defect, recorded: Recorded, tmp_path):
    broken = defect.plant(tmp_path, tmp_path / "broken")
    assert broken.adapter is not None
    found = cause(broken.adapter(Reader()), recorded)
    assert found.startswith(defect.causes), found


def test_a_policy_that_does_not_use_a_camera_is_told(recorded: Recorded):
    assert cause(Reader(blind=True), recorded) == "does not see the pictures of overhead"


def test_a_mistake_in_the_answers_is_not_blamed_on_the_pictures(recorded: Recorded):
    policy = Adapted(Reader(), say=lambda chunk, obs: chunk[..., ::-1].copy())
    assert cause(policy, recorded) == ""


def test_framing_undoes_zooming_but_for_the_edge():
    rng = np.random.default_rng(2)
    smooth = resize(rng.integers(0, 256, (1, 8, 8, 3)).astype(np.uint8), (SIDE, SIDE))
    back = pictures.framed(pictures.zoomed(smooth, pictures.CROP), pictures.CROP)
    gap = np.abs(back.astype(int) - smooth)[:, 6:-6, 6:-6]
    assert back.shape == smooth.shape
    assert gap.mean() < 3


CAUGHT = {"fail": ("bad", "Check"), "pass": ("", "")}


def _caught(track: str, name: str, outcome: str = "fail") -> defects.Caught:
    made = defects.Defect(name, ("bad",), lambda s, f: None, track)  # type: ignore[arg-type,return-value]
    return defects.Caught(made, outcome, *CAUGHT[outcome], 0.0)


def test_the_table_keeps_the_track_that_was_not_run_and_counts_both():
    first = defects.table([_caught("state", "a"), _caught("state", "b", "pass")])
    assert "Refused: 1 of 2; the right cause: 1 of 2." in first
    both = defects.table([_caught("pixels", "c")], first)
    assert [line.split(" | ")[0] for line in both.splitlines()[2:5]] == ["| a", "| b", "| c"]
    assert "Refused: 2 of 3; the right cause: 2 of 3." in both
    again = defects.table([_caught("state", "a")], both)
    assert "| b |" not in again
    assert "Refused: 2 of 2; the right cause: 2 of 2." in again
