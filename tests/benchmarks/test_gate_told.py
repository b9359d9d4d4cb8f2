"""The gate tells a policy the words that belong to what it is shown, and says who ended a trial."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.execution import Execution
from benchmarks.gate.check import FAIL, PASS
from benchmarks.gate.diagnosis import check_actions
from benchmarks.gate.live import Thresholds, check_latency, check_recorded
from benchmarks.gate.loop import check_loop
from benchmarks.gate.recorded import Recorded, answers, follow, record_of
from benchmarks.protocol import PROTOCOLS
from envs.arm import Arm, Array
from envs.collect import collect
from envs.collection import Collection
from envs.episode import read_episode
from envs.robots import ROBOTS
from envs.tasks import TASKS
from policies.base import PolicySpec
from policies.bc import BcConfig
from policies.dataset import EpisodeSet, Reading, spec_of
from policies.remote import PolicyGoneError
from real.safe_arm import StoppedError
from real.verdict import INVALID_HARDWARE, STOPPED

ARM = ROBOTS["viperx"].spec()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Demonstrations that were asked for different things."""
    folder = tmp_path_factory.mktemp("gate_told") / "language_pick"
    collect(Collection("language_pick"), 5, folder)
    return folder


@pytest.fixture(scope="module")
def data(folder: Path) -> EpisodeSet:
    return EpisodeSet.load(folder, Reading(language=True))


class Listener:
    """Answers as demonstrated, if it is told what the demonstrator was told there."""

    name = "listener"

    def __init__(self, folder: Path, data: EpisodeSet) -> None:
        self.spec = spec_of(data, BcConfig(chunk=2, execute=2))
        self.provenance = {"data": {"train": list(data.names)}}
        self.heard: set[str] = set()
        self._known: dict[bytes, tuple[str, Array]] = {}
        for path in sorted(folder.glob("*.hdf5")):
            episode = read_episode(path)
            last = len(episode) - 1
            for t, qpos in enumerate(episode.observations["qpos"]):
                chunk = episode.actions[[t, min(t + 1, last)]]
                self._known[qpos.tobytes()] = episode.meta.instruction, chunk

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        assert len(instructions) == len(seeds)
        self._told = list(instructions)

    def act(self, obs: Mapping[str, Array]) -> Array:
        rows = [self._known[qpos.tobytes()] for qpos in obs["qpos"][:, -1]]
        assert [told for told, _ in rows] == self._told
        self.heard |= set(self._told)
        return np.array([chunk for _, chunk in rows], np.float32)


def listen(folder: Path, data: EpisodeSet) -> tuple[Listener, Recorded]:
    policy = Listener(folder, data)
    return policy, record_of(data, policy, 200)


def test_every_check_tells_what_was_told_when_it_was_recorded(folder: Path, data: EpisodeSet):
    policy, recorded = listen(folder, data)
    asked = {read_episode(path).meta.instruction for path in folder.glob("*.hdf5")}
    assert len(asked) > 1
    predicted = answers(policy, recorded)
    assert policy.heard == asked
    check_actions(policy, ARM, recorded, predicted, data)  # any other words would have raised
    policy.heard.clear()
    found = check_recorded(policy, ARM, recorded)
    assert (found.outcome, policy.heard) == (PASS, asked)
    assert found.evidence["observations"] >= len(recorded)
    assert (follow(policy, data, range(len(data)), 3) == 0).all()
    assert check_latency(policy, recorded, Execution(2), 5, busy=0).evidence["predictions"] == 5


def test_words_stay_with_their_observation(folder: Path, data: EpisodeSet):
    policy, recorded = listen(folder, data)
    rows = np.array([150, 3, 77])
    part = recorded.part(rows)
    assert part.instructions == [recorded.instructions[i] for i in rows]
    assert part.seeing(part.observations).instructions == part.instructions
    assert np.array_equal(answers(policy, part), answers(policy, recorded)[rows])


def test_a_policy_that_reads_no_words_is_told_none(folder: Path):
    data = EpisodeSet.load(folder)
    recorded = record_of(data, SimpleNamespace(spec=spec_of(data, BcConfig()), provenance={}), 20)
    assert recorded.instructions == [""] * 20


class Still(Arm):
    """An arm that stays where it is until ``error`` is raised."""

    def __init__(self, error: Exception | None = None) -> None:
        self.spec, self.error, self.left = ARM, error, 5

    def home(self, start):
        self.qpos = np.array(start.qpos, np.float32)
        return self.observe()

    def observe(self):
        return {"qpos": self.qpos}

    def command(self, target):
        self.left -= 1
        if self.error and self.left < 0:
            raise self.error
        return self.observe()

    def close(self) -> None:
        """Nothing to close."""


class Failing:
    """Holds the arm still; after some steps it fails by ``how``."""

    name = "failing"

    def __init__(self, how: Exception | float) -> None:
        seen = {"qpos": (ARM.n,)}
        self.spec = PolicySpec("viperx", ARM.joints, 50.0, "pick_place", "state", seen, 1, 1, 1)
        self.how, self.left = how, 3

    def reset(self, instructions: Sequence[str], seeds: Sequence[int]) -> None:
        """Nothing is kept."""

    def act(self, obs: Mapping[str, Array]) -> Array:
        self.left -= 1
        if self.left < 0 and isinstance(self.how, Exception):
            raise self.how
        return obs["qpos"] * (1.0 if self.left >= 0 else self.how)


@pytest.mark.parametrize(
    ("policy", "arm", "cause", "said"),
    [
        (TypeError("qpos is short"), None, "raises an error", "TypeError: qpos is short"),
        (float("nan"), None, "not finite or of another shape", "not finite"),
        (PolicyGoneError("no answer"), None, "its server is gone", "no answer"),
        (1.0, StoppedError(STOPPED, "the button"), "stopped by the safety chain", "the button"),
        (1.0, StoppedError(INVALID_HARDWARE, "cable"), "the hardware failed", "cable"),
        (1.0, RuntimeError("the bus is silent"), "the hardware failed", "the bus is silent"),
    ],
)
def test_a_cut_trial_names_what_cut_it(policy, arm, cause: str, said: str):
    protocol = PROTOCOLS["pick_place/v1"]
    assert TASKS[protocol.task].horizon > 10
    once = (protocol, Execution(1), Thresholds(), 1)
    found = check_loop(lambda spec: Still(arm), Failing(policy), *once)
    assert (found.outcome, found.cause) == (FAIL, cause)
    assert said in found.text


def test_a_trial_that_nothing_cuts_has_no_such_cause():
    once = (PROTOCOLS["pick_place/v1"], Execution(1), Thresholds(), 1)
    assert check_loop(lambda spec: Still(), Failing(1.0), *once).outcome == PASS
