"""Why a trial failed: one ordered list of labels for the simulator and for the operator.

The first label that matches is the failure; everything else that matched is kept as tags.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from envs.arm import Array
from envs.readings import Readings, distance2
from envs.registry import Registry
from envs.sensors import hands
from envs.task import Task

COLLISION_N, COLLISION_S = 50.0, 0.2  # mean force on the table; in successes at most 44 N
ARMS_N = 15.0  # of two arms on each other, a collision as well; demonstrations have none
CLOSED_S = 0.2  # closed this long without the object: the grasp missed
LIFT_M = 0.02  # higher than this the object is off the table
NEAR_M = 0.05  # the hand was at the object
ASTRAY_M, ASTRAY_S = 0.20, 1.0  # after that: this far from every object and zone for this long
STUCK_M, STUCK_S = 0.01, 3.0  # the hand moved less than this in this time
HALF_OPEN = 0.5  # commands below this close the gripper
FINGER_STILL = 0.005  # opening a control period below which the fingers stand

SHIFT = "distribution shift"
AVERAGE = "mode averaging"
ERROR = "accumulated action error or a normalisation mismatch"
HARDWARE = "hardware mismatch"
RESETS = "insufficient resets"


@dataclass(frozen=True)
class Failure:
    """A way to fail.

    Attributes:
        label: as recorded.
        about: what was seen.
        cause: the likely cause.
        advice: what to try.
        counts: False where the trial is run again instead of counting as a failure.
    """

    label: str
    about: str
    cause: str
    advice: str
    counts: bool = True


FAILURES: Registry[Failure] = Registry("failure label")
for _failure in (
    Failure("invalid_hardware", "a motor, camera or the network failed", HARDWARE,
            "mend the device; the trial is run again", counts=False),
    Failure("invalid_reset", "the scene was not set up as the trial asks", RESETS,
            "measure the reset before the trial; the trial is run again", counts=False),
    Failure("policy_error", "the policy crashed or returned NaN or a wrong shape", ERROR,
            "compare the statistics and the specification in the checkpoint with the arm's"),
    Failure("safety_stop", "a safety rule stopped the arm", HARDWARE,
            "read the rule in the log; check limits, calibration and latency"),
    Failure("collision", "the arm hit what it must not touch, or pressed on the table with more "
            f"than {COLLISION_N:.0f} N", ERROR,
            "check the action scale; execute fewer actions of each chunk; where there are several "
            "ways, a policy that averages them goes through the middle"),
    Failure("excess_force", "what was worked on was pressed harder than it bears", ERROR,
            "demonstrate with a steady force; execute fewer actions of each chunk"),
    Failure("wrong_object", "another object than the task's was lifted", SHIFT,
            "add demonstrations with distractors in view"),
    Failure("wrong_order", "a step was done before one that it depends on", AVERAGE,
            "demonstrate one order only; check that the observation tells which steps are done"),
    Failure("wrong_zone", "the object was put in another zone than the one asked for", SHIFT,
            "balance the demonstrations over the instructions; check that the policy reads them"),
    Failure("missed_grasp", "the gripper closed beside the object and it was never lifted", AVERAGE,
            "add demonstrations near this start; try a policy with several modes, or "
            "temporal ensembling"),
    Failure("dropped", "the object was lifted and then fell", SHIFT,
            "vary friction, mass and gripper timing in training; demonstrate a firm grasp"),
    Failure("spilled", "so much fell beside that enough could not be poured any more", ERROR,
            "demonstrate slower pouring; execute fewer actions of each chunk"),
    Failure("wrong_force", "the force was outside its band for most of the contact", ERROR,
            "demonstrate with a steady force; observe the effort of the joints"),
    Failure("jammed", "the part entered its hole and did not go home", ERROR,
            "execute fewer actions of each chunk; demonstrate slower insertions"),
    Failure("misplaced", "the object was let go outside the goal's tolerance", ERROR,
            "execute fewer actions of each chunk; add demonstrations near this target"),
    Failure("unstable", "the goal was reached but did not last", ERROR,
            "demonstrate a full release and retreat; keep the last second of each episode"),
    Failure("drift", "the hand moved, but never to the object, or away from all of them", SHIFT,
            "widen the starts of the demonstrations; check the normalisation of the objects' pose"),
    Failure("stuck", "the hand stood still for 3 s", AVERAGE,
            "filter pauses from the demonstrations; lengthen the chunk"),
    Failure("timeout", "the time was over", ERROR,
            "train longer; check the control rate against the demonstrations'"),
    Failure("other", "none of the above", SHIFT, "watch the video"),
):  # fmt: skip
    FAILURES.register(_failure.label, _failure)


@dataclass(frozen=True)
class Trace:
    """What happened in a wave, one row a control period.

    Attributes:
        index: where each named sensor is.
        sensors: (T + 1, N, ns) readings; row 0 is the start.
        joints: (T + 1, N, n) true positions, rad and opening.
        actions: (T, N, n) commands of the policy.
        stages: (T + 1, N) stages reached.
        steps: (N,) control periods of each trial; later rows are not part of it.
        success, success_any, success_final: (N,) bool.
        errors: (N,) what went wrong inside the policy, "" where nothing did.
        hz: control rate.
        grippers: their columns among the joints, one a hand.
        gone: why the policy could not be asked any more, "" where it could to the end.
    """

    index: Mapping[str, slice]
    sensors: Array
    joints: Array
    actions: Array
    stages: Array
    steps: Array
    success: Array
    success_any: Array
    success_final: Array
    errors: Sequence[str]
    hz: float
    grippers: tuple[int, ...] = (-1,)
    gone: str = ""

    @property
    def inside(self) -> Array:
        """Rows (T + 1, N) that belong to the trial."""
        rows = np.arange(len(self.sensors))[:, None]
        inside: Array = rows <= self.steps
        return inside

    def take(self, trials: Array) -> "Trace":
        """Return the trace of some trials of the wave."""
        steps = self.steps[trials]
        rows = int(steps.max(initial=0)) + 1
        return Trace(
            self.index, self.sensors[:rows, trials], self.joints[:rows, trials],
            self.actions[: rows - 1, trials], self.stages[:rows, trials], steps,
            self.success[trials], self.success_any[trials], self.success_final[trials],
            [self.errors[i] for i in trials], self.hz, self.grippers, self.gone,
        )  # fmt: skip

    def readings(self) -> Readings:
        """Return the sensors by name, each value an array (T + 1, N)."""
        return Readings(self.index, list(np.moveaxis(self.sensors, 2, 0)))


def label(trace: Trace, task: Task) -> list[tuple[str | None, list[str]]]:
    """Return (failure, tags) of every trial of a wave; (None, []) for a success."""
    found: list[tuple[str | None, list[str]]] = [(None, [])] * len(trace.steps)
    failed = np.flatnonzero(~trace.success)
    if not len(failed):
        return found
    part = trace.take(failed)
    matches = {name: rule(part, task) for name, rule in RULES.items()}
    for name, flags in task.failures(part.readings()).items():
        own = np.asarray(flags)
        own = _ever(own & part.inside) if own.ndim == 2 else own
        matches[FAILURES[name].label] = own | matches.get(name, False)
    for k, i in enumerate(failed):
        names = [name for name in FAILURES if name in matches and matches[name][k]]
        found[int(i)] = (names[0], names[1:]) if names else ("other", [])
    return found


def _policy_error(t: Trace, task: Task) -> Array:
    return np.array([bool(error) for error in t.errors])


def _collision(t: Trace, task: Task) -> Array:
    """The mean force over .2 s was too large: a tap of the fingers on the way is not enough."""
    hit = np.zeros(len(t.steps), bool)
    limits = {f"{hand}arm_table": COLLISION_N for hand in hands(t.index)} | {"arm_arm": ARMS_N}
    for name in limits.keys() & t.index.keys():
        force = np.linalg.norm(t.sensors[:, :, t.index[name]], axis=2) * t.inside
        window = round(COLLISION_S * t.hz)
        total = np.cumsum(np.concatenate([np.zeros((window, force.shape[1])), force]), axis=0)
        hit |= _ever(np.asarray(total[window:] - total[:-window] > limits[name] * window))
    return hit


def _wrong_object(t: Trace, task: Task) -> Array:
    """Another free object than the task's was lifted while the arm touched it."""
    wrong = np.zeros(len(t.steps), bool)
    touches = [(name, f"{hand}arm_") for hand in hands(t.index) for name in sorted(t.index)]
    for name, start in touches:
        other = name.removeprefix(start)
        if not name.startswith(start) or other == "table" or other in task.objects:
            continue
        height = t.readings()[f"{other}_pos"][2]
        touched = t.readings().scalar(name) > 0
        wrong |= _ever(touched & (height > height[0] + LIFT_M) & t.inside)
    return wrong


