"""The contact sheet of a protocol: where its trials start, and what each axis makes of one start.

What a camera or an eye can see at the start is drawn at the start. Of the other axes (friction,
delay, ...) one sees what they do: the expert's commands from the nominal start are carried out
again under them, and drawn over the nominal picture at the moment when the arm is fastest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks.protocol import CONTROL, NOMINAL, EvalProtocol
from benchmarks.sheet_words import said
from envs.arm import Array, CameraSpec, InitialCondition
from envs.batch import SimBatch
from envs.errors import UsageError
from envs.expert import OPERATORS
from envs.factor import PIXELS, Variation
from envs.feasible import redraws
from envs.tasks import TASKS
from envs.variation import VARIATIONS, distractors_of, named
from envs.variation_size import reshaped
from envs.viewer import pixel_of

VIEW = CameraSpec("view", 320, 240)
ANTIALIAS = 2
EYE = CameraSpec("overhead", 84, 84)
"""As policies of the pixel track see it."""
FASTEST = (0.4, 0.8)
"""Part of a demonstration in which the arm carries something: its fastest moment is drawn."""
GHOST = 0.4  # share of the nominal picture in one that is drawn over it
AS_SEEN = ("camera_pose", "image_quality", "observation")
"""Axes of which the camera's own picture shows most."""
LARGE = CameraSpec("view", 960, 720)
"""Of this, a part as large as ``VIEW`` is shown of what is small: three times closer."""
SMALL = ("object_size",)
START, SEEN, DONE, CLOSE = "start", "seen", "done", "close"


@dataclass(frozen=True)
class Shot:
    """One picture of the sheet.

    Attributes:
        title: the level, or the number of the initial condition.
        picture: (h, w, 3) uint8.
        caption: what was drawn.
        outcome: what the commands carried out again came to; empty where none were.
        failed: whether they no longer did the task.
    """

    title: str
    picture: Array = field(repr=False)
    caption: str
    outcome: str = ""
    failed: bool = False


@dataclass(frozen=True)
class AxisRow:
    """An axis: nominal and its levels.

    Attributes:
        name: as registered.
        about: what it changes.
        kind: ``start``, ``close`` (the start close up), ``seen`` (by a camera) or ``done``
            (commands carried out again).
        tracks: where it is measured.
        shots: nominal first.
    """

    name: str
    about: str
    kind: str
    tracks: tuple[str, ...]
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class Sheet:
    """All pictures of a protocol, and where its trials start.

    Attributes:
        protocol: what is shown.
        ic: the initial condition that the axes are shown on.
        starts: nominal starts.
        axes: a row an axis.
        places: x, y [m] of the object to move by condition, of every trial.
        redrawn: refused draws by condition, where there were any.
        left_out: axes that do not apply to the task, with the reason.
    """

    protocol: EvalProtocol
    ic: int
    starts: tuple[Shot, ...]
    axes: tuple[AxisRow, ...]
    places: Mapping[str, list[tuple[float, float]]]
    redrawn: Mapping[str, int]
    left_out: Mapping[str, str]


def draw_sheet(
    protocol: EvalProtocol, starts: int, ic: int, advance: Callable[[], object] = lambda: None
) -> Sheet:
    """Draw the sheet; ``advance`` is called after every row.

    Raises:
        UsageError: fewer than one start, or more or another ``ic`` than the protocol has.
    """
    if not 1 <= starts <= protocol.trials:
        raise UsageError(f"starts must be 1..{protocol.trials} in {protocol.id}, got {starts}")
    if not 0 <= ic < protocol.perturbed_trials:
        raise UsageError(
            f"ic must be 0..{protocol.perturbed_trials - 1} in {protocol.id}, got {ic}"
        )
    studio = Studio(protocol, ic)
    shown = []
    for i in range(starts):
        start = protocol.start(NOMINAL, i)
        shown.append(Shot(str(i), studio.view(start), studio.told(start)))
    advance()
    rows = []
    for name in axes_of(protocol):
        rows.append(studio.row(named(name)))
        advance()
    places, redrawn = _places(protocol)
    return Sheet(
        protocol, ic, tuple(shown), tuple(rows), places, redrawn, TASKS[protocol.task].inapplicable
    )


def axes_of(protocol: EvalProtocol) -> list[str]:
    """Return the axes that a protocol measures one at a time, in its order."""
    return list(dict.fromkeys(c.axes[0][0] for c in protocol.conditions if len(c.axes) == 1))


def _places(
    protocol: EvalProtocol,
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, int]]:
    """Return where the object to move starts in the conditions that move it, and the redraws."""
    task = TASKS[protocol.task]
    places: dict[str, list[tuple[float, float]]] = {}
    redrawn: dict[str, int] = {}
    for condition in protocol.conditions:
        if not any(named(name).moves for name, _ in condition.axes) and condition.axes:
            continue
        ics = range(protocol.size(condition))
        starts = [protocol.start(condition.name, i) for i in ics]
        if count := sum(redraws(start) for start in starts):
            redrawn[condition.name] = count
        if condition.name == NOMINAL or condition.name.startswith("object_pose/"):
            poses = [start.objects[task.subject(start)] for start in starts]
            places[condition.name] = [(pose[0], pose[1]) for pose in poses]
    return places, redrawn


