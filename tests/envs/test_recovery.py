import numpy as np
import pytest

from envs.collection import Collection
from envs.demonstrate import Demonstrator
from envs.env import make
from envs.episode import read_episode, write_episode
from envs.errors import UsageError
from envs.recovery import HAND, MISHAPS, MISSED, NUDGE
from envs.sim import SimArm
from envs.tasks import TASKS

EPISODES = 24


@pytest.fixture(scope="module")
def recovered():
    demonstrator = Demonstrator(Collection("pick_place", recovery=1.0))
    return [demonstrator.episode(i) for i in range(EPISODES)]


def test_every_kind_of_mishap_happens_and_is_corrected(recovered):
    assert {e.meta.mishap for e in recovered} == set(MISHAPS)
    assert sum(bool(e.meta.success) for e in recovered) >= EPISODES - 1


def test_the_episode_starts_off_nominal(recovered):
    home = np.array(SimArm(TASKS["pick_place"]).spec.home)
    ordinary = Collection("pick_place")
    for i, saved in enumerate(recovered):
        start, nominal = saved.meta.start, ordinary.start(i)
        moved = np.linalg.norm(np.subtract(start.objects["cube"], nominal.objects["cube"])[:2])
        if saved.meta.mishap == HAND:
            assert moved == 0
            assert np.linalg.norm(np.array(start.qpos) - home) > 0.1
        else:
            assert 0.015 < moved < 0.08
        if saved.meta.mishap == MISSED:
            assert start.qpos[-1] < 0.6
            assert np.linalg.norm(np.array(start.qpos) - home) > 0.3


def test_nothing_but_the_correction_is_recorded(recovered):
    """The first steps of a missed grasp go back the way the hand came, and the fingers open."""
    missed = next(e for e in recovered if e.meta.mishap == MISSED)
    assert missed.actions[0, -1] < 0.6
    assert missed.actions[60, -1] > 0.8


def test_a_recovery_replays_from_its_start(recovered):
    arm = SimArm(TASKS["pick_place"])
    for saved in recovered[:3]:
        seen = [arm.home(saved.meta.start)]
        seen += [arm.command(action) for action in saved.actions]
        assert np.array_equal(np.stack([o["qpos"] for o in seen[:-1]]), saved.observations["qpos"])
        assert arm.sim.success[0] == saved.meta.success


def test_the_same_episode_comes_out_in_any_order(recovered):
    again = Demonstrator(Collection("pick_place", recovery=1.0)).episode(7)
    assert np.array_equal(again.actions, recovered[7].actions)
    assert again.meta == recovered[7].meta


def test_the_mishap_is_kept_in_the_file(recovered, tmp_path):
    path = write_episode(tmp_path / "episode_0.hdf5", recovered[0])
    assert read_episode(path).meta == recovered[0].meta
    assert "mishap" not in Demonstrator(Collection("pick_place")).begin(0).to_json()


def test_a_share_of_the_episodes_starts_off_nominal():
    demonstrator = Demonstrator(Collection("pick_place", recovery=0.3))
    plain = Demonstrator(Collection("pick_place"))
    kinds = [demonstrator.begin(i).mishap for i in range(60)]
    assert 9 <= sum(map(bool, kinds)) <= 27
    ordinary = kinds.index("")
    assert demonstrator.begin(ordinary).start == plain.begin(ordinary).start


@pytest.mark.parametrize("task", list(TASKS))
def test_every_task_can_be_recovered_from_a_push_and_what_can_be_moved_from_a_nudge(task):
    demonstrator = Demonstrator(Collection(task, recovery=1.0))
    episodes = [demonstrator.episode(i) for i in range(6)]
    assert sum(bool(e.meta.success) for e in episodes) >= 4
    kinds = demonstrator._recovery.kinds(demonstrator.collection.start(0))
    assert {e.meta.mishap for e in episodes} <= set(kinds)
    movable = (
        TASKS[task].subject(demonstrator.collection.start(0)) in demonstrator.arm.sim.world.objects
    )
    assert (NUDGE in kinds) == movable


def test_a_mixed_crew_takes_turns_and_says_who_demonstrated():
    mixed = Demonstrator(Collection("pick_place", operator="mixed"))
    names = [mixed.begin(i).operator for i in range(40)]
    assert set(names) == {"clean", "noisy", "slow", "fast"}
    assert names == [mixed.begin(i).operator for i in range(40)]
    alone = Demonstrator(Collection("pick_place", operator=names[5]))
    assert np.array_equal(mixed.episode(5).actions, alone.episode(5).actions)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_that_cannot_be_is_refused(share):
    with pytest.raises(UsageError, match=r"recovery must be a share 0..1, got"):
        Collection("pick_place", recovery=share)


def test_the_environment_takes_an_off_nominal_start(recovered):
    env = make("pick_place")
    observation, _ = env.reset(options={"start": recovered[0].meta.start})
    assert np.array_equal(observation["qpos"], recovered[0].observations["qpos"][0])
