"""What is fixed before the first trial: the lock, which everybody may read, and the hidden key.

The lock holds protocol, robot, calibration, the artefacts by hash and the schedule with its blind
codes, but not which policy is which. That is in the key, a file that no editor or ``grep`` shows
anything of; the lock holds its salted hash, so the key cannot be exchanged later.
"""

import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.execution import Wanted
from benchmarks.gate.verdict import NONE, artefact_hash, file_hash, robot_hash
from benchmarks.lines import canonical, digest, parse
from benchmarks.protocol import PROTOCOLS, EvalProtocol
from benchmarks.session.schedule import Planned, draw
from envs.atomic import write_whole
from envs.errors import UsageError
from envs.tasks import TASKS
from policies.checkpoint_files import PROVENANCE
from policies.floors import FLOOR

LOCK, KEY = "lock.json", "blind.key"
FILE_MODE = 0o600
"""Of the key."""

SCHEMA = 1
WORLDS = ("twin", "real")


@dataclass(frozen=True)
class Terms:
    """What is agreed, and nobody has to be blind to.

    Attributes:
        name: of the session.
        world: ``twin`` or ``real``.
        protocol: whose task and starts they are.
        robot: registered robot.
        blocks: complete blocks after which it ends in any case.
        seed: of the schedule.
        alpha: two-sided error of the test that decides, over all pairs of policies.
        share: of the blocks whose films a second person rates.
        place_mm: how far off an object may be put [mm].
        reach: how the arm is reached: ``port``, ``interface``, ``gap``, ``clock``, cameras.
        calibration: file or folder; empty: none.
        data: demonstrations of which one is replayed before the trials; empty: none.
        results: folder of the sealed runs.
        execution: how chunks of all policies are carried out: fields of ``Wanted``; what is left
            out is as the policy has it.
    """

    name: str
    world: str
    protocol: str
    robot: str
    blocks: int
    seed: int = 0
    alpha: float = 0.05
    share: float = 0.2
    place_mm: float = 5.0
    reach: Mapping[str, Any] = field(default_factory=dict)
    calibration: str = ""
    data: str = ""
    results: str = "evaluations"
    execution: Mapping[str, Any] = field(default_factory=dict)

    @property
    def definition(self) -> EvalProtocol:
        """The protocol itself."""
        return PROTOCOLS[self.protocol]

    @property
    def wanted(self) -> Wanted:
        """How chunks of all policies are carried out."""
        return Wanted(**self.execution)

    def __post_init__(self) -> None:
        """Refuse what no session can be of.

        Raises:
            UsageError: it names the value and the rule.
        """
        protocol, _ = PROTOCOLS[self.protocol], self.wanted
        if self.world not in WORLDS:
            raise UsageError(f"unknown world {self.world!r}; known: {', '.join(WORLDS)}")
        if not 1 <= self.blocks <= protocol.trials:
            raise UsageError(
                f"blocks must be 1..{protocol.trials}, the starts of {protocol.id}, "
                f"got {self.blocks}"
            )
        if self.robot != protocol.robot:
            raise UsageError(f"{protocol.id} is of {protocol.robot}, not of {self.robot}")
        if not 0 < self.alpha < 1 or not self.place_mm > 0:
            raise UsageError(
                f"needed: 0 < alpha < 1 and a tolerance above 0 mm, got {self.alpha:g} and "
                f"{self.place_mm:g} mm"
            )


@dataclass(frozen=True)
class Driver:
    """One policy of a session, as only the key names it.

    Attributes:
        name: unique within the session.
        source: checkpoint folder or floor.
        artefact: its hash.
        verdict: file of the gate; empty: none.
        signed: file of the secret that signed it; empty: none.
        override: a reason to do without.
    """

    name: str
    source: str
    artefact: str
    verdict: str = ""
    signed: str = ""
    override: str = ""


@dataclass(frozen=True)
class Key:
    """Which policy is which, numbered as the schedule's ``arm``."""

    salt: str
    drivers: tuple[Driver, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"salt": self.salt, "drivers": [asdict(driver) for driver in self.drivers]}

    @property
    def hash(self) -> str:
        """SHA-256 with the salt in it: nobody finds the order by trying all."""
        return digest(canonical(self.to_json()))


@dataclass(frozen=True)
class Lock:
    """A locked session.

    Attributes:
        terms: what is agreed.
        schedule: all trials; ``arm`` follows from the seed and is not in the file.
        arms: how many policies.
        bodies: the content of the file, with hashes of protocol, robot, calibration, artefacts.
        hash: of the content.
    """

    terms: Terms
    schedule: tuple[Planned, ...]
    arms: int
    body: Mapping[str, Any]
    hash: str

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the task's stages, in their order."""
        return tuple(self.body["stages"])

    def planned(self, code: str) -> Planned:
        """Return the trial with this code."""
        return next(trial for trial in self.schedule if trial.code == code)