class Studio:
    """Draws the starts of one protocol; simulations are kept, because renderers are costly."""

    def __init__(self, protocol: EvalProtocol, ic: int) -> None:
        """Prepare to draw initial condition ``ic`` of ``protocol``."""
        self.protocol, self.ic = protocol, ic
        self.task = TASKS[protocol.task]
        self.nominal = protocol.start(NOMINAL, ic)
        self._sims: dict[int, SimBatch] = {}
        self._commands: list[Array] = []
        self._ghost: Array = np.zeros((VIEW.height, VIEW.width, 3), np.uint8)

    def told(self, start: InitialCondition) -> str:
        """Return the instruction where the task has more than one."""
        return self.task.instruct(start) if self.task.encode("") else ""

    def row(self, variation: Variation) -> AxisRow:
        """Draw an axis at every level beside nominal; a negative control has one."""
        at_start = variation.moves or variation.words or variation.tracks == PIXELS
        kind = START if at_start else DONE
        kind = SEEN if variation.name in AS_SEEN else kind
        kind = CLOSE if variation.name in SMALL else kind
        plain = f"“{self.told(self.nominal)}”" if variation.words else ""
        shots = [self.shot(kind, NOMINAL, self.nominal, plain)]
        for condition in self.protocol.conditions:
            if [name for name, _ in condition.axes] == [variation.name]:
                start = self.protocol.start(condition.name, self.ic)
                title = condition.axes[0][1] if variation.name in VARIATIONS else CONTROL
                shots.append(self.shot(kind, title, start, self.caption(variation.name, start)))
        return AxisRow(variation.name, variation.about, kind, variation.tracks, tuple(shots))

    def caption(self, axis: str, start: InitialCondition) -> str:
        """Say what was drawn for an axis."""
        values = start.factors[axis]
        if "new_shape" in values:
            values = {**values, "new_shape": reshaped(self.sims(start).world, values)}
        return said(axis, values)

    def shot(self, kind: str, title: str, start: InitialCondition, caption: str) -> Shot:
        """Draw one start in the way that shows the axis."""
        if kind == DONE:
            return self.done(title, start, caption)
        draw = {SEEN: self.seen, CLOSE: self.close}.get(kind, self.view)
        return Shot(title, draw(start), caption)

    def sims(self, start: InitialCondition) -> SimBatch:
        """Return a simulation that is at ``start``."""
        count = int(start.factors.get("distractors", {}).get("count", 0))
        if count not in self._sims:
            cameras = (EYE,)
            robot = self.protocol.robot
            extra = distractors_of([("distractors", "L3")]) if count else 0
            self._sims[count] = SimBatch(
                self.task, robot, threads=1, cameras=cameras, distractors=extra
            )
        self._sims[count].reset([start])
        return self._sims[count]

    def view(self, start: InitialCondition) -> Array:
        """Draw the scene for people."""
        return self.sims(start).frame(0, VIEW, shadows=True, antialias=ANTIALIAS)

    def close(self, start: InitialCondition) -> Array:
        """Draw the object that is to be moved, close up."""
        sims = self.sims(start)
        large = sims.frame(0, LARGE, shadows=True, antialias=1)
        place = np.array(self.nominal.objects[self.task.subject(start)][:3])
        x, y = pixel_of(sims.world, LARGE, place)
        left = min(max(x - VIEW.width // 2, 0), LARGE.width - VIEW.width)
        top = min(max(y - VIEW.height // 2, 0), LARGE.height - VIEW.height)
        return large[top : top + VIEW.height, left : left + VIEW.width]

    def seen(self, start: InitialCondition) -> Array:
        """Return the picture of the overhead camera."""
        picture: Array = self.sims(start).observe()[f"images/{EYE.name}"][0]
        return picture

    def done(self, title: str, start: InitialCondition, caption: str) -> Shot:
        """Carry out the nominal demonstration's commands from ``start``, the last one on and on."""
        commands, moment = self.demonstration()
        sims = self.sims(start)
        picture = self._ghost
        for k in range(self.task.horizon):
            if sims.done[0]:
                break
            sims.step(commands[min(k, len(commands) - 1)][None])
            if k == moment:
                now = sims.frame(0, VIEW, shadows=True, antialias=ANTIALIAS)
                self._ghost = now if title == NOMINAL else self._ghost
                picture = np.asarray(GHOST * self._ghost + (1 - GHOST) * now + 0.5, np.uint8)
        stage, stages = int(sims.stage[0]), len(self.task.stages)
        outcome = "done all the same" if stage == stages else f"{stage} of {stages} stages"
        return Shot(
            title, picture, caption, "" if title == NOMINAL else outcome, failed=stage < stages
        )

    def demonstration(self) -> tuple[list[Array], int]:
        """Return the expert's commands from the nominal start, and when the arm is fastest."""
        if not self._commands:
            sims = self.sims(self.nominal)
            expert = self.task.expert(sims.world, OPERATORS["clean"])
            expert.reset(self.nominal, np.random.default_rng(0))
            while not sims.done[0]:
                command = np.array(expert.act(sims.readings))
                self._commands.append(command)
                sims.step(command[None])
        speed = np.linalg.norm(np.diff(self._commands, axis=0), axis=1)
        first, last = (int(share * len(speed)) for share in FASTEST)
        return self._commands, first + int(np.argmax(speed[first:last]))
