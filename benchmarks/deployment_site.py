"""Where a policy is at work: the arm or its twin, who looks on, and the log of its safety chain."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.deployment import Oversight
from benchmarks.deployment_log import Duty
from benchmarks.deployment_twin import TwinJudge
from benchmarks.gate.verdict import artefact_hash
from benchmarks.lines import canonical, digest
from benchmarks.manifest import policy_entry
from benchmarks.real_trial import check_fits, check_seeing
from benchmarks.trial import cameras_of
from envs.collection import Collection
from envs.relabel import labeller_of
from envs.robots import ROBOTS
from envs.starts_file import read_starts
from envs.tasks import TASKS
from policies.base import Policy
from policies.checkpoint import Deployment as Where
from policies.checkpoint import check_compatible, load_policy
from policies.floors import FLOOR
from policies.remote import PATIENCE_S
from policies.trained import LearnedPolicy, placed
from real.address import ArmAddress
from real.calibration import Calibration
from real.connect import connect_leader
from real.control import FarArm
from real.emulators.twin import ClockTwin, Twin, TwinSetup
from real.emulators.twin_script import ScriptedHelper
from real.emulators.twin_table import TwinTable, twin_arm
from real.real_arm import RealArm
from real.real_senses import Eyes, open_senses
from real.stop import StopBoard
from real.teleop.takeover import PoseLeader

SAFETY = "safety"
TWIN = {"twin": True}
"""By whose leave a policy drives a twin: it needs none."""
OWN = "own"
FLOOR_ROBOT, FLOOR_TASK = "viperx", "pick_place"
"""What floors, which were made for none, drive and do unless told."""
APART = 1_000_000
"""Added to the seed: from the starts of a collection with the same one a policy has learned."""


@dataclass(frozen=True, eq=False)
class Site:
    """An arm that is ready for a policy.

    Attributes:
        arm: behind the safety chain.
        oversight: who looks on.
        duty: for the records.
        stop: where an emergency stop is asked for; None where nobody could.
    """

    arm: RealArm
    oversight: Oversight
    duty: Duty
    stop: StopBoard | None = None


@dataclass(frozen=True)
class Lead:
    """With what a person takes over: serial port, kind, calibration; no port: nobody does."""

    port: str = ""
    robot: str = ""
    calibration: Path | None = None

    def connect(self, follower: str) -> PoseLeader | None:
        """Return the leader of the arm ``follower``."""
        usual = {"koch": "koch_leader"}.get(follower, follower)
        if not self.port:
            return None
        known = Calibration.in_force(self.calibration)
        address = ArmAddress(self.robot or usual, self.port, calibration=known)
        return PoseLeader(connect_leader(address))


def load(
    source: str, task: str = "", robot: str = "", threads: int = 1, patience: float = PATIENCE_S
) -> Policy:
    """Load a checkpoint, a served policy, or a floor: of the task ``pick_place`` unless told.

    Args:
        source: as ``load_policy`` takes it.
        task: of a floor.
        robot: of a floor; empty: viperx.
        threads: of a prediction.
        patience: how long a server is waited for [s].

    Raises:
        UsageError: it does not load, or an unknown task or robot.
    """
    where = None
    if source.startswith(FLOOR):
        where = Where(ROBOTS[robot or FLOOR_ROBOT].spec(), TASKS[task or FLOOR_TASK].name, "state")
    return load_policy(source, where, threads, patience)


def work_of(
    policy: Policy, task: str, robot: str, starts: Path | None = None, seed: int = 0
) -> tuple[Policy, Collection]:
    """Return a policy before a task, and the starts of its episodes: none of a collection's.

    Raises:
        UsageError: a policy for another arm or task, an unknown name, or another file of starts.
    """
    spec = policy.spec
    name, robot = task or spec.tasks[0], robot or spec.arm
    policy = placed(policy, TASKS[name])
    check_compatible(policy.spec, Where(ROBOTS[robot].spec(), name, policy.spec.track))
    policy.spec = replace(policy.spec, task=name)
    cameras = cameras_of(policy.spec)
    found = () if starts is None else read_starts(starts, name, robot)
    return policy, Collection(name, robot, seed=APART + seed, cameras=cameras, starts=found)


def artefact_of(policy: Policy, source: str) -> str:
    """Return the hash by which a log knows its policy: of the files of a checkpoint.

    Of a served policy it is of the name and hashes that its server tells, which nobody checks;
    of a floor, of its kind and data.
    """
    if isinstance(policy, LearnedPolicy):
        return artefact_hash(Path(source))
    entry = policy_entry(source, policy, None)
    return digest(canonical({key: entry[key] for key in ("name", "algorithm", "seed", "hashes")}))


def identity_of(policy: Policy, source: str) -> dict[str, Any]:
    """Return what an episode says of the policy that drove in it: name, hashes, origin."""
    entry = policy_entry(source, policy, None)
    if data := entry.get("data"):
        entry["data"] = {k: data[k] for k in ("fingerprint", "episodes") if k in data}
    return {**entry, "artefact": artefact_of(policy, source), "source": source}


def duty_of(policy: Policy, source: str, leave: dict[str, Any], out: Path, sim: bool) -> Duty:
    """Return for the records under what ``policy`` is at work; each session has a safety log."""
    (out / SAFETY).mkdir(parents=True, exist_ok=True)
    name = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    return Duty(identity_of(policy, source), leave, sim, out / SAFETY / f"{name}.jsonl")


@contextmanager
def twin_site(
    setup: TwinSetup, policy: Policy, duty: Duty, clock: str = OWN, lead: float | Lead | None = None
) -> Iterator[Site]:
    """Switch a twin on.

    Args:
        setup: what it is.
        policy: whose cameras it has.
        duty: for the records.
        clock: ``own``: time passes only while the program waits; ``real``.
        lead: a leader, or after how many seconds the task's demonstrator takes over as a person
            would [s]; None: nobody does.
    """
    with ExitStack() as stack:
        twin: Twin | ClockTwin = ClockTwin(setup) if clock == OWN else Twin(setup)
        stack.callback(twin.close)
        cameras = cameras_of(policy.spec)
        arm = stack.enter_context(twin_arm(twin, cameras, log=duty.safety))
        leader: Any = None
        rescue_s = None if isinstance(lead, Lead) else lead
        if isinstance(lead, Lead):
            leader = lead.connect(arm.spec.name)
        elif lead is not None:
            labeller = labeller_of(arm.task, arm.spec.name)
            leader = ScriptedHelper(twin.truth, labeller)
        if not isinstance(arm.table, TwinTable):
            raise TypeError(f"the table of a twin must be its own, got {arm.table}")
        on = Oversight(leader, TwinJudge(arm.table), rescue_s)
        stop = arm.joints.stop if isinstance(arm.joints, FarArm) else None
        yield Site(arm, on, duty, stop)


@contextmanager
def arm_site(
    address: ArmAddress,
    policy: Policy,
    duty: Duty,
    lead: Lead,
    eyes: Eyes,
) -> Iterator[Site]:
    """Switch a real arm on; by then somebody has permitted it.

    Args:
        address: where it is.
        policy: what will drive it.
        duty: for the records.
        lead: with what a person takes over.
        eyes: its cameras, and the tags on the objects.

    Raises:
        UsageError: a camera or an object that the policy reads and nobody sees, or an arm that is
            not there.
    """
    task, wanted = TASKS[policy.spec.task], cameras_of(policy.spec)
    check_seeing(policy.spec, task, eyes.tags is not None)  # before the torque is on
    eyes.needed(wanted)
    with ExitStack() as stack:
        joints = FarArm(address, log=duty.safety)
        stack.callback(joints.close)
        senses = open_senses(eyes, wanted, joints)
        stack.callback(senses.close)
        arm = RealArm(joints, task, None, senses, wanted, address.calibration_hash)
        check_fits(policy, arm)
        yield Site(arm, Oversight(lead.connect(arm.spec.name)), duty, joints.stop)
