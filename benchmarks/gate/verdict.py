"""The verdict: for exactly which artefact, robot, calibration and execution a gate passed."""

import hashlib
import hmac
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.execution import Wanted
from benchmarks.gate.check import PASS
from benchmarks.lines import canonical, digest, parse
from benchmarks.protocol import PROTOCOLS
from envs.errors import UsageError
from envs.robots import ROBOTS
from policies.base import PolicySpec
from policies.checkpoint_files import read_json
from policies.configs import from_json
from policies.remote import REMOTE

SCHEMA = 1
FILE = "verdict.json"
MAX_AGE_DAYS = 30.0
NONE = "none"
EXECUTION = "execution"
SETTINGS: Mapping[str, Any] = {
    "execute": None, "ensemble": None, "delay": 0, "ddim_steps": None, "sampler": None
}  # fmt: skip
"""How chunks are carried out, as ``Execution.to_json`` names it, and what it leaves out."""


@dataclass(frozen=True)
class Permission:
    """Why an arm may move: a verdict, or somebody's reason to go without. For every record.

    Attributes:
        verdict: SHA-256 of the verdict; empty with an override.
        override: the reason; empty with a verdict.
        problem: what was wrong with the verdict that was overridden.
    """

    verdict: str = ""
    override: str = ""
    problem: str = ""

    def to_json(self) -> dict[str, str]:
        """Return what a record says."""
        return {"verdict": self.verdict, "override": self.override, "problem": self.problem}


def artefact_hash(folder: Path) -> str:
    """Return the hash of a checkpoint: of its provenance, which holds those of all other files.

    Raises:
        UsageError: it cannot be read.
    """
    return file_hash(Path(folder) / "provenance.json")


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of a folder's files."""
    path = Path(path)
    try:
        if not path.is_dir():
            return digest(path.read_bytes())
        files = sorted(p for p in path.rglob("*") if p.is_file())
        told = {p.relative_to(path).as_posix(): digest(p.read_bytes()) for p in files}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    return digest(canonical(told))


def robot_hash(robot: str) -> str:
    """Return the hash of a robot's specification: joints, limits, rate."""
    spec = ROBOTS[robot].spec()
    names = ("name", "joints", "lower", "upper", "velocity", "grippers", "control_hz")
    return digest(canonical({name: getattr(spec, name) for name in names}))


def refuse_served(policy: str | Path) -> None:
    """Refuse, with ``UsageError``, a policy that is served elsewhere: no gate can check it."""
    if str(policy).startswith(REMOTE):
        raise UsageError(
            f"{policy} is served elsewhere: the gate checks the files of a checkpoint folder, so "
            "no verdict can be of it"
        )


def inputs_of(
    policy: Path, protocol: str, robot: str, calibration: Path | None, data: str
) -> dict[str, Any]:
    """Return what a verdict is about, all by hash."""
    return {
        "artefact": artefact_hash(policy),
        "protocol": {"id": protocol, "hash": PROTOCOLS[protocol].hash},
        "robot": {"name": robot, "hash": robot_hash(robot)},
        "calibration": NONE if calibration is None else file_hash(calibration),
        "data": data,
    }


def sealed(body: Mapping[str, Any], key: Path | None = None) -> bytes:
    """Return a verdict file: canonical JSON with its own SHA-256 and, with a key, a signature.

    Raises:
        UsageError: the key cannot be read.
    """
    whole = {**body, "schema": SCHEMA}
    plain = canonical(whole)
    whole["sha256"] = digest(plain)
    if key is not None:
        whole["signature"] = _sign(plain, key)
    return canonical(whole) + b"\n"


def _sign(plain: bytes, key: Path) -> str:
    try:
        secret = Path(key).read_bytes().strip()
    except OSError as error:
        raise UsageError(f"the key {key} cannot be read: {error.strerror}") from error
    if not secret:
        raise UsageError(f"the key {key} is empty")
    return hmac.new(secret, plain, hashlib.sha256).hexdigest()


def read_verdict(path: Path, key: Path | None = None) -> dict[str, Any]:
    """Read a verdict whose hash (and signature, with a key) is right.

    Raises:
        UsageError: it is absent, edited, or signed with another key.
    """
    path = Path(path)
    try:
        found = parse(path.read_bytes())
        own, signature = found.pop("sha256"), found.pop("signature", None)
        plain = canonical(found)
    except OSError as error:
        raise UsageError(
            f"there is no verdict {path} ({error.strerror}): run armtrials gate"
        ) from error
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise UsageError(f"{path} is no verdict: {error}") from error
    if own != digest(plain):
        raise UsageError(f"{path} was edited after it was written: run armtrials gate again")
    if key is not None and not hmac.compare_digest(_sign(plain, key), str(signature)):
        raise UsageError(f"{path} is not signed with this key: run armtrials gate --key again")
    return {**found, "sha256": own}


