"""Three objects, two trays, and a sentence that says which goes where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import mujoco
import numpy as np

from envs.arm import ArmSpec, Array, InitialCondition
from envs.errors import UsageError
from envs.expert import OPERATORS, GraspAndPlace
from envs.instructions import COLOURS, SHAPES, SIDES, Request, encode, say, understand
from envs.readings import Flag, Readings, Value, distance2_xy
from envs.task import SCENE, Pose, Region, Task

if TYPE_CHECKING:
    from envs.expert import Expert, Operator
    from envs.relabel import Labeller
    from envs.world import World

HALF = {"cube": 0.02, "cylinder": 0.026, "cross": 0.016}  # half the height of each object [m]
RADIUS = 0.019  # of the cylinder [m]
BEAM = (0.023, 0.009)  # half length and half width of each of the cross's two beams [m]
MASS = 0.05  # [kg]
TRAY = 0.05  # half the edge of a tray [m]
RIM = (0.003, 0.004)  # half width and half height of its rim [m]
_TRAY_REGION = Region((0.30, 0.36), (0.215, 0.235))  # of the left tray's centre; or mirrored
TOLERANCE = 0.035  # the object's centre lies this close to the tray's [m]
REACHED = 0.05  # between the tool centre point and the object [m]
LIFTED = 0.03  # of the object above its rest [m]
RESTING = 0.010  # of the object above its rest when on the table [m]
STILL = 0.02  # speed below which the object is at rest [m/s]
APART = 0.09  # least distance of two objects: the open fingers fit in between [m]
CLEAR = 0.09  # least distance of an object from a tray's centre [m]
JITTER = 0.01  # of the arm's start pose [rad]
TRAYS = {side: f"{side}_tray" for side in SIDES}


@dataclass(frozen=True)
class LanguagePick(Task):
    """One of three objects into one of two trays, as told; the scene alone does not tell.

    The objects differ in shape and, drawn anew in each episode, in colour. The hidden zone
    ``goal`` is where the tray asked for is; its quaternion (0, x, y, z) is a one-hot that names the
    object, in the order of ``SHAPES``. Left is the arm's left.
    """

    name: ClassVar[str] = "language_pick"
    instruction: ClassVar[str] = "put the red cube in the left tray"
    stages: ClassVar[tuple[str, ...]] = ("reach", "grasp", "lift", "carry", "place", "rest")
    objects: ClassVar[tuple[str, ...]] = (*SHAPES, *TRAYS.values())
    hidden: ClassVar[tuple[str, ...]] = ("goal",)
    manipulated: ClassVar[str] = SHAPES[0]
    horizon: ClassVar[int] = 425
    told_by_shape: ClassVar[bool] = True
    region: ClassVar[Region] = Region((0.26, 0.41), (-0.12, 0.12), (-0.44, 0.44))
    impossible: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"koch": "three objects and two trays do not fit where it reaches"}
    )

    def build(self, spec: mujoco.MjSpec) -> None:
        """Add the objects, the trays and the hidden goal."""
        for name in TRAYS.values():
            _add_tray(spec, name)
        spec.worldbody.add_body(name="goal", mocap=True)
        for shape in SHAPES:
            _add_object(spec, shape)

    def sample(self, rng: np.random.Generator, arm: ArmSpec) -> InitialCondition:
        """Draw objects ``APART`` from each other, their colours, the request and its sentence."""
        trays = _TRAY_REGION.within(arm.workspace)
        objects = {TRAYS[side]: _tray_pose(side, trays, rng) for side in SIDES}
        for shape, (x, y, yaw) in zip(SHAPES, _apart(rng, self.region_on(arm)), strict=True):
            turn = (float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2)))
            objects[shape] = (x, y, HALF[shape], *turn)
        colours = [str(colour) for colour in rng.permutation(list(COLOURS))[: len(SHAPES)]]
        asked, side = int(rng.integers(len(SHAPES))), SIDES[int(rng.integers(len(SIDES)))]
        objects["goal"] = _goal(objects, SHAPES[asked], side)
        sentence = say(Request(colours[asked], SHAPES[asked], side), rng)
        drawn = {"colours": dict(zip(SHAPES, colours, strict=True)), "instruction": sentence}
        jitter = rng.uniform(-JITTER, JITTER, arm.n - 1)
        qpos = (*map(float, np.asarray(arm.home[:-1]) + jitter), arm.home[-1])
        return InitialCondition(qpos, objects, {SCENE: drawn}, int(rng.integers(2**31)))

    def separate(self, objects: Mapping[str, Pose]) -> dict[str, Pose]:
        """Move trays outwards off the objects, and objects off one that was pushed to them."""
        moved = dict(objects)
        for a, b in product(SHAPES, SHAPES):
            if a != b and _gap(moved[a], moved[b]) < APART - 1e-9:
                near = a if self._inside(moved[a]) else b
                moved[near] = self._elsewhere(near, moved)
        for tray in TRAYS.values():
            x, y, *rest = moved[tray]
            short = CLEAR - min(_gap(moved[shape], moved[tray]) for shape in SHAPES)
            if short > 0:
                placed = (x, y + float(np.copysign(short, y)), *rest)
                if moved["goal"][:2] == moved[tray][:2]:
                    moved["goal"] = (*placed[:3], *moved["goal"][3:])
                moved[tray] = placed
        return moved

    def _inside(self, pose: Pose) -> bool:
        (x0, x1), (y0, y1) = self.region.x, self.region.y
        return bool(x0 <= pose[0] <= x1 and y0 <= pose[1] <= y1)

    def _elsewhere(self, name: str, objects: Mapping[str, Pose]) -> Pose:
        """Return the pose of an object at the spot of the region that is farthest from others."""
        others = [objects[shape] for shape in SHAPES if shape != name]
        grid = product(np.linspace(*self.region.x, 6), np.linspace(*self.region.y, 9))
        spots = [(float(x), float(y)) for x, y in grid]
        best = max(spots, key=lambda spot: min(_gap(spot, other) for other in others))
        return (*best, *objects[name][2:])

    def dress(self, model: mujoco.MjModel, drawn: Mapping[str, Any]) -> None:
        """Give the objects the colours drawn for this episode."""
        for shape, colour in drawn["colours"].items():
            body = model.body(shape)
            first = int(body.geomadr[0])
            model.geom_rgba[first : first + int(body.geomnum[0])] = COLOURS[colour]

    def request(self, start: InitialCondition) -> Request:
        """Return what is to be done from ``start``, whatever the arm is told."""
        shape = self.subject(start)
        colour = start.factors[SCENE]["colours"][shape]
        return Request(colour, shape, SIDES[0] if start.objects["goal"][1] > 0 else SIDES[1])

    def subject(self, start: InitialCondition) -> str:
        """Return the object that is asked for."""
        return SHAPES[int(np.argmax(start.objects["goal"][4:]))]

    def instruct(self, start: InitialCondition) -> str:
        """Return the sentence that the arm is told, as a variation has put it if one has."""
        told: dict[str, Any] = {}
        for name in (SCENE, "language", "empty_instruction", "wrong_instruction"):
            told = {**told, **start.factors.get(name, {})}
        return str(told["instruction"])

    def ask(self, start: InitialCondition, instruction: str) -> InitialCondition:
        """Return ``start`` with what ``instruction`` asks for to do, in the sentence as given."""
        request, drawn = understand(instruction), start.factors[SCENE]
        here = [f"{colour} {shape}" for shape, colour in drawn["colours"].items()]
        if request is None or request.thing not in here:
            raise UsageError(
                f"instruction must ask for something on the table, got {instruction!r}; "
                f"there: {', '.join(here)}"
            )
        goal = _goal(start.objects, request.shape, request.side)
        told = {**start.factors, SCENE: {**drawn, "instruction": instruction}}
        return replace(start, objects={**start.objects, "goal": goal}, factors=told)

    def reword(self, start: InitialCondition, wording: int, rng: np.random.Generator) -> str:
        """Return another sentence; a distracting clause names another object of the scene."""
        request, colours = self.request(start), start.factors[SCENE]["colours"]
        others = [shape for shape in SHAPES if shape != request.shape]
        other = others[int(rng.integers(len(others)))]
        return say(request, rng, wording, f"{colours[other]} {other}")

    def mislead(self, start: InitialCondition, rng: np.random.Generator) -> str:
        """Return a sentence for another object, another tray, or both: one of five requests."""
        judged, colours = self.request(start), start.factors[SCENE]["colours"]
        every = [Request(colours[shape], shape, side) for shape, side in product(SHAPES, SIDES)]
        others = [request for request in every if request != judged]
        return say(others[int(rng.integers(len(others)))], rng)

    def encode(self, instruction: str) -> tuple[float, ...]:
        """Return which object and which tray a sentence asks for, (5,): 0 or 1 each."""
        return encode(instruction)

    def milestones(self, r: Readings) -> tuple[Flag, ...]:
        """Reach, grasp (both fingers), lift, carry (held over the tray), place (in the tray)."""
        asked = _Asked(r)
        x, y, z = r["tcp_pos"]
        dx, dy, dz = x - asked.x, y - asked.y, z - asked.z
        return (
            dx * dx + dy * dy + dz * dz < REACHED**2,
            asked.held,
            asked.held & (asked.above > LIFTED),
            asked.held & (asked.gap2 < TRAY**2),
            (asked.gap2 < TOLERANCE**2) & (asked.above < RESTING),
        )

    def goal(self, r: Readings) -> Flag:
        """In the tray asked for, at rest, and the robot has let go."""
        asked = _Asked(r)
        placed = (asked.gap2 < TOLERANCE**2) & (asked.above < RESTING)
        return placed & (asked.speed2 < STILL**2) & (asked.touched <= 0)

    def placed(self, r: Readings) -> Mapping[str, Flag]:
        """An object that is not asked for belongs where it is."""
        placed = self.milestones(r)[-1]
        return {
            shape: placed | (w < 0.5) for shape, w in zip(SHAPES, r["goal_quat"][1:], strict=True)
        }

    def failures(self, r: Readings) -> Mapping[str, Flag]:
        """Tell where another object was lifted, and where the right one was put in the wrong tray.

        Flags (T + 1, N).
        """
        wrong = np.zeros_like(r["tcp_pos"][0], bool)
        for shape, w in zip(SHAPES, r["goal_quat"][1:], strict=True):
            lifted = r[f"{shape}_pos"][2] > HALF[shape] + LIFTED
            wrong |= (w < 0.5) & (r.scalar(f"arm_{shape}") > 0) & lifted
        asked, goal = _Asked(r), r["goal_pos"]
        place = (asked.x, asked.y, asked.z)
        elsewhere = np.zeros_like(wrong)
        for tray in TRAYS.values():
            pos = r[f"{tray}_pos"]
            inside = distance2_xy(place, pos) < TRAY**2
            elsewhere |= inside & (distance2_xy(pos, goal) > TRAY**2)
        lies = (asked.above < RESTING) & (asked.touched <= 0)
        return {"wrong_object": wrong, "wrong_zone": elsewhere & lies}

    def expert(self, world: "World", operator: "Operator") -> "Expert":
        """Make the demonstrator: does what is asked, from above."""
        return _Obey(self, world, operator)

    def labeller(self, world: "World") -> "Labeller":
        """Make the expert that knows what to do anywhere: what is judged, whatever is told."""
        from envs.relabel import GraspAndPlaceRule

        return GraspAndPlaceRule(
            world, OPERATORS["clean"], lambda start: (self.subject(start), "goal")
        )


class _Asked:
    """The object that is asked for: floats for one simulation, arrays for many.

    Attributes:
        x, y, z: its place [m].
        above: its height over its rest [m].
        gap2: squared distance from the tray asked for, in the table's plane [m^2].
        speed2: squared speed [m^2/s^2].
        held: both fingers touch it.
        touched: contacts with the arm.
    """

    __slots__ = ("_r", "_weights", "above", "gap2", "held", "speed2", "touched", "x", "y", "z")

    def __init__(self, r: Readings) -> None:
        self._r, self._weights = r, r["goal_quat"][1:]
        self.x, self.y, self.z = (self._choose("{}_pos", k) for k in range(3))
        vx, vy, vz = (self._choose("{}_vel", k) for k in range(3))
        self.speed2 = vx * vx + vy * vy + vz * vz
        rest = sum(w * HALF[shape] for w, shape in zip(self._weights, SHAPES, strict=True))
        self.above = self.z - rest
        self.gap2 = distance2_xy((self.x, self.y), r["goal_pos"])
        self.held = (self._choose("left_{}") > 0) & (self._choose("right_{}") > 0)
        self.touched = self._choose("arm_{}")

    def _choose(self, sensor: str, component: int = 0) -> Value:
        """Return a reading of the object: the sum over all objects, weighted by the one-hot."""
        a, b, c = (self._r[sensor.format(shape)][component] for shape in SHAPES)
        u, v, w = self._weights
        return u * a + v * b + w * c


class _Obey(GraspAndPlace):
    """Takes the object that the sentence names to the tray that it names; without one, waits."""

    def __init__(self, task: LanguagePick, world: "World", operator: "Operator") -> None:
        super().__init__(world, operator, SHAPES[0], TRAYS[SIDES[0]])
        self.task = task

    def reset(self, start: InitialCondition, rng: np.random.Generator) -> None:
        told = understand(self.task.instruct(start))
        self.waits: Array | None = np.array(start.qpos) if told is None else None
        if told is not None:
            self.thing, self.zone = told.shape, TRAYS[told.side]
        super().reset(start, rng)

    def act(self, r: Readings) -> Array:
        return super().act(r) if self.waits is None else self.waits


def _goal(objects: Mapping[str, Pose], shape: str, side: str) -> Pose:
    """Return the pose of the hidden zone: where the tray is, and which object is asked for."""
    return (*objects[TRAYS[side]][:3], 0.0, *(float(name == shape) for name in SHAPES))


def _apart(rng: np.random.Generator, region: Region) -> list[tuple[float, float, float]]:
    """Draw x, y, yaw of three objects ``APART`` from each other."""
    while True:
        spots = [region.sample(rng) for _ in SHAPES]
        gaps = [_gap(a, b) for i, a in enumerate(spots) for b in spots[:i]]
        if min(gaps) >= APART:
            return spots


def _gap(a: Sequence[float], b: Sequence[float]) -> float:
    return float(np.hypot(a[0] - b[0], a[1] - b[1]))


def _tray_pose(side: str, region: Region, rng: np.random.Generator) -> Pose:
    x, y, _ = region.sample(rng)
    return (x, y if side == SIDES[0] else -y, 0.0, 1.0, 0.0, 0.0, 0.0)


def _add_tray(spec: mujoco.MjSpec, name: str) -> None:
    """Add a flat tray with a rim: a mocap body to look at that touches nothing."""
    body = spec.worldbody.add_body(name=name, mocap=True)
    width, height = RIM
    plate: tuple[Array, Array] = (np.zeros(3), np.array([TRAY, TRAY, 0.0006]))
    parts = [plate]
    for sign, along in product((-1.0, 1.0), (0, 1)):
        pos, size = np.zeros(3), np.array([TRAY, TRAY, height])
        pos[along], size[along] = sign * (TRAY - width), width
        parts.append((pos, size))
    for index, (pos, size) in enumerate(parts):
        body.add_geom(
            name=name if index == 0 else "",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[pos[0], pos[1], size[2]],
            size=size,
            rgba=[0.34, 0.36, 0.40, 1.0] if index == 0 else [0.22, 0.23, 0.26, 1.0],
            contype=0,
            conaffinity=0,
            mass=0.0,
        )


def _add_object(spec: mujoco.MjSpec, shape: str) -> None:
    """Add a free body of one of the shapes; its joint and first geom have its name."""
    half = HALF[shape]
    box = mujoco.mjtGeom.mjGEOM_BOX
    beam, width = BEAM
    parts = {
        "cube": [(box, (half, half, half))],
        "cylinder": [(mujoco.mjtGeom.mjGEOM_CYLINDER, (RADIUS, half, 0.0))],
        "cross": [(box, (beam, width, half)), (box, (width, beam, half))],
    }[shape]
    body = spec.worldbody.add_body(name=shape, pos=[0.35, 0.0, half])
    body.add_freejoint(name=shape)
    for index, (kind, size) in enumerate(parts):
        body.add_geom(
            name=shape if index == 0 else f"{shape}{index}",
            type=kind,
            size=list(size),
            mass=MASS / len(parts),
            condim=4,
            solref=[0.01, 1.0],
            friction=[1.0, 0.005, 0.0001],
        )
