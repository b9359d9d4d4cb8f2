"""Wipe the marks off a board with a sponge: the force has to stay within a band."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import mujoco
import numpy as np

from envs.arm import ArmSpec, Array, InitialCondition
from envs.readings import Flag, Readings, Value, distance2
from envs.sensors import add_force_sensor
from envs.task import Pose, Region, Task

if TYPE_CHECKING:
    from envs.expert import Expert, Operator
    from envs.world import World

BOARD = Region((0.34, 0.34), (-0.075, -0.075))  # where the board's centre is
BOARD_HALF = (0.11, 0.105, 0.0015)
TOP = 2 * BOARD_HALF[2]  # height of the board's surface [m]
FELT = (0.030, 0.018, 0.006)  # half extents of what wipes
GRIP = (0.026, 0.014, 0.017)  # half extents of what is held
HALF = FELT[2] + GRIP[2]  # half the height of the sponge [m]
FRICTION = 0.4  # of felt on the board
BAND = (2.0, 12.0)  # normal force between which the felt wipes [N]
TOUCH = 0.5  # normal force above which the felt is on the board [N]
SLIDING = 0.02  # speed above which the felt wipes [m/s]
BREAKING = 30.0  # normal force that cracks the board [N]

MARKS = 6
STROKE = (0.014, 0.0035, 0.0004)  # half extents of a mark
SPACING = 0.026  # of the marks along y [m]
FIRST = (0.045, 0.075)  # y of the first mark, from the board's centre [m]
MIDDLE = (-0.03, 0.03)  # x of the line's middle, likewise [m]
LEAN, BEND = 0.03, 0.02  # how far the line leans and bends along x at most [m]
GONE = -0.02  # height of a mark that is wiped off, and of the crack before it is there: inside
# the table [m]

REACHED = 0.05  # between the tool centre point and the sponge [m]
LIFTED = HALF + 0.03  # height of the sponge's centre clear of the board [m]
JITTER = 0.01  # of the arm's start pose [rad]
INK = (0.10, 0.16, 0.55, 1.0)
CRACKED = (0.12, 0.12, 0.13, 1.0)
CRACK = (
    (0.030, (-0.078, -0.030), 0.4), (0.028, (-0.030, -0.030), -0.5), (0.032, (0.022, -0.030), 0.5),
    (0.034, (0.080, -0.025), -0.35), (0.030, (0.010, 0.010), 1.8), (0.028, (0.012, 0.064), 1.2),
)  # fmt: skip
"""Half length, centre and yaw of each stroke of the crack, on the board."""


@dataclass(frozen=True)
class Wipe(Task):
    """A line of marks, rubbed off by felt that slides over them with the right force.

    A mark is wiped off while the felt covers its middle, slides, and presses within ``BAND``. It
    then sinks into the table: where the marks are is all there is to know about what is left. More
    than ``BREAKING`` cracks the board, after which nothing succeeds.
    """

    name: ClassVar[str] = "wipe"
    instruction: ClassVar[str] = "wipe the marks off the board with the sponge"
    stages: ClassVar[tuple[str, ...]] = ("reach", "grasp", "press", "half", "clean", "clear")
    marks: ClassVar[tuple[str, ...]] = tuple(f"mark{k}" for k in range(MARKS))
    objects: ClassVar[tuple[str, ...]] = ("sponge", *marks)
    hidden: ClassVar[tuple[str, ...]] = ("board", "crack")
    moving: ClassVar[tuple[str, ...]] = (*marks, "crack")
    manipulated: ClassVar[str] = "sponge"
    horizon: ClassVar[int] = 540
    region: ClassVar[Region] = Region((0.28, 0.36), (0.13, 0.19), (-0.44, 0.44))
    impossible: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "koch": "the board is wider than its reach",
            "openarm": "its wrist cannot keep the sponge square to the whole board",
        }
    )

    def build(self, spec: mujoco.MjSpec) -> None:
        """Add the board, its crack, the marks and the sponge."""
        _add_board(spec)
        crack = spec.worldbody.add_body(name="crack", mocap=True)
        for half, at, yaw in CRACK:
            _add_stroke(crack, (half, 0.0012, 0.0003), at, yaw, CRACKED)
        for name in self.marks:
            body = spec.worldbody.add_body(name=name, mocap=True)
            _add_stroke(body, STROKE, (0.0, 0.0), 0.0, INK)
        _add_sponge(spec)
        add_force_sensor(spec, "sponge_board", "sponge", "board")

    def sample(self, rng: np.random.Generator, arm: ArmSpec) -> InitialCondition:
        """Draw the sponge beside the board, a line of marks on it, and the arm near home."""
        x, y, yaw = self.region_on(arm).sample(rng)
        sponge = (x, y, HALF, float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2)))
        board = BOARD.within(arm.workspace)
        centre, level = (board.x[0], board.y[0]), (1.0, 0.0, 0.0, 0.0)
        objects: dict[str, Pose] = {
            "sponge": sponge,
            "board": (*centre, 0.0, *level),
            "crack": (*centre, GONE, *level),
            **dict(zip(self.marks, _line(rng, centre), strict=True)),
        }
        jitter = rng.uniform(-JITTER, JITTER, arm.n - 1)
        qpos = (*map(float, np.asarray(arm.home[:-1]) + jitter), arm.home[-1])
        return InitialCondition(qpos, objects, seed=int(rng.integers(2**31)))

    def separate(self, objects: Mapping[str, Pose]) -> dict[str, Pose]:
        """Leave all as it is: no variation brings the sponge onto the board."""
        return dict(objects)

    def move(self, r: Readings) -> Sequence[Sequence[Value]]:
        """Sink the marks that are wiped off; show the crack once the force was too large."""
        wiping = _wiping(r)
        poses: list[Sequence[Value]] = []
        for name in self.marks:
            x, y, z = r[f"{name}_pos"]
            poses.append((x, y, np.where(wiping & _covered(r, name), GONE, z)))
        x, y, z = r["crack_pos"]
        return (*poses, (x, y, np.where(_force(r) > BREAKING, TOP, z)))

    def wiped(self, r: Readings) -> Value:
        """Count the marks that are wiped off."""
        return sum((r[f"{name}_pos"][2] < GONE / 2) * 1 for name in self.marks)

    def milestones(self, r: Readings) -> tuple[Flag, ...]:
        """Reach, grasp (both fingers), press (within the band), half and all marks wiped off."""
        held = (r.scalar("left_sponge") > 0) & (r.scalar("right_sponge") > 0)
        wiped = self.wiped(r)
        return (
            distance2(r["tcp_pos"], r["sponge_pos"]) < REACHED**2,
            held,
            held & _in_band(r),
            2 * wiped >= MARKS,
            wiped == MARKS,
        )

    def goal(self, r: Readings) -> Flag:
        """The board is clean and whole, and the held sponge is off it."""
        held = (r.scalar("left_sponge") > 0) & (r.scalar("right_sponge") > 0)
        whole = r["crack_pos"][2] < GONE / 2
        return (self.wiped(r) == MARKS) & whole & held & (r["sponge_pos"][2] > LIFTED)

    def failures(self, r: Readings) -> Mapping[str, Flag]:
        """See force that cracks the board, and contact that is mostly outside the band."""
        force = _force(r)
        touching = force > TOUCH
        outside = touching & ~np.asarray(_in_band(r))
        return {
            "excess_force": force > BREAKING,
            "wrong_force": 2 * outside.sum(axis=0) > np.maximum(touching.sum(axis=0), 1),
        }

    def quality(self, r: Readings) -> Mapping[str, float | None]:
        """Return the marks wiped off, and the force on the board while it is touched.

        Its mean, standard deviation and peak [N], and the share of the time that it is in the band.
        """
        force = _force(r)
        touching = force > TOUCH
        wiped = float(np.asarray(self.wiped(r))[-1])
        names = ("force_mean_n", "force_std_n", "force_peak_n", "force_in_band")
        if not touching.any():
            return {"marks_wiped": wiped, **dict.fromkeys(names)}
        felt, inside = force[touching], np.asarray(_in_band(r))[touching]
        values = (felt.mean(), felt.std(), felt.max(), inside.mean())
        return {"marks_wiped": wiped, **dict(zip(names, map(float, values), strict=True))}

    def expert(self, world: "World", operator: "Operator") -> "Expert":
        """Make the demonstrator: takes the sponge and follows the marks, feeling the force."""
        from envs.expert_wipe import WipeAlong

        return WipeAlong(world, operator, self.marks)


def _force(r: Readings) -> Array:
    """Return the force with which the board is pressed [N]."""
    force: Array = np.abs(np.asarray(r["sponge_board"][2]))
    return force


def _in_band(r: Readings) -> Flag:
    squared = r["sponge_board"][2] * r["sponge_board"][2]
    return (squared >= BAND[0] ** 2) & (squared <= BAND[1] ** 2)


def _wiping(r: Readings) -> Flag:
    """Tell whether the felt presses as it should, and slides."""
    vx, vy, _ = r["sponge_vel"]
    return _in_band(r) & (vx * vx + vy * vy > SLIDING**2)


def _covered(r: Readings, mark: str) -> Flag:
    """Tell whether the felt covers the middle of a mark; the sponge stands upright."""
    (x, y, _), (mx, my, _) = r["sponge_pos"], r[f"{mark}_pos"]
    w, i, j, k = r["sponge_quat"]
    cos, sin = 1 - 2 * (j * j + k * k), 2 * (w * k + i * j)
    along, across = cos * (mx - x) + sin * (my - y), cos * (my - y) - sin * (mx - x)
    return (along * along < FELT[0] ** 2) & (across * across < FELT[1] ** 2)


def _line(rng: np.random.Generator, centre: tuple[float, float]) -> list[Pose]:
    """Draw a line of marks on the board at ``centre``: a leaning parabola, each mark along it."""
    first, middle = rng.uniform(*FIRST), rng.uniform(*MIDDLE)
    lean, bend = rng.uniform(-LEAN, LEAN), rng.uniform(-BEND, BEND)
    t = np.linspace(-1.0, 1.0, MARKS)
    x: Array = centre[0] + middle + lean * t + bend * (t * t - 1 / 3)
    y: Array = centre[1] + first - SPACING * np.arange(MARKS)
    slope = (lean + 2 * bend * t) * 2 / (MARKS - 1)
    yaw = np.arctan2(-SPACING, slope) / 2
    zero = np.zeros(MARKS)
    poses = np.stack([x, y, zero + TOP, np.cos(yaw), zero, zero, np.sin(yaw)], axis=1)
    return [tuple(pose) for pose in poses.tolist()]


def _add_board(spec: mujoco.MjSpec) -> None:
    """Add a white board that lies on the table, with a frame to look at."""
    body = spec.worldbody.add_body(name="board", mocap=True)
    body.add_geom(
        name="board",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=list(BOARD_HALF),
        pos=[0.0, 0.0, BOARD_HALF[2]],
        rgba=[0.93, 0.94, 0.95, 1.0],
        friction=[FRICTION, 0.005, 0.0001],
    )
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[BOARD_HALF[0] + 0.006, BOARD_HALF[1] + 0.006, BOARD_HALF[2] - 0.0005],
        pos=[0.0, 0.0, BOARD_HALF[2] - 0.0005],
        rgba=[0.35, 0.37, 0.40, 1.0],
        contype=0,
        conaffinity=0,
        group=1,
    )


def _add_stroke(
    body: mujoco.MjsBody,
    half: tuple[float, float, float],
    at: tuple[float, float],
    yaw: float,
    rgba: tuple[float, float, float, float],
) -> None:
    """Add a flat stroke to look at that lies on the body's frame."""
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=list(half),
        pos=[*at, half[2]],
        quat=[np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)],
        rgba=list(rgba),
        contype=0,
        conaffinity=0,
        mass=0.0,
    )


def _add_sponge(spec: mujoco.MjSpec) -> None:
    """Add the sponge: soft felt below, a block to hold above."""
    body = spec.worldbody.add_body(name="sponge", pos=[0.32, 0.16, HALF])
    body.add_freejoint(name="sponge")
    body.add_geom(
        name="sponge_felt",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=list(FELT),
        pos=[0.0, 0.0, FELT[2] - HALF],
        rgba=[0.96, 0.80, 0.25, 1.0],
        mass=0.02,
        friction=[FRICTION, 0.005, 0.0001],
        priority=1,
        solref=[0.02, 1.0],
        condim=4,
    )
    body.add_geom(
        name="sponge",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=list(GRIP),
        pos=[0.0, 0.0, HALF - GRIP[2]],
        rgba=[0.16, 0.42, 0.62, 1.0],
        mass=0.03,
        solref=[0.01, 1.0],
        condim=4,
    )