def _missed_grasp(t: Trace, task: Task) -> Array:
    """Fingers closed and at rest, holding nothing, for .2 s; and an object was never lifted."""
    objects = _grasped(t, task)
    if not objects:
        return np.zeros(len(t.steps), bool)
    lifted = np.all([_lifted(t, k) | placed.all(axis=0) for k, placed in objects.items()], axis=0)
    missed = np.zeros(len(t.steps), bool)
    for hand, column in zip(hands(t.index), t.grippers, strict=True):
        held = np.any([_touch(t, hand, name)[0] for name in objects], axis=0)
        still = np.abs(np.diff(t.joints[:, :, column], axis=0)) < FINGER_STILL
        closing = t.actions[:, :, column] < HALF_OPEN
        beside = closing & still & ~held[1:] & t.inside[1:]
        missed |= _lasts(beside, round(CLOSED_S * t.hz)) & ~lifted
    return missed


def _dropped(t: Trace, task: Task) -> Array:
    """The fingers lost an object while it was more than 2 cm up and not where it belongs."""
    dropped = np.zeros(len(t.steps), bool)
    for name, placed in _grasped(t, task).items():
        held, free = _contact(t, name)
        high = _high(t, name) & ~placed
        carried = np.maximum.accumulate(held & high, axis=0)
        dropped |= _ever(free[1:] & carried[:-1] & high[1:] & t.inside[1:])
    return dropped


