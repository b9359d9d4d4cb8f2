"""How the Dynamixel arms are wired: which servo moves which joint, and what its positions mean.

ViperX-300 S2: ids, models, drive modes and limits of Interbotix' ``vx300s.yaml``; 3 and 5 stand
opposite 2 and 4 and repeat what these are told (Secondary ID). Gripper: slider-crank with a horn of
22 mm and a rod of 36 mm. Koch v1.1: ids and models as LeRobot calls them. Zero, direction and the
gripper's map differ from arm to arm: they are calibration, and the values here are nominal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import acos, pi, radians

from envs.registry import Registry

PER_RADIAN = 4096 / (2 * pi)
"""Positions in a radian (4096 a turn, e-Manual)."""

POSITION, EXTENDED, CURRENT_POSITION = 3, 4, 5
"""Operating modes: within a turn, over several turns, over several turns with limited current."""


@dataclass(frozen=True)
class Motor:
    """One joint's servo, or the pair that moves it together.

    Attributes:
        name: the joint, as in the arm's ``ArmSpec``.
        motor: its id; goals go there.
        model: name of its control table.
        shadows: ids of servos that repeat what it is told (their Secondary ID is ``motor``).
        mode: operating mode it is driven in.
        reverse: whether it turns the other way round (drive mode, bit 0); its shadows do not.
        zero: position at which the joint is at 0 rad [ticks].
        direction: +1, or -1 where positions grow as the joint's angle falls.
        opening: of a gripper, (position [ticks], opening 0..1) from closed to open; between them
            the opening is interpolated. Empty for a joint.
        current: goal current of a gripper in mode 5, as a share of its current limit.
    """

    name: str
    motor: int
    model: str
    shadows: tuple[int, ...] = ()
    mode: int = POSITION
    reverse: bool = False
    zero: int = 2048
    direction: int = 1
    opening: tuple[tuple[int, float], ...] = ()
    current: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a direction that is none, and a gripper's map that cannot be turned round."""
        if self.direction not in (-1, 1):
            raise ValueError(f"direction must be -1 or 1, got {self.direction}")
        if self.opening:
            ticks, share = zip(*self.opening, strict=True)
            steps = [b - a for a, b in pairwise(ticks)]
            grows = all(a < b for a, b in pairwise(share))
            one_way = bool(steps) and (all(s > 0 for s in steps) or all(s < 0 for s in steps))
            if not (grows and one_way and share[0] == 0 and share[-1] == 1):
                raise ValueError(
                    f"opening of {self.name} must lead from 0 to 1 over positions that only rise "
                    f"or only fall, got {self.opening}"
                )

    @property
    def ids(self) -> tuple[int, ...]:
        """Its own id and those of its shadows."""
        return (self.motor, *self.shadows)

    @property
    def line(self) -> tuple[tuple[int, float], ...]:
        """Two or more (position [ticks], joint value [rad, or opening]) that are interpolated."""
        if self.opening:
            return self.opening
        turn = round(4 * self.direction * PER_RADIAN * pi)
        return ((self.zero, 0.0), (self.zero + turn, 4 * pi))

    def value(self, ticks: float) -> float:
        """Return the joint's angle [rad], or the gripper's opening, at a position."""
        return _along(self.line, ticks, 0)

    def ticks(self, value: float) -> int:
        """Return the position for an angle [rad] or an opening."""
        return round(_along(self.line, value, 1))

    def slope(self, ticks: float) -> float:
        """Return rad, or opening, by tick at a position (its sign is the direction)."""
        return self.value(ticks + 0.5) - self.value(ticks - 0.5)


def _along(line: Sequence[tuple[int, float]], x: float, column: int) -> float:
    """Interpolate ``line`` at ``x`` of its ``column``; beyond the ends the last piece goes on."""
    rising = line if line[-1][column] > line[0][column] else line[::-1]
    piece = 0
    while piece < len(rising) - 2 and rising[piece + 1][column] < x:
        piece += 1
    a, b = rising[piece], rising[piece + 1]
    share = (x - a[column]) / (b[column] - a[column])
    other = 1 - column
    return a[other] + share * (b[other] - a[other])


