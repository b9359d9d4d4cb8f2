"""Usual mistakes, each told by what would mend it.

A policy whose answers do not fit the demonstrations is asked again with one mistake undone, in what
it sees or in what it says. Where that makes it right, the mistake is found.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.gate.recorded import Recorded
from envs.arm import ArmSpec, Array
from policies.base import Policy
from policies.normalize import Normalizer
from policies.trained import LearnedPolicy

Observations = Mapping[str, Array]
Answer = tuple[Array, Recorded]
DEGREES = 180 / np.pi


@dataclass(frozen=True)
class Repair:
    """A mistake and how it is undone.

    Attributes:
        cause: the mistake, in a few words.
        see: what the policy should be shown instead of observations; None: what it was.
        say: what it should have answered, of what it answered (N, chunk, n), beside what it is
            compared with; None: that.
    """

    cause: str
    see: Callable[[Observations], Observations] | None = None
    say: Callable[[Array, Recorded], Answer] | None = None


def repairs(policy: Policy, arm: ArmSpec, recorded: Recorded) -> Iterator[Repair]:
    """Yield the mistakes to try: those in the answers first, which cost nothing.

    Those in pictures are in ``benchmarks.gate.pictures``.
    """
    yield from of_answers(arm)
    yield from of_time()
    yield from of_joints_seen(arm)
    yield from of_objects(sorted(recorded.observations))
    if isinstance(policy, LearnedPolicy):
        yield from of_scaling(policy)


def _said(change: Callable[[Array, Recorded], Array]) -> Callable[[Array, Recorded], Answer]:
    return lambda chunk, recorded: (change(chunk.copy(), recorded), recorded)


def _columns(which: Array, change: Callable[[Array], Array]) -> Callable[[Array, Recorded], Answer]:
    """Return what changes some columns of an answer."""

    def apply(chunk: Array, recorded: Recorded) -> Array:
        chunk[..., which] = change(chunk[..., which])
        return chunk

    return _said(apply)


def of_answers(arm: ArmSpec) -> Iterator[Repair]:
    """Yield mistakes in the action space."""
    hinges, grips = arm.hinges, np.array(arm.grippers, int)
    yield Repair("actions in degrees", say=_columns(hinges, lambda x: x / DEGREES))
    yield Repair("actions divided by 57.3", say=_columns(hinges, lambda x: x * DEGREES))
    yield Repair("gripper inverted", say=_columns(grips, lambda x: 1 - x))
    yield Repair("gripper in another unit", say=_fitted(grips))

    def add(sign: float) -> Callable[[Array, Recorded], Answer]:
        def apply(chunk: Array, recorded: Recorded) -> Array:
            here = recorded.observations["qpos"][:, -1:]
            chunk[..., hinges] += sign * here[..., hinges]
            return chunk

        return _said(apply)

    yield Repair("delta actions taken for absolute ones", say=add(1.0))
    yield Repair("absolute actions taken for delta ones", say=add(-1.0))
    for i, j in itertools.combinations(range(arm.n), 2):
        yield Repair(f"joints swapped: {arm.joints[i]}, {arm.joints[j]}", say=_swapped(i, j))
    for k in hinges:
        one = np.array([k])
        yield Repair(f"joint reversed: {arm.joints[k]}", say=_columns(one, lambda x: -x))
        yield Repair(f"zero of a joint moved: {arm.joints[k]}", say=_moved(int(k)))
    if len(grips) == 2:
        half = arm.n // 2
        turned = np.roll(np.arange(arm.n), half)
        yield Repair("arms swapped", say=_said(lambda x, r: x[..., turned]))


def _swapped(i: int, j: int) -> Callable[[Array, Recorded], Answer]:
    def apply(chunk: Array, recorded: Recorded) -> Array:
        chunk[..., [i, j]] = chunk[..., [j, i]]
        return chunk

    return _said(apply)


def _moved(k: int) -> Callable[[Array, Recorded], Answer]:
    """Take the usual difference to the demonstrations off one joint."""

    def apply(chunk: Array, recorded: Recorded) -> Array:
        chunk[..., k] -= np.median(chunk[:, 0, k] - recorded.actions[:, 0, k])
        return chunk

    return _said(apply)


def _fitted(which: Array) -> Callable[[Array, Recorded], Answer]:
    """Let a straight line through the demonstrated openings stand for the ones answered."""

    def apply(chunk: Array, recorded: Recorded) -> Array:
        for k in which:
            said, wanted = chunk[:, 0, k], recorded.actions[:, 0, k]
            apart = said - said.mean()
            slope = (apart @ wanted) / max(float(apart @ apart), 1e-12)
            chunk[..., k] = slope * (chunk[..., k] - said.mean()) + wanted.mean()
        return chunk

    return _said(apply)


def of_time() -> Iterator[Repair]:
    """Yield mistakes in when an action is meant to be carried out."""

    def slow(chunk: Array, recorded: Recorded) -> Answer:
        half = (chunk.shape[1] + 1) // 2
        later = _ahead(recorded, 2 * np.arange(half))
        return _padded(chunk[:, :half], later)

    def fast(chunk: Array, recorded: Recorded) -> Answer:
        return _padded(
            chunk[:, ::2], _ahead(recorded, np.arange(chunk.shape[1])[: -(-chunk.shape[1] // 2)])
        )

    yield Repair("wrong rate: chunks of half the control rate", say=slow)
    yield Repair("wrong rate: chunks of twice the control rate", say=fast)
    yield Repair("chunk in reverse order", say=_said(lambda x, r: x[:, ::-1]))
    for steps in (2, 5, 10, 20):
        yield Repair(f"actions {steps} steps late", say=_late(steps))
    yield Repair("noise on the actions", say=_said(lambda x, r: _smooth(x)))


def _ahead(recorded: Recorded, which: Array) -> Recorded:
    actions, inside = recorded.actions[:, which], recorded.inside[:, which]
    return replace(recorded, actions=actions, inside=inside)


def _padded(chunk: Array, recorded: Recorded) -> Answer:
    return chunk[:, : recorded.actions.shape[1]], recorded


def _late(steps: int) -> Callable[[Array, Recorded], Answer]:
    def apply(chunk: Array, recorded: Recorded) -> Answer:
        kept = chunk.shape[1] - steps
        if kept < 1:
            return chunk, recorded
        return chunk[:, steps:], _ahead(recorded, np.arange(kept))

    return apply


def _smooth(chunk: Array, width: int = 15) -> Array:
    """Return the moving average over ``width`` steps of a chunk."""
    if chunk.shape[1] < width:
        return chunk
    edge = width // 2
    wide = np.pad(chunk, ((0, 0), (edge, edge), (0, 0)), mode="edge")
    total = np.cumsum(np.pad(wide, ((0, 0), (1, 0), (0, 0))), axis=1, dtype=np.float64)
    mean: Array = (total[:, width:] - total[:, :-width]) / width
    return mean


def _seen(key: str, change: Callable[[Array], Array]) -> Callable[[Observations], Observations]:
    return lambda obs: {**obs, key: change(obs[key].copy())}


def of_joints_seen(arm: ArmSpec) -> Iterator[Repair]:
    """Yield mistakes in the joint positions that the policy is shown."""

    def times(factor: float) -> Callable[[Array], Array]:
        def apply(x: Array) -> Array:
            x[..., arm.hinges] *= factor
            return x

        return apply

    def swapped(i: int, j: int) -> Callable[[Array], Array]:
        def apply(x: Array) -> Array:
            x[..., [i, j]] = x[..., [j, i]]
            return x

        return apply

    def turned(x: Array) -> Array:
        x[..., list(arm.grippers)] = 1 - x[..., list(arm.grippers)]
        return x

    yield Repair("observed joints in degrees", see=_seen("qpos", times(1 / DEGREES)))
    yield Repair("observed gripper inverted", see=_seen("qpos", turned))
    for i, j in itertools.combinations(range(arm.n), 2):
        what = f"observed joints swapped: {arm.joints[i]}, {arm.joints[j]}"
        yield Repair(what, see=_seen("qpos", swapped(i, j)))


def of_objects(keys: list[str]) -> Iterator[Repair]:
    """Yield mistakes in the poses of objects that the policy is shown."""
    objects = [key for key in keys if key.startswith("objects/")]
    if not objects:
        return

    def every(change: Callable[[Array], Array]) -> Callable[[Observations], Observations]:
        return lambda obs: {**obs, **{key: change(obs[key].copy()) for key in objects}}

    def metres(x: Array) -> Array:
        x[..., :3] /= 1000
        return x

    def first_w(x: Array) -> Array:
        return np.concatenate([x[..., :3], x[..., 6:], x[..., 3:6]], axis=-1)

    yield Repair("object positions in mm", see=every(metres))
    yield Repair("quaternions with w last", see=every(first_w))
    yield from exchanged(objects, "objects swapped")


def exchanged(keys: list[str], cause: str) -> Iterator[Repair]:
    """Yield that one thing is shown for another, for every two of them."""
    for a, b in itertools.combinations(keys, 2):
        names = ", ".join(key.partition("/")[2] for key in (a, b))
        yield Repair(f"{cause}: {names}", see=lambda o, a=a, b=b: {**o, a: o[b], b: o[a]})  # type: ignore[misc]


def of_scaling(policy: LearnedPolicy) -> Iterator[Repair]:
    """Yield the other normalisation than the one the policy is run with."""
    ours = policy.normalizer
    other = Normalizer(ours.stats, "minmax" if ours.mode == "meanstd" else "meanstd")
    keys = policy.spec.vectors

    def see(obs: Observations) -> Observations:
        return {
            **obs,
            **{k: ours.denormalize(k, other.normalize(k, obs[k])) for k in keys},
        }

    yield Repair(
        f"normalised by {ours.mode}, trained with {other.mode}",
        see=see,
        say=_said(lambda x, r: other.denormalize("action", ours.normalize("action", x))),
    )