@dataclass(frozen=True)
class Use:
    """What is about to move an arm.

    Attributes:
        policy: checkpoint folder; a policy that is served elsewhere needs an override.
        robot: registered robot.
        calibration: file or folder in force; None where there is none.
        execution: how chunks will be carried out, as a manifest says it; None: as the policy does.
    """

    policy: str | Path
    robot: str
    calibration: Path | None = None
    execution: Mapping[str, Any] | None = None


def require_verdict(
    verdict: Path, use: Use, key: Path | None = None, override: str = ""
) -> Permission:
    """Return the permission to move an arm as ``use`` says, for the records.

    Args:
        verdict: the file that ``armtrials gate`` wrote.
        use: what is about to move which arm, and how.
        key: with which it must be signed; None: unsigned verdicts count.
        override: a reason to go on whatever the verdict says; it is recorded.

    Raises:
        UsageError: no passing verdict for exactly these; the message says what differs.
    """
    try:
        refuse_served(use.policy)
        found = read_verdict(verdict, key)
        problem = _problem(found, use) or _otherwise(found, use, (verdict, key))
    except UsageError as error:
        found, problem = {}, str(error)
    if not problem:
        return Permission(verdict=found["sha256"])
    if override.strip():
        return Permission(override=override.strip(), problem=problem)
    raise UsageError(f"{problem} (or give a reason with --override; every trial will record it)")


def _problem(found: Mapping[str, Any], use: Use) -> str:
    """Say why a verdict does not hold; empty where it does."""
    told, age = found["inputs"], (time.time() - found["made"]) / 86400
    protocol = told["protocol"]["id"]
    known = PROTOCOLS[protocol].hash if protocol in PROTOCOLS else ""
    now = {"name": use.robot, "hash": robot_hash(use.robot)}
    in_force = NONE if use.calibration is None else file_hash(use.calibration)
    reasons = (
        (found["outcome"] != PASS, f"the verdict is {found['outcome']!r}, not {PASS!r}"),
        (
            told["artefact"] != artefact_hash(Path(use.policy)),
            f"the verdict is not of {use.policy}: another artefact",
        ),
        (told["robot"] != now, f"the verdict is of robot {told['robot']['name']!r} as it was then"),
        (told["calibration"] != in_force, "the verdict is of another calibration"),
        (
            told["protocol"]["hash"] != known,
            f"stale verdict: protocol {protocol} has changed since",
        ),
        (
            not 0 <= age <= MAX_AGE_DAYS,
            f"stale verdict: it is {age:.0f} days old, at most {MAX_AGE_DAYS:.0f} count",
        ),
    )
    return next((f"{text}; run armtrials gate again" for wrong, text in reasons if wrong), "")


def own_execution(policy: str | Path, wanted: Wanted | None = None) -> dict[str, Any]:
    """Return how a checkpoint's chunks are carried out as ``wanted``; None: as it does by itself.

    Raises:
        UsageError: its specification cannot be read, or they cannot be carried out so.
    """
    path = Path(policy) / "spec.json"
    try:
        spec = from_json(PolicySpec, read_json(path.read_bytes(), path), str(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    return (wanted or Wanted()).execution(spec).to_json()


def _otherwise(found: Mapping[str, Any], use: Use, files: tuple[Path, Path | None]) -> str:
    """Say which settings a verdict was given under that are not those of ``use``; empty: none."""
    own = own_execution(use.policy)
    told, now = ({**SETTINGS, **(given or own)} for given in (found.get(EXECUTION), use.execution))
    differ = [name for name in SETTINGS if told[name] != now[name]]
    if not differ:
        return ""
    before, after = (
        ", ".join(f"{name} {_said(name, of[name])}" for name in differ) for of in (told, now)
    )
    protocol = found["inputs"]["protocol"]["id"]
    command = _command(use, protocol, files, {k: now[k] for k in SETTINGS if now[k] != SETTINGS[k]})
    return f"the verdict was given under {before}, this runs with {after}; make one: {command}"


def _said(name: str, value: object) -> str:
    """Return a setting in words."""
    return (NONE if name == "ensemble" else "own") if value is None else str(value)


def _command(
    use: Use, protocol: str, files: tuple[Path, Path | None], settings: Mapping[str, Any]
) -> str:
    """Return the command that gives a verdict for exactly ``use``, where it is looked for."""
    verdict, key = files
    words: dict[str, Any] = {
        "policy": use.policy, "protocol": protocol, "robot": use.robot, "data": "DATA",
        "calibration": use.calibration, "key": key, "out": Path(verdict).parent, **settings,
    }  # fmt: skip
    told = (
        (f"--{name.replace('_', '-')}", word) for name, word in words.items() if word is not None
    )
    return shlex.join(["armtrials", "gate", *(str(part) for pair in told for part in pair)])