@dataclass(frozen=True)
class Wiring:
    """An arm's servos on one bus.

    Attributes:
        robot: name of the arm; its ``ArmSpec`` has the same joints in the same order.
        motors: one a joint, in the joints' order.
        baud: bits a second the servos are set to.
        limits: lower and upper [rad] that the maker sets in the servos, by joint.
        rest: angles [rad] (gripper: opening) at which the arm lies when it is switched on.
    """

    robot: str
    motors: tuple[Motor, ...]
    baud: int = 1_000_000
    limits: Mapping[str, tuple[float, float]] | None = None
    rest: tuple[float, ...] = ()

    @property
    def ids(self) -> tuple[int, ...]:
        """All ids on the bus, shadows behind the servo they repeat."""
        return tuple(motor for joint in self.motors for motor in joint.ids)

    def calibrated(self, joints: Mapping[str, Mapping[str, object]]) -> "Wiring":
        """Return the wiring with ``zero``, ``direction`` and ``opening`` of one arm.

        Args:
            joints: what is known of this arm, by joint and field; the rest stays nominal.

        Raises:
            ValueError: a joint or a field that is none.
        """
        names = [motor.name for motor in self.motors]
        for name, fields in joints.items():
            unknown = set(fields) - {"zero", "direction", "opening"}
            if name not in names or unknown:
                raise ValueError(
                    f"calibration must name joints ({', '.join(names)}) with zero, direction and "
                    f"opening, got {name}: {sorted(fields)}"
                )
        changed = (replace(m, **joints.get(m.name, {})) for m in self.motors)  # type: ignore[arg-type]
        return replace(self, motors=tuple(changed))


def crank(horn: float, rod: float, closed: float, opened: float) -> tuple[tuple[int, float], ...]:
    """Return the map of a slider-crank gripper: the horn at 90 degrees from position 2048 up.

    The finger is at x = horn cos(a) + sqrt(rod^2 - horn^2 sin^2(a)) when the horn has turned by a.

    Args:
        horn: length of the crank [m].
        rod: length of what it pushes [m].
        closed: the finger's way from the gripper's middle, closed [m].
        opened: the same, open [m].
    """
    points = []
    for step in range(9):
        share = step / 8
        x = closed + share * (opened - closed)
        angle = acos((horn**2 + x**2 - rod**2) / (2 * horn * x))
        points.append((2048 + round((pi / 2 - angle) * PER_RADIAN), share))
    return tuple(points)


VIPERX = Wiring(
    robot="viperx",
    motors=(
        Motor("waist", 1, "xm540_w270"),
        Motor("shoulder", 2, "xm540_w270", shadows=(3,), reverse=True),
        Motor("elbow", 4, "xm540_w270", shadows=(5,), reverse=True),
        Motor("forearm_roll", 6, "xm540_w270"),
        Motor("wrist_angle", 7, "xm540_w270", reverse=True),
        Motor("wrist_rotate", 8, "xm430_w350"),
        Motor(
            "gripper",
            9,
            "xm430_w350",
            mode=CURRENT_POSITION,
            opening=crank(0.022, 0.036, 0.021, 0.057),
        ),
    ),
    limits={
        "shoulder": (radians(-106), radians(72)),
        "elbow": (radians(-101), radians(92)),
        "wrist_angle": (radians(-107), radians(128)),
    },
    rest=(0.0, -1.85, 1.55, 0.0, 0.8, 0.0, 0.2),
)

_JAW = 1.6
"""How far the jaw of the Koch turns from closed to open [rad]."""


def _koch(robot: str, models: tuple[str, ...], gripper: tuple[tuple[int, float], ...]) -> Wiring:
    """Return the wiring of a Koch arm from its servos' models."""
    names = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")
    joints = [
        Motor(name, number, model, mode=EXTENDED, reverse=False)
        for number, (name, model) in enumerate(zip(names, models, strict=False), 1)
    ]
    jaw = Motor("gripper", 6, models[-1], mode=CURRENT_POSITION, opening=gripper)
    rest = (0.0, -0.6, 1.21, 0.31, 0.0, 0.2)
    return Wiring(robot, (*joints, jaw), rest=rest)


KOCH = _koch(
    "koch",
    ("xl430_w250", "xl430_w250", *["xl330_m288"] * 4),
    ((2048, 0.0), (2048 + round(_JAW * PER_RADIAN), 1.0)),
)

_LEADER = _koch(
    "koch_leader", ("xl330_m077",) * 6, ((2048, 0.0), (2048 + round(0.8 * PER_RADIAN), 1.0))
)
KOCH_LEADER = replace(
    _LEADER, motors=tuple(replace(m, reverse=m.name == "elbow_flex") for m in _LEADER.motors)
)

WIRINGS: Registry[Wiring] = Registry("Dynamixel arm")
for _wiring in (VIPERX, KOCH, KOCH_LEADER):
    WIRINGS.register(_wiring.robot, _wiring)
