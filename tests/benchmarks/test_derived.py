"""Protocols with a change: same starts, another arm or other cameras, and another identity."""

import json

import numpy as np
import pytest

from benchmarks.derived import derive
from benchmarks.protocol import PROTOCOLS, state_of
from envs.errors import UsageError
from envs.gap import GAPS, gap_of

BASE = PROTOCOLS["pick_place/v1"]


def test_a_twin_protocol_begins_as_the_simulated_one_on_an_arm_with_a_gap() -> None:
    twin = PROTOCOLS["pick_place/v1+twin-hard"]
    assert twin.world == "twin"
    assert BASE.world == "sim"
    for condition in ("nominal", "object_pose/L2"):
        there, here = twin.start(condition, 3), BASE.start(condition, 3)
        assert (there.objects, there.qpos, there.seed) == (here.objects, here.qpos, here.seed)
        assert gap_of(there.factors) == GAPS["hard"]
    assert twin.seeds(3) == BASE.seeds(3)
    assert PROTOCOLS["pick_place/v1+twin"].definition()["change"]["gap"] == "ordinary"


def test_a_change_is_another_protocol_and_a_known_one() -> None:
    ids = [f"pick_place/v1{c}" for c in ("", "+twin", "+twin-hard", "+camera-5mm", "+camera-6mm")]
    protocols = [PROTOCOLS[name] for name in ids]
    assert len({p.hash for p in protocols}) == len(ids)
    for protocol in protocols:
        definition = json.loads(json.dumps(protocol.definition()))
        stated = {"id": protocol.id, "hash": protocol.hash, "definition": definition}
        assert state_of({"protocol": stated}) is None
    assert not [name for name in PROTOCOLS if "+" in name]


def test_cameras_are_shifted_by_the_distance_the_same_way_at_every_distance() -> None:
    near, far = PROTOCOLS["pick_place/v1+camera-5mm"], PROTOCOLS["pick_place/v1+camera-20mm"]
    a, b = (p.start("nominal", 7).factors["camera_pose"] for p in (near, far))
    for camera in ("overhead", "wrist"):
        assert np.linalg.norm(a[camera]["shift"]) == pytest.approx(0.005)
        assert np.allclose(4 * np.array(a[camera]["shift"]), b[camera]["shift"])
    other = near.start("nominal", 8).factors["camera_pose"]
    assert not np.allclose(other["overhead"]["shift"], a["overhead"]["shift"])
    with pytest.raises(UsageError, match="moves the cameras already"):
        near.start("camera_pose/L1", 0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("twn", "unknown change 'twn' of pick_place/v1; known: twin, twin-hard, twin-ordinary"),
        ("twin-soft", "unknown gap 'soft'; known: hard, none, ordinary"),
        ("twin-none", "gap 'none' is no gap"),
        ("camera-9999mm", "up to 1000 mm, got 9999"),
        ("camera-mm", "unknown change 'camera-mm'"),
    ],
)
def test_an_unknown_change_is_told_with_the_known_ones(change: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        derive(BASE, change)