def artefact_of(source: str) -> str:
    """Return the hash of a checkpoint folder, or of a floor's name.

    Raises:
        UsageError: it cannot be read, or a file of it was changed.
    """
    if source.startswith(FLOOR):
        return digest(source.encode())
    folder = Path(source)
    found = artefact_hash(folder)
    try:
        stated = parse((folder / PROVENANCE).read_bytes())["hashes"]
        wrong = [
            name for name, sha in stated.items() if digest((folder / name).read_bytes()) != sha
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{folder} is no whole checkpoint: {error}") from error
    if wrong:
        raise UsageError(f"{folder}: {', '.join(wrong)} changed since it was written")
    return found


def make_lock(
    folder: Path, terms: Terms, drivers: Sequence[Driver], made: str, salt: str = ""
) -> Lock:
    """Write lock and key into a new folder.

    Args:
        folder: of the session; must not hold one.
        terms: what is agreed.
        drivers: the policies, in any order; they are shuffled.
        made: when, ISO 8601.
        salt: of the key, hexadecimal; empty: a new one, from the system's randomness.

    Raises:
        UsageError: there is a session already, or the terms do not fit together.
    """
    folder = Path(folder)
    if (folder / LOCK).exists():
        raise UsageError(f"{folder} holds a session already: choose another folder, or run it")
    salt = salt or secrets.token_hex(16)
    # By a hash with the salt: neither the order of the command nor that of the names tells.
    shuffled = sorted(drivers, key=lambda d: digest(f"{salt}{d.name}".encode()))
    key = Key(salt, tuple(shuffled))
    body = _body(terms, key, made)
    write_whole(folder / KEY, zlib.compress(canonical(key.to_json()), 9))
    (folder / KEY).chmod(FILE_MODE)
    text = canonical({**body, "sha256": digest(canonical(body))})
    write_whole(folder / LOCK, text + b"\n")
    return read_lock(folder)


def _body(terms: Terms, key: Key, made: str) -> dict[str, Any]:
    protocol = PROTOCOLS[terms.protocol]
    schedule = draw(terms.seed, terms.blocks, len(key.drivers), terms.share)
    body = {
        "schema": SCHEMA,
        "made": made,
        "terms": asdict(terms),
        "task": protocol.task,
        "stages": list(TASKS[protocol.task].stages),
        "protocol": protocol.hash,
        "robot": robot_hash(terms.robot),
        "calibration": file_hash(Path(terms.calibration)) if terms.calibration else NONE,
        "artefacts": sorted(driver.artefact for driver in key.drivers),
        "schedule": [_shown(trial) for trial in schedule],
        "key": key.hash,
    }
    return dict(parse(canonical(body)))


def _shown(trial: Planned) -> dict[str, Any]:
    """Return what the file says of a trial: not who drives."""
    return {name: value for name, value in asdict(trial).items() if name != "arm"}


def read_lock(folder: Path) -> Lock:
    """Read the lock of a session; its schedule must be the one that its seed draws.

    Raises:
        UsageError: there is none, or it was edited; what, is named.
    """
    path = Path(folder) / LOCK
    try:
        body = parse(path.read_bytes())
        own = body.pop("sha256")
        terms = Terms(**body["terms"])
        arms = len(body["artefacts"])
        schedule = draw(terms.seed, terms.blocks, arms, terms.share)
    except OSError as error:
        raise UsageError(
            f"there is no session in {folder} ({error.strerror}): armtrials session lock makes one"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path} is no lock of a session: {error}") from error
    if body["schedule"] != [_shown(trial) for trial in schedule]:
        raise UsageError(f"{path}: the schedule was edited: it is not the one of its seed")
    if own != digest(canonical(body)):
        raise UsageError(f"{path} was edited after the session was locked")
    return Lock(terms, schedule, arms, body, own)


def read_key(folder: Path, lock: Lock) -> Key:
    """Read the key of a session.

    Raises:
        UsageError: it is absent, or not the one that was locked.
    """
    path = Path(folder) / KEY
    try:
        found = parse(zlib.decompress(path.read_bytes()))
        key = Key(found["salt"], tuple(Driver(**driver) for driver in found["drivers"]))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, zlib.error, RecursionError) as error:
        raise UsageError(f"{path} is no key of a session") from error
    if key.hash != lock.body["key"]:
        raise UsageError(f"{path} is not the key that was locked")
    return key


def changed(lock: Lock, key: Key) -> list[str]:
    """Say which files are not those that were locked; no policy is named."""
    body, terms = lock.body, lock.terms
    wrong = []
    if PROTOCOLS[terms.protocol].hash != body["protocol"]:
        wrong.append(f"the protocol {terms.protocol} is another than was locked")
    if robot_hash(terms.robot) != body["robot"]:
        wrong.append(f"the robot {terms.robot} is another than was locked")
    if terms.calibration and _hash(file_hash, Path(terms.calibration)) != body["calibration"]:
        wrong.append(f"the calibration {terms.calibration} is another than was locked")
    for driver in key.drivers:
        if _hash(artefact_of, driver.source) != driver.artefact:
            told = f"artefact {driver.artefact[:12]}"
            wrong.append(f"{told} is not as it was locked: its files were changed or are gone")
    return wrong


def _hash(how: Any, what: Any) -> str:  # noqa: ANN401
    try:
        return str(how(what))
    except UsageError:
        return ""