def _misplaced(t: Trace, task: Task) -> Array:
    """An object was moved by a grasp, is free at the end, and is not where it belongs."""
    misplaced = np.zeros(len(t.steps), bool)
    last = (t.steps, np.arange(len(t.steps)))
    for name, placed in _grasped(t, task).items():
        _, free = _contact(t, name)
        misplaced |= _lifted(t, name) & free[last] & ~placed[last]
    return misplaced


def _unstable(t: Trace, task: Task) -> Array:
    return t.success_any


def _drift(t: Trace, task: Task) -> Array:
    """The hand moved, but never within 5 cm of an object to move, or went astray afterwards."""
    r = t.readings()
    at = [np.moveaxis(np.asarray(r[f"{hand}tcp_pos"]), 0, 2) for hand in hands(t.index)]
    moved = np.any([np.linalg.norm(hand - hand[0], axis=2) > NEAR_M for hand in at], axis=0)
    nearest = np.min([_distance2(t, name) for name in task.objects], axis=0)
    near = np.zeros(nearest.shape, bool)
    for name, placed in task.placed(r).items():
        to_do = ~np.asarray(placed).all(axis=0)
        near |= to_do & (_distance2(t, name) < NEAR_M**2)
    astray = np.maximum.accumulate(near, axis=0) & (nearest > ASTRAY_M**2) & t.inside
    never = ~_ever(near & t.inside) & _ever(moved & t.inside)
    return never | _lasts(astray, round(ASTRAY_S * t.hz))


