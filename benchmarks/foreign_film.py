"""Videos of trials in somebody else's environment: its own pictures of the same commands again."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.film import LINGER_S, Format
from benchmarks.foreign_trial import seen_digest
from benchmarks.lines import Record
from benchmarks.video import compose, write_mp4
from envs.adapters import Foreign
from envs.arm import Array
from policies.preprocess import resize

TALL, WIDE = 240, 320  # px within which a picture is shown
SHOWN_HZ = 50.0  # control rate for which the formats count their frames


class UnfilmableError(Exception):
    """An environment that cannot be filmed; the text says why. Its trials are not worse for it."""


def why_not(env: Foreign) -> str | None:
    """Return why an environment gives no pictures, None where it gives them."""
    try:
        env.reset(0)
        _picture(env)
    except UnfilmableError as error:
        return str(error)
    except Exception as error:  # whatever somebody else's code does is a reason
        return f"{env.name}: {type(error).__name__}: {_short(error)}"
    return None


def film_foreign(env: Foreign, record: Record, actions: Array, path: Path, form: Format) -> Path:
    """Repeat a trial in ``env`` from its seed and commands (steps, n), and write its pictures.

    Raises:
        UnfilmableError: there are no pictures, or the trial does not come out as recorded.
    """
    rate = env.spec.control_hz
    every = max(1, round(form.every * rate / SHOWN_HZ))
    frames = _frames(env, record, actions, every, rate)
    return write_mp4(path, frames, rate / every, form.crf)


def _frames(
    env: Foreign, record: Record, actions: Array, every: int, rate: float
) -> Iterator[Array]:
    """Yield pictures of a trial repeated, then linger on the last with the outcome's border."""
    seen = env.reset(record["seeds"]["ic"])
    for step, action in enumerate(actions):
        if step % every == 0:
            yield compose([_picture(env)], _caption(record, f"step {step}/{len(actions)}"))
        try:
            seen, *_ = env.step(action)
        except Exception as error:  # as above
            raise UnfilmableError(f"{env.name}: {type(error).__name__}: {_short(error)}") from error
    if seen_digest(seen) != record["final_sha256"]:
        raise UnfilmableError(
            f"{env.name} does not repeat a trial from its seed and commands: it ends elsewhere"
        )
    how = "success" if record["success"] else f"failure: {record['failure']}"
    text = _caption(record, f"step {len(actions)}   {how}")
    end = compose([_picture(env)], text, record["success"])
    for _ in range(max(1, round(LINGER_S * rate / every))):
        yield end


def _caption(record: Record, state: str) -> tuple[str, str]:
    key = record["key"]
    return f"{key['policy']}   {key['condition']} / {key['ic']}", state


def _picture(env: Foreign) -> Array:
    """Return what ``env`` draws, (h, w, 3) uint8, made smaller where it is large."""
    try:
        drawn = env.render()
    except Exception as error:  # as above
        raise UnfilmableError(f"{env.name}: {type(error).__name__}: {_short(error)}") from error
    if drawn is None:
        raise UnfilmableError(f"{env.name} draws no rgb_array")
    picture = np.asarray(drawn)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise UnfilmableError(f"{env.name} draws {picture.shape} {picture.dtype}, not a picture")
    height, width = picture.shape[:2]
    scale = min(1.0, TALL / height, WIDE / width)
    if scale == 1.0:
        return picture
    return resize(picture, (max(2, round(height * scale)), max(2, round(width * scale))))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
