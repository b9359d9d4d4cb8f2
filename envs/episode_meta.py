"""What an episode is about: its metadata, its JSON form and its HDF5 attributes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import h5py

from envs.arm import InitialCondition
from envs.errors import UsageError
from envs.hdf5_guard import read_scalar, read_text

FOREIGN_HZ = 50.0  # the control rate of ALOHA, for files without timestamps


@dataclass(frozen=True)
class EpisodeMeta:
    """What an episode is about. Empty text and None mean: the file does not say.

    Attributes:
        task: name of the task.
        instruction: the task in words.
        robot: name of the arm.
        operator: who demonstrated it: a style of the scripted expert, or a person's alias.
        mishap: what went wrong before the first step, so that it starts off nominal.
        way: which of a task's ways the demonstrator has chosen.
        success: did the demonstration succeed.
        failure: label of what went wrong.
        flag: why a person or a tool wants the episode left out of training.
        start: start state, enough to reset the simulation.
        index: number of the episode within its collection.
        seed: seed of the collection.
        joints: names of the joints, in the order of qpos.
        control_hz: nominal control rate.
        timed: the timestamps were measured; False where they follow from the nominal rate.
        sim: recorded in simulation.
        protocol_hash: identity of the collection protocol.
        calibration_hash: identity of the arm's calibration.
        origin: JSON; what the other format said of it from which it was converted.
        deployment: JSON; of a deployment, or of what was taken from one: which policy drove, by
            whose leave, what the safety chain found; where it was taken from.
    """

    task: str = ""
    instruction: str = ""
    robot: str = ""
    operator: str = ""
    mishap: str = ""
    way: str = ""
    success: bool | None = None
    failure: str = ""
    flag: str = ""
    start: InitialCondition | None = None
    index: int | None = None
    seed: int | None = None
    joints: tuple[str, ...] = ()
    control_hz: float = FOREIGN_HZ
    timed: bool = True
    sim: bool = True
    protocol_hash: str = ""
    calibration_hash: str = ""
    origin: str = ""
    deployment: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; ``from_json`` restores it exactly."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in (
            "mishap",
            "way",
            "origin",
            "deployment",
        ):  # an ordinary episode: as before they were known
            if not data[name]:
                del data[name]
        data["joints"] = list(self.joints)
        data["start"] = None if self.start is None else self.start.to_json()
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "EpisodeMeta":
        """Restore from ``to_json``.

        Raises:
            UsageError: a key that is not known.
        """
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(data) - set(known))
        if unknown:
            raise UsageError(f"unknown metadata {', '.join(unknown)}; known: {', '.join(known)}")
        values = dict(data)
        values["joints"] = tuple(data.get("joints") or ())
        start = data.get("start")
        values["start"] = None if start is None else InitialCondition.from_json(start)
        return cls(**values)


_AS_JSON = ("start", "joints")


def write_attributes(file: h5py.File, meta: EpisodeMeta) -> None:
    """Store ``meta`` as attributes of ``file``; None is left out."""
    for name, value in meta.to_json().items():
        if value is not None:
            text = name in _AS_JSON
            file.attrs[name] = json.dumps(value, sort_keys=True, allow_nan=False) if text else value


def read_attributes(file: h5py.File, path: Path) -> EpisodeMeta:
    """Read the metadata of ``file``; what a foreign file lacks keeps its default.

    Raises:
        UsageError: an attribute of a wrong kind; the message names it and ``path``.
    """
    values: dict[str, Any] = {}
    for known in fields(EpisodeMeta):
        if known.name in file.attrs:
            text = isinstance(known.default, str) or known.name in _AS_JSON
            read: Callable[[h5py.File, str, Path], Any] = read_text if text else read_scalar
            values[known.name] = _cast(known.name, read(file, known.name, path), path)
    return EpisodeMeta(**values)


def _cast(name: str, value: Any, path: Path) -> Any:  # noqa: ANN401  (as varied as the attributes)
    """Return an attribute's value in the type of the field ``name``."""
    casts: dict[str, Callable[[Any], Any]] = {
        "success": bool,
        "sim": bool,
        "timed": bool,
        "index": int,
        "seed": int,
        "control_hz": _rate,
        "joints": lambda text: tuple(map(str, _parse(text))),
        "start": lambda text: InitialCondition.from_json(_parse(text)),
    }
    try:
        return casts.get(name, str)(value)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: attribute {name!r} is broken: {str(value)[:80]!r}") from error


def _parse(text: str) -> Any:  # noqa: ANN401
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not allowed")


def _rate(value: Any) -> float:  # noqa: ANN401
    rate = float(value)
    if not 1 <= rate <= 10_000:
        raise ValueError(f"control_hz must be 1..10000, got {rate}")
    return rate