def _stuck(t: Trace, task: Task) -> Array:
    """All positions of every hand within some 3 s lie within 1 cm of the first of them."""
    window = round(STUCK_S * t.hz)
    if len(t.sensors) <= window:
        return np.zeros(len(t.steps), bool)
    apart = np.zeros((len(t.sensors) - window, len(t.steps)))
    for prefix in hands(t.index):
        hand = t.sensors[:, :, t.index[f"{prefix}tcp_pos"]]
        for lag in range(5, window + 1, 5):  # every .1 s: no hand goes and comes back in between
            step = hand[lag : lag + len(apart)] - hand[: len(apart)]
            apart = np.maximum(apart, np.linalg.norm(step, axis=2))
    return _ever((apart < STUCK_M) & t.inside[window:])


def _timeout(t: Trace, task: Task) -> Array:
    return np.asarray(t.steps >= task.horizon)


RULES: Mapping[str, Callable[[Trace, Task], Array]] = {
    "policy_error": _policy_error,
    "collision": _collision,
    "wrong_object": _wrong_object,
    "missed_grasp": _missed_grasp,
    "dropped": _dropped,
    "misplaced": _misplaced,
    "unstable": _unstable,
    "drift": _drift,
    "stuck": _stuck,
    "timeout": _timeout,
}
"""What the simulator can tell, each as a function of a wave of failed trials -> (N,) bool."""


def _grasped(t: Trace, task: Task) -> Mapping[str, Array]:
    """Return where each object that a hand can take is where it belongs: (T + 1, N) by name."""
    placed = task.placed(t.readings())
    first = hands(t.index)[0]
    can = [name for name in placed if f"{first}left_{name}" in t.index]
    return {name: np.asarray(placed[name]) for name in can}


def _touch(t: Trace, hand: str, name: str) -> tuple[Array, Array]:
    """Return where both fingers of a hand, and where none, touch the object: (T + 1, N)."""
    r = t.readings()
    left = np.asarray(r.scalar(f"{hand}left_{name}")) > 0
    right = np.asarray(r.scalar(f"{hand}right_{name}")) > 0
    return left & right, ~left & ~right


def _contact(t: Trace, name: str) -> tuple[Array, Array]:
    """Return where a hand holds the object with both fingers, and where no finger touches it."""
    touches = [_touch(t, hand, name) for hand in hands(t.index)]
    held, free = (np.array(flags) for flags in zip(*touches, strict=True))
    return np.asarray(held.any(axis=0)), np.asarray(free.all(axis=0))


def _distance2(t: Trace, name: str) -> Array:
    """Return the squared distance of the nearest hand to the object [m^2]: (T + 1, N)."""
    r = t.readings()
    at = r[f"{name}_pos"]
    each = [distance2(r[f"{hand}tcp_pos"], at) for hand in hands(t.index)]
    return np.asarray(np.min(each, axis=0))


def _high(t: Trace, name: str) -> Array:
    """Return where the object is more than 2 cm above its start: (T + 1, N)."""
    height = np.asarray(t.readings()[f"{name}_pos"][2])
    return np.asarray(height > height[0] + LIFT_M)


def _lifted(t: Trace, name: str) -> Array:
    """Tell for each trial whether both fingers held the object more than 2 cm up: (N,)."""
    return _ever(_contact(t, name)[0] & _high(t, name) & t.inside)


def _ever(flags: Array) -> Array:
    """Tell for each trial whether a flag (T, N) was ever up: (N,)."""
    return np.asarray(flags.any(axis=0))


def _lasts(flags: Array, steps: int) -> Array:
    """Tell for each trial whether a flag (T, N) was up for ``steps`` rows on end: (N,)."""
    if len(flags) < steps:
        return np.zeros(flags.shape[1], bool)
    total = np.concatenate([np.zeros((1, flags.shape[1]), int), np.cumsum(flags, axis=0)])
    return _ever(np.asarray(total[steps:] - total[:-steps] == steps))
