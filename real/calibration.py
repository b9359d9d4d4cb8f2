"""What is particular to one arm and its cameras: a versioned file, with a hash for every record.

``Calibration.load`` and ``save``; ``armtrials calibrate`` fills it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from envs.arm import ArmSpec
from envs.atomic import write_atomic
from envs.errors import UsageError
from real.charuco import Board
from real.pinhole import Intrinsics, Pose

SCHEMA = 1

FILE = "calibration.json"
"""Of an arm, in a folder."""


@dataclass(frozen=True)
class JointCalibration:
    """A joint of one arm.

    Attributes:
        zero: the motor's position at which the joint is at 0 rad [its own unit: ticks, or rad].
        direction: +1, or -1 where positions grow as the joint's angle falls.
        lower, upper: range found [rad].
    """

    zero: float
    direction: int
    lower: float
    upper: float

    def __post_init__(self) -> None:
        """Refuse what is no joint.

        Raises:
            UsageError: a direction that is none, or an empty range.
        """
        if self.direction not in (-1, 1) or not self.lower < self.upper:
            raise UsageError(f"a joint must have a direction of -1 or 1 and a range, got {self}")


@dataclass(frozen=True)
class GripperMap:
    """A gripper of one arm.

    Attributes:
        opening: (motor's position [its own unit], opening 0..1) from closed to open.
    """

    opening: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        """Refuse a map that does not lead from closed to open.

        Raises:
            UsageError: it does not.
        """
        shares = [share for _, share in self.opening]
        if len(shares) < 2 or shares != sorted(set(shares)) or (shares[0], shares[-1]) != (0, 1):
            raise UsageError(f"a gripper's map must lead from 0 to 1, got {self.opening}")
        numbers = tuple((float(at), float(share)) for at, share in self.opening)
        object.__setattr__(self, "opening", numbers)


@dataclass(frozen=True)
class Reference:
    """Where a board was seen when the data was collected.

    Attributes:
        board: which board.
        pose: of the board in the camera's frame.
        error_px: by how much corners missed [px, rms].
        pictures: so many were averaged.
        taken: when, as ISO 8601.
    """

    board: Board
    pose: Pose
    error_px: float
    pictures: int
    taken: str = ""


@dataclass(frozen=True)
class CameraCalibration:
    """A camera.

    Attributes:
        intrinsics: of its lens.
        error_px: of the lens' calibration [px, rms]; 0 for the maker's own.
        pictures: so many the lens was calibrated from.
        serial: of the camera, where it has one.
        pose: in the arm's frame; None if unknown.
        reference: where a board was when the data was collected; None if none was taken.
    """

    intrinsics: Intrinsics
    error_px: float = 0.0
    pictures: int = 0
    serial: str = ""
    pose: Pose | None = None
    reference: Reference | None = None


@dataclass(frozen=True)
class Calibration:
    """An arm and its cameras.

    Attributes:
        robot: name of the arm.
        joints, grippers: by the joint's name; those that are absent are nominal.
        cameras: by name.
        version: counts up with every change that is saved.
        previous: hash of the version before, empty for the first.
    """

    robot: str
    joints: Mapping[str, JointCalibration] = field(default_factory=dict)
    grippers: Mapping[str, GripperMap] = field(default_factory=dict)
    cameras: Mapping[str, CameraCalibration] = field(default_factory=dict)
    version: int = 0
    previous: str = ""

    @property
    def hash(self) -> str:
        """Return the sha256 of the canonical content; it goes into every episode and trial."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, without the hash."""
        return cast(dict[str, Any], json.loads(json.dumps({"schema": SCHEMA, **asdict(self)})))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Calibration":
        """Restore from ``to_json``.

        Raises:
            UsageError: another schema, or a key that is unknown or missing.
        """
        content = dict(data)
        schema = content.pop("schema", None)
        if schema != SCHEMA:
            raise UsageError(f"a calibration must have schema {SCHEMA}, got {schema!r}")
        try:
            return cls(**content | {
                "joints": {k: JointCalibration(**v) for k, v in content["joints"].items()},
                "grippers": {k: _gripper(v) for k, v in content["grippers"].items()},
                "cameras": {k: _camera(v) for k, v in content["cameras"].items()},
            })  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"no calibration: {error}") from error

    @classmethod
    def in_force(cls, path: Path | None) -> "Calibration | None":
        """Read what is in force on an arm: a file, or a folder with ``calibration.json``.

        Raises:
            UsageError: as ``load``.
        """
        return None if path is None else cls.load(path)

    @classmethod
    def load(cls, path: Path) -> "Calibration":
        """Read a calibration: a file, or ``calibration.json`` in a folder.

        Raises:
            UsageError: it cannot be read, or was changed by other means than ``save``.
        """
        path = Path(path)
        path = path / FILE if path.is_dir() else path
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            told = data.pop("hash")
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise UsageError(f"{path}: no calibration: {error}") from error
        made = cls.from_json(data)
        if made.hash != told:
            raise UsageError(
                f"{path}: was changed by hand or is damaged (its hash is {made.hash[:12]}, it says "
                f"{str(told)[:12]}); calibrate anew"
            )
        return made

    def save(self, path: Path) -> "Calibration":
        """Write it as the next version; the one before is kept beside, ``<name>.v<number>.json``.

        Returns:
            What was written.

        Raises:
            UsageError: it cannot be written, or the file is another arm's.
        """
        path = Path(path)
        before = Calibration.load(path) if path.exists() else None
        if before is not None and before.robot != self.robot:
            raise UsageError(f"{path}: is of {before.robot}, not of {self.robot}")
        version, previous = (before.version, before.hash) if before else (0, "")
        made = replace(self, version=version + 1, previous=previous)
        if before is not None:
            old = path.with_name(f"{path.stem}.v{before.version}{path.suffix}")
            write_atomic(old, path.read_bytes())
        text = json.dumps({**made.to_json(), "hash": made.hash}, indent=2)
        write_atomic(path, f"{text}\n".encode())
        return made

    def camera(self, name: str) -> CameraCalibration:
        """Return a camera.

        Raises:
            UsageError: it is not calibrated.
        """
        if name not in self.cameras:
            known = ", ".join(self.cameras) or "none"
            raise UsageError(f"camera {name!r} is not calibrated; calibrated: {known}")
        return self.cameras[name]

    def with_camera(self, name: str, camera: CameraCalibration) -> "Calibration":
        """Return it with one camera added or replaced."""
        return replace(self, cameras={**self.cameras, name: camera})

    def check_robot(self, robot: str) -> None:
        """Refuse it for another arm than its own.

        Raises:
            UsageError: ``robot`` is another one.
        """
        if self.robot != robot:
            raise UsageError(f"the calibration is of {self.robot}, not of {robot}")

    def narrow(self, spec: ArmSpec) -> ArmSpec:
        """Return ``spec`` with the ranges of those joints that were found.

        Raises:
            UsageError: of a joint's range nothing is left.
        """
        lower, upper = list(spec.lower), list(spec.upper)
        for k, name in enumerate(spec.joints):
            if (joint := self.joints.get(name)) is not None:
                lower[k], upper[k] = max(lower[k], joint.lower), min(upper[k], joint.upper)
                if lower[k] >= upper[k]:
                    raise UsageError(
                        f"{name}: its calibration has {joint.lower:.2f}..{joint.upper:.2f} rad, "
                        f"{spec.name} {spec.lower[k]:.2f}..{spec.upper[k]:.2f}: nothing is left; "
                        "calibrate anew"
                    )
        return replace(spec, lower=tuple(lower), upper=tuple(upper))

    def motor_fields(self) -> dict[str, dict[str, object]]:
        """Return what ``Wiring.calibrated`` of a Dynamixel arm takes: ticks are whole numbers."""
        joints: dict[str, dict[str, object]] = {
            name: {"zero": round(joint.zero), "direction": joint.direction}
            for name, joint in self.joints.items()
        }
        for name, gripper in self.grippers.items():
            joints[name] = {"opening": tuple((round(at), share) for at, share in gripper.opening)}
        return joints


def _gripper(data: Mapping[str, Any]) -> GripperMap:
    return GripperMap(tuple((at, share) for at, share in data["opening"]))


def _pose(data: Mapping[str, Any]) -> Pose:
    return Pose.from_array([*data["position"], *data["quaternion"]])


def _camera(data: Mapping[str, Any]) -> CameraCalibration:
    reference, pose = data["reference"], data["pose"]
    if reference is not None:
        board = Board(**reference["board"])
        reference = Reference(**{**reference, "board": board, "pose": _pose(reference["pose"])})
    return CameraCalibration(
        **{
            **data,
            "intrinsics": Intrinsics.from_json(data["intrinsics"]),
            "pose": None if pose is None else _pose(pose),
            "reference": reference,
        }
    )
