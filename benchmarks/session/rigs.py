"""Makes what a session works with, from its lock."""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.session.arm_rig import ArmRig, OnArm
from benchmarks.session.lock import Terms
from benchmarks.session.opening import Opened
from benchmarks.session.rig import Rig
from benchmarks.session.twin_rig import Hand, OnTwin, TwinRig, steady
from envs.episode import episode_files
from envs.gap import GAPS
from policies.base import Policy
from real.address import ArmAddress
from real.calibration import Calibration
from real.control import FarArm
from real.emulators.twin import TwinSetup
from real.real_senses import Eyes, open_all
from real.tags import read_objects

RigMaker = Callable[[Opened, Sequence[Policy], threading.Event], Rig]
"""Connects to the arm of a session for its policies; the event ends what waits."""


def check_equipment(terms: Terms) -> None:
    """Refuse, before anything is locked, what no arm or twin could work with.

    Raises:
        UsageError: an unknown gap, a folder without demonstrations, a calibration of another arm,
            a file of objects or a camera that cannot be read.
    """
    reach = terms.reach
    GAPS[reach.get("gap", "none")]
    if terms.data:
        episode_files(Path(terms.data))
    if terms.world == "real":
        known = Calibration.in_force(Path(terms.calibration) if terms.calibration else None)
        ArmAddress(terms.robot, reach["port"], reach.get("interface", ""), known)
        Eyes.parse(reach.get("cameras", []), None, known)
        if reach.get("objects"):
            read_objects(Path(reach["objects"]))


def rig_of(
    opened: Opened,
    policies: Sequence[Policy],
    gone: threading.Event,
    hand: Hand = steady,
    draws: bool = True,
) -> Rig:
    """Connect to the arm that a lock names.

    Args:
        opened: the session.
        policies: as numbered in its key.
        gone: set when the session ends.
        hand: who places things on a twin's table.
        draws: whether pictures are made for the operator.
    """
    terms, protocol = opened.lock.terms, opened.protocol
    reach = terms.reach
    data = Path(terms.data) if terms.data else None
    if terms.world == "real":
        return _arm(opened, policies, gone, data)
    setup = TwinSetup(protocol.task, terms.robot, GAPS[reach.get("gap", "none")], seed=terms.seed)
    manner = OnTwin(
        opened.start(0),
        terms.place_mm,
        reach.get("clock", "own"),
        hand,
        draws,
        data,
        gone,
        terms.wanted,
    )
    return TwinRig(setup, policies, opened.folder, manner)


def _arm(
    opened: Opened, policies: Sequence[Policy], gone: threading.Event, data: Path | None
) -> Rig:
    """Connect to a real arm and its cameras."""
    terms, held = opened.lock.terms, ExitStack()
    reach = terms.reach
    objects = Path(reach["objects"]) if reach.get("objects") else None
    calibration = Calibration.in_force(Path(terms.calibration) if terms.calibration else None)
    eyes = Eyes.parse(reach.get("cameras", []), objects, calibration)
    manner = OnArm(
        opened.task,
        opened.start(0),
        opened.folder,
        terms.place_mm,
        calibration,
        objects,
        data,
        gone,
        terms.wanted,
    )
    try:
        address = ArmAddress(terms.robot, reach["port"], reach.get("interface", ""), calibration)
        joints = FarArm(address, log=opened.folder / "safety.jsonl")
        held.callback(joints.close)
        senses = open_all(eyes, joints)
        held.callback(senses.close)
        return ArmRig(joints, policies, manner, senses, held)
    except BaseException:
        held.close()
        raise
