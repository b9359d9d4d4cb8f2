"""Is the scene as a trial wants it? Objects, the arm, and the picture, against a start.

``check_reset`` tells what is wrong in words; ``real/reset_overlay.py`` draws it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from envs.arm import ArmSpec, Array, InitialCondition
from envs.errors import UsageError
from real.pinhole import Intrinsics, Pose
from real.tags import Sighting


@dataclass(frozen=True)
class Shape:
    """What an object looks like, for outlines and for which turns are the same.

    Attributes:
        half: half extents of a box (3,) [m]; of a disc its radius twice and half its height.
        turns: by so many equal turns about z it looks the same; 0 for a disc.
        tagged: whether it carries tags; None: it does unless it is a disc, marked on the table.
    """

    half: tuple[float, float, float]
    turns: int = 1
    tagged: bool | None = None

    @property
    def measured(self) -> bool:
        """Whether it can be seen where it is."""
        return self.turns != 0 if self.tagged is None else self.tagged

    @property
    def corners(self) -> Array:
        """Points (n, 3) around which its outline runs, in its frame [m]."""
        x, y, z = self.half
        if self.turns == 0:
            angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
            ring = np.stack([x * np.cos(angle), y * np.sin(angle), np.zeros(48)], axis=1)
        else:
            ring = np.array([[x, y, 0], [-x, y, 0], [-x, -y, 0], [x, -y, 0]])
        up = np.array([0, 0, z])
        return np.concatenate([ring + up, ring - up])


@dataclass(frozen=True)
class Tolerance:
    """How far off is near enough.

    Attributes:
        place: of an object [m].
        turn: of an object about z [rad].
        tilt: of an object from upright [rad].
        joint: of a joint from the start pose [rad]; grippers, as openings, the same number.
        changed: share of the picture that may differ from the reference.
    """

    place: float = 0.005
    turn: float = 0.087
    tilt: float = 0.17
    joint: float = 0.15
    changed: float = 0.005


@dataclass(frozen=True)
class Placed:
    """One object.

    Attributes:
        name: of it.
        wanted: where it must be, in the arm's frame.
        found: where it is; None where it was not seen.
        measured: whether it can be seen at all, that is, has tags.
        off: from where it is to where it must be, x, y [m].
        turn: by how much it must be turned, counter-clockwise from above [rad].
        ok: whether it is near enough; always, where it cannot be measured.
    """

    name: str
    wanted: Pose
    found: Pose | None
    measured: bool
    off: tuple[float, float]
    turn: float
    ok: bool


@dataclass(frozen=True, eq=False)
class ResetReport:
    """What stands between the scene and a trial.

    Attributes:
        objects: all of the start, in its order.
        joints: those that are too far from the start pose, by name [rad or opening]; None where
            nobody looked.
        changed: (rows, columns) bool, which blocks of the picture differ from the reference; empty
            where none was given.
        share: of the picture that differs.
        tolerance: what is near enough.
    """

    objects: tuple[Placed, ...]
    joints: Mapping[str, float] | None
    changed: Array
    share: float
    tolerance: Tolerance

    @property
    def ok(self) -> bool:
        """Whether a trial may begin."""
        placed = all(item.ok for item in self.objects)
        return placed and not self.joints and self.share <= self.tolerance.changed


def check_reset(
    start: InitialCondition,
    arm: ArmSpec,
    qpos: Array | None,
    seen: Mapping[str, Sighting],
    shapes: Mapping[str, Shape],
    tolerance: Tolerance | None = None,
) -> ResetReport:
    """Compare objects and arm with a start; ``with_picture`` adds the picture.

    Args:
        start: what the trial wants.
        arm: whose joints they are.
        qpos: where they are (n,) [rad and openings]; None where nobody looked.
        seen: the objects that were seen.
        shapes: of the objects; those with tags and those without.
        tolerance: what is near enough.

    Raises:
        UsageError: an object of the start has no shape, or the arm has other joints.
    """
    tolerance = tolerance or Tolerance()
    missing = [name for name in start.objects if name not in shapes]
    if missing:
        known = ", ".join(shapes) or "none"
        raise UsageError(f"objects without a shape: {', '.join(missing)}; known: {known}")
    counts = {len(start.qpos), arm.n if qpos is None else len(qpos)}
    if counts != {arm.n}:
        found = " and ".join(map(str, sorted(counts)))
        raise UsageError(f"{arm.name} has {arm.n} joints, got {found}")
    objects = tuple(
        _placed(name, Pose.from_array(pose), seen.get(name), shapes[name], tolerance)
        for name, pose in start.objects.items()
    )
    joints = None if qpos is None else _joints_off(start, arm, qpos, tolerance)
    return ResetReport(objects, joints, np.zeros((0, 0), bool), 0.0, tolerance)


def _joints_off(
    start: InitialCondition, arm: ArmSpec, qpos: Array, tolerance: Tolerance
) -> dict[str, float]:
    return {
        name: float(now - wanted)
        for name, now, wanted in zip(arm.joints, qpos, start.qpos, strict=True)
        if abs(now - wanted) > tolerance.joint
    }


def _placed(
    name: str, wanted: Pose, seen: Sighting | None, shape: Shape, tolerance: Tolerance
) -> Placed:
    if seen is None:
        measured = shape.measured
        return Placed(name, wanted, None, measured, (0.0, 0.0), 0.0, ok=not measured)
    pose = seen.pose
    off = np.subtract(wanted.position, pose.position)
    turn = 0.0
    if shape.turns:
        step = 2 * np.pi / shape.turns
        turn = float((wanted.yaw - pose.yaw + step / 2) % step - step / 2)
    upright = (pose.rotation.inv() * wanted.rotation).apply([0.0, 0.0, 1.0])[2]
    tilt = float(np.arccos(np.clip(upright, -1, 1)))
    ok = bool(
        np.linalg.norm(off) <= tolerance.place
        and abs(turn) <= tolerance.turn
        and tilt <= tolerance.tilt
    )
    return Placed(name, wanted, pose, True, (float(off[0]), float(off[1])), turn, ok)


BLOCK = 16
"""Edge of the blocks in which pictures are compared [px]."""

DIFFERENT = 18.0
"""Blocks whose colour differs by more on average are different [of 255]."""


def with_picture(
    report: ResetReport,
    picture: Array,
    reference: Array,
    lens: Intrinsics,
    camera: Pose,
    shapes: Mapping[str, Shape],
) -> ResetReport:
    """Return ``report`` with what else differs from ``reference``, such as something left behind.

    Where objects are or must be, pictures may differ; so may brightness as a whole.

    Args:
        report: of ``check_reset``.
        picture: what the camera sees (h, w, 3) uint8.
        reference: what it saw when all was as it must be, but without the objects.
        lens: of the camera.
        camera: its pose in the arm's frame.
        shapes: of the objects.

    Raises:
        UsageError: the pictures differ in size.
    """
    if picture.shape != reference.shape:
        raise UsageError(
            f"the reference picture must be {picture.shape[1]}x{picture.shape[0]} px as the "
            f"camera's, got {reference.shape[1]}x{reference.shape[0]}"
        )
    now, then = _blocks(picture), _blocks(reference)
    now = now * (np.median(then, axis=(0, 1)) / np.maximum(np.median(now, axis=(0, 1)), 1.0))
    changed = np.abs(now - then).mean(axis=2) > DIFFERENT
    for item in report.objects:
        for pose in (item.wanted, item.found):
            if pose is not None:
                changed &= ~_around(pose, shapes[item.name], lens, camera, changed.shape)
    share = float(changed.mean())
    return ResetReport(report.objects, report.joints, changed, share, report.tolerance)


def _blocks(picture: Array) -> Array:
    """Return the mean colour of blocks (rows, columns, 3)."""
    soft = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(2)), float)
    rows, columns = soft.shape[0] // BLOCK, soft.shape[1] // BLOCK
    cut = soft[: rows * BLOCK, : columns * BLOCK]
    return np.asarray(cut.reshape(rows, BLOCK, columns, BLOCK, 3).mean(axis=(1, 3)))


def _around(
    pose: Pose, shape: Shape, lens: Intrinsics, camera: Pose, size: tuple[int, ...]
) -> Array:
    """Return the blocks (rows, columns) that an object and its shadow may cover."""
    pixels = outline(pose, shape, lens, camera)
    covered = np.zeros(size, bool)
    if np.isfinite(pixels).all():
        left, top = np.floor(pixels.min(axis=0) / BLOCK).astype(int) - 1
        right, bottom = np.ceil(pixels.max(axis=0) / BLOCK).astype(int) + 1
        covered[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return covered


def outline(pose: Pose, shape: Shape, lens: Intrinsics, camera: Pose) -> Array:
    """Return where the corners of an object appear (n, 2) [px]."""
    return lens.project((camera.inverse @ pose).apply(shape.corners))


def words(report: ResetReport, camera: Pose) -> list[tuple[bool | None, str]]:
    """Return what to do, a line each: whether it is right (None: not measured), and the text.

    Directions are those of the picture: what the operator looks at.
    """
    lines: list[tuple[bool | None, str]] = []
    for item in report.objects:
        if item.found is None and item.measured:
            lines.append((False, f"{item.name}: not seen; put it where its outline is"))
        elif item.found is None:
            lines.append((None, f"{item.name}: has no tags; compare it with its outline"))
        elif item.ok:
            lines.append((True, f"{item.name}: in its place"))
        else:
            lines.append((False, f"{item.name}: {_move(item, camera, report.tolerance)}"))
    lines += _arm_words(report.joints)
    if report.changed.size:
        right = report.share <= report.tolerance.changed
        share = f"{100 * report.share:.1f} % of the picture differs"
        lines.append((right, "rest of the scene: as it was" if right else f"{share}: see hatching"))
    return lines


def _arm_words(joints: Mapping[str, float] | None) -> list[tuple[bool | None, str]]:
    if joints is None:
        return [(None, "arm: nobody asked it; bring it to its start pose")]
    lines: list[tuple[bool | None, str]] = [
        (False, f"{joint}: {off:+.2f} from the start pose; home the arm")
        for joint, off in joints.items()
    ]
    return lines or [(True, "arm: at its start pose")]


def _move(item: Placed, camera: Pose, tolerance: Tolerance) -> str:
    """Return how to move an object, in the picture's directions."""
    parts = []
    right = camera.rotation.apply([1.0, 0.0, 0.0])[:2]
    right = right / max(float(np.linalg.norm(right)), 1e-9)
    up = np.array([-right[1], right[0]])
    for way, names in ((right, ("right", "left")), (up, ("up", "down"))):
        amount = 1e3 * float(np.dot(way, item.off))
        if abs(amount) >= 1:
            parts.append(f"{abs(amount):.0f} mm {names[amount < 0]}")
    if abs(item.turn) > tolerance.turn:
        way = "left" if item.turn > 0 else "right"
        parts.append(f"turn {np.degrees(abs(item.turn)):.0f} deg {way}")
    return f"move {', '.join(parts)}" if parts else "set it upright on the table"
