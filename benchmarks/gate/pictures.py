"""Does a policy see its pictures, and see them as it learned to?

A policy that is off by little may still be shown wrong pictures: the joint positions alone carry it
a long way. So every policy with cameras is asked again with one usual mistake undone. A healthy one
gets worse by that; one that gets better, observation by observation, was shown the mistake.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.gate.recorded import Recorded, answers, errors, spread_rows
from benchmarks.gate.repairs import Repair, exchanged
from envs.arm import Array
from policies.base import Policy
from policies.preprocess import resize
from policies.trained import LearnedPolicy

CROP = 76 / 84
"""Side of an image that the encoders keep, see ``policies.vision``."""
SCREENED, ASKED = 40, 150
"""Observations for which every mistake is undone, and those for which a promising one is."""
MENDED = 0.85
"""Undoing a mistake must leave at most so much of the mean error. What was planted left .84 at most
(the colours of one camera); a healthy policy gets worse by any."""
OFTEN = 0.6
"""Share of the observations that it must make better."""
UNSEEN = 1e-3
"""A picture counts as not seen where another one moves the answers by less, in shares of how far
they are apart from observation to observation; leaderboard policies have at least .05."""
BLACK, WHITE = 0, 255

Observations = Mapping[str, Array]
Change = Callable[[Array], Array]


@dataclass(frozen=True)
class Finding:
    """What is wrong with the pictures.

    Attributes:
        cause: in a few words.
        text: in a sentence.
        tried: mistakes that were undone and what that made of the error, best first.
    """

    cause: str
    text: str
    tried: tuple[Mapping[str, object], ...] = ()


def cameras(policy: Policy) -> list[str]:
    """Return the keys of the pictures a policy sees; none of one that was trained blind."""
    if isinstance(policy, LearnedPolicy) and policy.provenance.get("blind"):
        return []
    return list(policy.spec.images)


def unseen(policy: Policy, recorded: Recorded) -> Finding | None:
    """Say which pictures could be any other without a difference to the answers."""
    few = recorded.part(spread_rows(len(recorded), SCREENED))
    if not (keys := cameras(policy)) or len(few) < 2:
        return None
    said = answers(policy, few)
    apart = float(said.std(0).mean())
    if not np.isfinite(said).all() or apart < 1e-6:
        return None  # there are other words for such answers

    def moved(first: Observations, second: Observations) -> float:
        said = [answers(policy, few.seeing(seen)) for seen in (first, second)]
        return float(np.abs(said[0] - said[1]).mean()) / apart

    blind = [
        k for k in keys
        if moved({**few.observations, k: np.roll(few.observations[k], len(few) // 2, axis=0)},
                 few.observations) < UNSEEN
    ]  # fmt: skip
    if not blind:
        return None
    names = " and ".join(key.partition("/")[2] for key in blind)
    dark = {**few.observations, **{k: np.full_like(few.observations[k], BLACK) for k in blind}}
    light = {**few.observations, **{k: np.full_like(few.observations[k], WHITE) for k in blind}}
    if moved(light, dark) > 0:
        told = f"pictures of {names} move the answers only if black turns to white"
        return Finding("pictures scaled twice, all but black", told)
    told = f"other pictures of {names} change nothing: they are black, frozen or not connected"
    return Finding(f"does not see the pictures of {names}", told)


def mistaken(policy: Policy, recorded: Recorded) -> Finding | None:
    """Return the mistake in the pictures that, undone, makes the answers better."""
    if not (keys := cameras(policy)):
        return None
    screen = recorded.part(spread_rows(len(recorded), SCREENED))
    whole = recorded.part(spread_rows(len(recorded), ASKED))
    before = _rows(policy, screen, None)
    hopeful = [r for r in of_pictures(keys) if _rows(policy, screen, r).mean() < before.mean()]
    if not hopeful:
        return None
    before = _rows(policy, whole, None)
    after = [(r, _rows(policy, whole, r)) for r in hopeful]
    after.sort(key=lambda one: float(one[1].mean()))
    repair, rows = after[0]
    if not _better(before, rows):
        return None
    share = float((rows < before).mean())
    told = (
        f"{repair.cause}: undone, the answers are off by {rows.mean():.3f} instead of "
        f"{before.mean():.3f} of the spread, and better to {share:.0%} of the observations"
    )
    tried = tuple({"mistake": r.cause, "error if undone": round(float(e.mean()), 4)}
                  for r, e in after[:5])  # fmt: skip
    return Finding(repair.cause, told, tried)


def _rows(policy: Policy, few: Recorded, repair: Repair | None) -> Array:
    """Return the error (N,) of each observation, seen as ``repair`` shows it."""
    see = few.observations if repair is None or repair.see is None else repair.see(few.observations)
    error = errors(answers(policy, few.seeing(see)), few, policy.spec)
    rows: Array = np.nan_to_num(error, nan=np.inf).mean(1)
    return rows


def _better(before: Array, after: Array) -> bool:
    return bool(after.mean() <= MENDED * before.mean() and (after < before).mean() >= OFTEN)


def of_pictures(keys: list[str]) -> Iterator[Repair]:
    """Yield mistakes in pictures ``keys``, of all cameras and of each, told by their undoing."""
    if not keys:
        return
    yield from exchanged(keys, "cameras swapped")
    for what, change in TURNED.items():
        yield Repair(what, see=_changed(keys, change))
    yield Repair("missing crop", see=_changed(keys, lambda x: zoomed(x, CROP)))
    yield Repair("cropped twice", see=_changed(keys, lambda x: framed(x, CROP)))
    if len(keys) > 1:
        for key, (what, change) in itertools.product(keys, TURNED.items()):
            yield Repair(f"{what}: {key.partition('/')[2]}", see=_changed([key], change))


def _changed(keys: list[str], change: Change) -> Callable[[Observations], Observations]:
    return lambda obs: {**obs, **{key: change(obs[key]) for key in keys}}


TURNED: Mapping[str, Change] = {
    "BGR for RGB": lambda x: x[..., ::-1].copy(),
    "pictures upside down": lambda x: x[..., ::-1, :, :].copy(),
    "pictures mirrored": lambda x: x[..., ::-1, :].copy(),
    "pictures turned by 180 degrees": lambda x: x[..., ::-1, ::-1, :].copy(),
    "pictures inverted": lambda x: WHITE - x,
}
"""Mistakes that undo themselves."""


def zoomed(images: Array, share: float) -> Array:
    """Return the centre of pictures (..., h, w, 3), ``share`` of each side, at their own size."""
    height, width = images.shape[-3:-1]
    tall, wide = round(height * share), round(width * share)
    top, left = (height - tall) // 2, (width - wide) // 2
    return resize(images[..., top : top + tall, left : left + wide, :], (height, width))


def framed(images: Array, share: float) -> Array:
    """Return pictures (..., h, w, 3) squeezed to ``share`` of each side, their edges drawn out."""
    height, width = images.shape[-3:-1]
    tall, wide = round(height * share), round(width * share)
    top, left = (height - tall) // 2, (width - wide) // 2
    around = ((top, height - tall - top), (left, width - wide - left), (0, 0))
    lead = ((0, 0),) * (images.ndim - 3)
    return np.pad(resize(images, (tall, wide)), (*lead, *around), mode="edge")
