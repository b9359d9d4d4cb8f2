"""Insertion: the hole is as tight as it says, and only a peg in its hole counts."""

import numpy as np
import pytest

from envs.errors import UsageError
from envs.parts import socket, standing
from envs.readings import Readings
from envs.tasks import TASKS
from envs.tasks.insertion import DEPTH, LEAD, PEG, WALL, Insertion
from envs.variation import perturb
from envs.world import world
from tests.envs.fitting import demonstrate, moved, start_of, watch

NAMES = ("insertion_2mm", "insertion", "insertion_05mm")
TASK = TASKS["insertion"]


def dropped(x=0.0, y=0.0, yaw=0.0, task=TASK):
    """Return height of the peg 1.2 s after it was let go over the socket, off by x, y, yaw."""
    start = moved(
        start_of(task, 0),
        {
            "socket": standing(0.33, 0.1, 0.0, 0.0),
            "peg": standing(0.33 + x, 0.1 + y, yaw, PEG[2] + DEPTH + 0.003),
        },
    )
    sims, r = watch(task, start, 60)
    return float(r["peg_pos"][2][-1, 0]), sims


@pytest.mark.parametrize(
    ("name", "clearance"), list(zip(NAMES, (0.002, 0.001, 0.0005), strict=True))
)
def test_the_hole_is_wider_than_the_peg_by_the_clearance(name, clearance):
    model = world(TASKS[name]).model
    body = model.body("socket")
    geoms = range(int(body.geomadr[0]), int(body.geomadr[0]) + int(body.geomnum[0]))
    for axis in (0, 1):
        faces = [
            abs(model.geom_pos[g][axis]) - model.geom_size[g][axis]
            for g in geoms
            if model.geom_quat[g][0] == 1.0 and abs(model.geom_pos[g][axis]) > 0.001
        ]
        assert 2 * min(faces) - 2 * PEG[axis] == pytest.approx(clearance)


def test_a_peg_let_go_over_the_hole_falls_to_the_table():
    height, _ = dropped()
    assert height == pytest.approx(PEG[2], abs=0.002)


@pytest.mark.parametrize("aside", [(0.004, 0.0), (-0.003, 0.003)])
def test_the_slopes_lead_a_peg_that_is_millimetres_off_into_the_hole(aside):
    height, _ = dropped(*aside)
    assert height == pytest.approx(PEG[2], abs=0.002)


def test_a_peg_that_is_turned_by_an_eighth_does_not_enter():
    height, _ = dropped(yaw=np.pi / 4)
    assert height > PEG[2] + DEPTH - LEAD - 0.003


def test_a_peg_does_not_go_through_the_wall():
    height, _ = dropped(x=PEG[0] + WALL / 2)
    assert height > 0.012  # it stands on the edge, or has toppled off the socket


def test_a_peg_that_lies_in_its_hole_from_the_start_is_no_success_without_the_work():
    _, sims = dropped()
    assert not sims.success[0]
    assert sims.stage[0] == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_expert_inserts_at_every_clearance(name):
    task = TASKS[name]
    for seed in range(8):
        sims, r = demonstrate(task, start_of(task, 500 + seed))
        assert sims.success[0], f"seed {seed}"
        assert not np.asarray(task.failures(r)["jammed"]).any()


def test_the_expert_inserts_with_the_openarm():
    for seed in range(4):
        assert demonstrate(TASK, start_of(TASK, seed, "openarm"), "openarm")[0].success[0]


def test_an_arm_that_cannot_reach_is_refused_with_the_reason_and_those_that_can():
    with pytest.raises(UsageError, match=r"'koch' cannot do insertion: .*viperx, openarm"):
        world(TASK, "koch")


def test_a_peg_that_stays_half_way_is_jammed_until_it_goes_home():
    index = world(TASK).sensors
    width = max(part.stop for part in index.values())
    values = np.zeros((width, 200, 2))
    values[index["peg_pos"].start + 2] = PEG[2] + 0.01
    values[index["peg_pos"].start + 2, 150:, 1] = PEG[2]
    flags = np.asarray(TASK.failures(Readings(index, list(values)))["jammed"])
    assert not flags[:99].any()
    assert flags[100:, 0].all()
    assert not flags[150:, 1].any()


@pytest.mark.parametrize("level", ["L1", "L2", "L3"])
def test_peg_and_socket_start_apart_also_when_the_peg_is_moved(level):
    arm = world(TASK).arm
    for seed in range(200):
        rng = np.random.default_rng(seed)
        start = perturb(TASK.sample(rng, arm), TASK, [("object_pose", level)], rng)
        peg, hole = (np.array(start.objects[name][:2]) for name in ("peg", "socket"))
        assert np.linalg.norm(peg - hole) > 0.119
        assert abs(hole[1]) < 0.2


@pytest.mark.parametrize("clearance", [0.0, -0.001, 0.01])
def test_a_clearance_that_makes_no_sense_is_refused(clearance):
    with pytest.raises(ValueError, match=r"clearance must be \.0002\.\.0\.004 m"):
        Insertion(clearance)


def test_slopes_that_do_not_fit_the_wall_are_refused():
    with pytest.raises(ValueError, match="a lead must be less than the depth"):
        socket(0.0125, 0.01, 0.03, 0.006)
