"""A session taken up: its files, its policies and the checks that need no arm."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.gate.verdict import Permission, Use, own_execution, require_verdict
from benchmarks.protocol import NOMINAL, PROTOCOLS, EvalProtocol
from benchmarks.session.lock import Driver, Key, Lock, Terms, changed, read_key, read_lock
from benchmarks.session.mask import Mask
from benchmarks.session.rig import Found, Probe
from benchmarks.session.state import FAIL, NOT_HERE, PASS
from envs.arm import InitialCondition
from envs.errors import UsageError
from envs.robots import ROBOTS
from envs.task import Task
from envs.tasks import TASKS
from policies.base import Policy
from policies.checkpoint import Deployment, check_compatible, load_policy
from policies.floors import FLOOR
from policies.trained import placed

ROOM = 64e6
"""Room on the disk that a session wants beside its films [bytes]."""

USUAL = "pick_place"
"""What policies do that were trained for nothing."""

FILM = 2e6
"""Room for a trial with its film [bytes]."""


@dataclass(frozen=True)
class Opened:
    """What a session is made of.

    Attributes:
        folder: of it.
        lock: what was fixed.
        key: which policy is which; shown to nobody.
        mask: takes the policies' names out of texts.
        permission: for each policy, why it may move the arm.
    """

    folder: Path
    lock: Lock
    key: Key
    mask: Mask
    permission: tuple[Permission, ...]

    @property
    def protocol(self) -> EvalProtocol:
        """Whose starts they are."""
        return PROTOCOLS[self.lock.terms.protocol]

    @property
    def task(self) -> Task:
        """What is to be done."""
        return TASKS[self.protocol.task]

    def start(self, ic: int) -> InitialCondition:
        """Return a start."""
        return self.protocol.start(NOMINAL, ic)

    def instruction(self, ic: int) -> str:
        """Return what the arm is told to do from a start."""
        return self.task.instruct(self.start(ic))

    @property
    def limit_s(self) -> float:
        """Time that a policy has for a trial [s]."""
        return self.task.horizon / ROBOTS[self.protocol.robot].spec().control_hz

    def load(self) -> list[Policy]:
        """Load the policies in the key's order.

        Raises:
            UsageError: one that does not load, or is of another arm, task or track.
        """
        return load_drivers(self.key.drivers, self.lock.terms)


def open_session(folder: Path) -> Opened:
    """Read a session and refuse it where a file is not the one that was locked.

    Raises:
        UsageError: which files, without naming a policy; or a policy without permission.
    """
    lock = read_lock(folder)
    key = read_key(folder, lock)
    mask = Mask(key)
    wrong = changed(lock, key)
    if wrong:
        raise UsageError(f"{folder} cannot go on: {'; '.join(map(mask, wrong))}")
    try:
        permission = tuple(permit(driver, lock.terms) for driver in key.drivers)
    except UsageError as error:
        raise UsageError(mask(str(error))) from None
    return Opened(Path(folder), lock, key, mask, permission)


def permit(driver: Driver, terms: Terms) -> Permission:
    """Return why a policy may move the arm; the twin needs no verdict.

    Raises:
        UsageError: no passing verdict for exactly this artefact, robot, calibration and execution.
    """
    if not driver.verdict and terms.world == "twin":
        return Permission()
    calibration = Path(terms.calibration) if terms.calibration else None
    signed = Path(driver.signed) if driver.signed else None
    place = Path(driver.verdict or Path("gates") / Path(driver.source).name / "verdict.json")
    floor = driver.source.startswith(FLOOR)
    execution = None if floor else own_execution(driver.source, terms.wanted)
    use = Use(Path(driver.source), terms.robot, calibration, execution)
    return require_verdict(place, use, signed, driver.override)


def load_drivers(drivers: Sequence[Driver], terms: Terms) -> list[Policy]:
    """Load the policies of a session: all of one track, for its arm and task, to denoise as asked.

    Raises:
        UsageError: one does not fit, or cannot be carried out as asked.
    """
    protocol = terms.definition
    arm, policies = ROBOTS[protocol.robot].spec(), []
    for driver in drivers:
        if driver.source.startswith(FLOOR):
            where = Deployment(arm, protocol.task, "state")
            policies.append(load_policy(driver.source, where))
            continue
        policy = load_policy(driver.source)
        check_compatible(policy.spec, Deployment(arm, protocol.task, policy.spec.track))
        policies.append(placed(policy, TASKS[protocol.task]))
    for policy in policies:
        terms.wanted.use(policy)
        terms.wanted.execution(policy.spec)
    tracks = {(p.spec.track, _pictures(p)) for p in policies}
    if len(tracks) > 1:
        raise UsageError("the policies of a session must read the same: all state, or all pixels "
                         "from the same cameras at the same sizes")  # fmt: skip
    return policies


def protocol_of(sources: Sequence[str]) -> str:
    """Return the protocol of what policies were trained for: the first version of its task's.

    Raises:
        UsageError: they were trained for several tasks, or one does not load.
    """
    trained = [load_policy(source) for source in sources if not source.startswith(FLOOR)]
    tasks = {policy.spec.task for policy in trained}
    if len(tasks) > 1:
        raise UsageError(
            f"the policies of a session must do the same; these do {', '.join(sorted(tasks))}"
        )
    return f"{tasks.pop() if tasks else USUAL}/v1"


def _pictures(policy: Policy) -> tuple[tuple[str, tuple[int, ...]], ...]:
    shapes = policy.spec.observations
    return tuple((k, tuple(v)) for k, v in sorted(shapes.items()) if k.startswith("images/"))


def checks(opened: Opened, load: Callable[[], object]) -> Sequence[Probe]:
    """Return the checks that need no arm, in their order.

    Args:
        opened: the session.
        load: loads the policies, each of which answers a stored observation then.
    """
    return (
        Probe("files", "Files are those that were locked", lambda: _files(opened, load)),
        Probe("gate", "Verdict of the gate", lambda: _gate(opened)),
        Probe("disk", "Room on the disk", lambda: _disk(opened)),
        Probe("clock", "Clock", lambda: _clock(opened)),
    )


def _files(opened: Opened, load: Callable[[], object]) -> Found:
    load()
    body = opened.lock.body
    evidence = {name: body[name] for name in ("protocol", "robot", "calibration", "artefacts")}
    count = opened.lock.arms
    told = f"{count} artefacts loaded, each gave its stored answer; lock {opened.lock.hash[:12]}"
    return Found(PASS, told, evidence)


def _gate(opened: Opened) -> Found:
    told = [permission.to_json() for permission in opened.permission]
    overridden = [one["override"] for one in told if one["override"]]
    if overridden:
        return Found(
            PASS, f"overridden: {'; '.join(overridden)}; every trial records it", {"of": told}
        )
    if not any(one["verdict"] for one in told):
        return Found(NOT_HERE, "the twin needs no verdict")
    return Found(
        PASS, "passing verdicts for these artefacts, robot, calibration and execution", {"of": told}
    )


def _disk(opened: Opened) -> Found:
    free = shutil.disk_usage(opened.folder).free
    terms = opened.lock.terms
    wanted = ROOM + FILM * terms.blocks * opened.lock.arms
    told = f"{free / 1e9:.1f} GB free, {wanted / 1e9:.1f} GB wanted"
    return Found(PASS if free >= wanted else FAIL, told, {"free": free, "wanted": int(wanted)})


def _clock(opened: Opened) -> Found:
    made = datetime.fromisoformat(opened.lock.body["made"]).timestamp()
    before, wall = time.monotonic(), time.time()
    time.sleep(0.1)
    drift = abs((time.time() - wall) - (time.monotonic() - before))
    evidence = {"since_lock_s": round(wall - made, 1), "drift_s": round(drift, 4)}
    if wall < made:
        return Found(FAIL, "the clock is before the time of the lock: set it", evidence)
    if drift > 0.05:
        return Found(FAIL, "the clock is being set while it runs: wait", evidence)
    told = f"{(wall - made) / 60:.0f} min after the lock, steady"
    return Found(PASS, told, evidence)


def titles(probes: Sequence[Probe]) -> Mapping[str, str]:
    """Return the checks' names for people."""
    return {probe.name: probe.title for probe in probes}
