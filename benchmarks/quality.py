"""How good demonstrations are: what is measured of each, and what of all of them stands out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.stats import sparc
from envs.arm import Array
from envs.episode import Episode, fingerprint
from envs.robots import ROBOTS

ARM_WIDTH = 7  # six joints and a gripper; two arms have twice as many
JUMP_RAD = 0.15  # a first command this far from the arm strips gears
RATE_SHARE = 0.05  # deviation of the rate from the nominal one that matters
JITTER_MS = 5.0
MOVING = 0.05  # [rad/s] a frame that repeats while a joint is faster than this is stale
STALE_SHARE = 0.02
STILL_RAD = 0.01  # a joint that moves less gives a range too small to normalise with
FEW = 20  # demonstrations


@dataclass(frozen=True)
class EpisodeQuality:
    """What is measured of one episode.

    Attributes:
        name: file name.
        steps: control steps.
        duration_s: from the first to the last observation, and one period more.
        success: as recorded, None where it is not.
        operator: as recorded.
        rate_hz: steps a second (mean); None where the times were not measured.
        jitter_ms: standard deviation of the control period; None likewise.
        longest_ms: longest control period; None likewise.
        sparc: smoothness of the joint speed; None for an arm that stands.
        jump: largest distance of a joint from the first command [rad].
        fast: share of commands that ask a joint for more than its speed limit; None where the
            robot is not known.
        stale: share of moving steps in which a camera repeats its frame; None without images.
        low: least command of each joint (n,).
        high: greatest command of each joint (n,).
        places: (x, y [m], yaw [rad]) of each object at the start.
        fingerprint: of the content.
    """

    name: str
    steps: int
    duration_s: float
    success: bool | None
    operator: str
    rate_hz: float | None
    jitter_ms: float | None
    longest_ms: float | None
    sparc: float | None
    jump: float
    fast: float | None
    stale: float | None
    low: tuple[float, ...]
    high: tuple[float, ...]
    places: Mapping[str, tuple[float, float, float]]
    fingerprint: str


@dataclass(frozen=True)
class DataQuality:
    """What is measured of a folder of demonstrations.

    Attributes:
        folder: where they are.
        episodes: those that could be read.
        refused: reason by file name for those that could not.
        excluded: reason by file name for those that training leaves out.
        joints: names, in the order of the commands.
        control_hz: nominal rate.
    """

    folder: str
    episodes: Sequence[EpisodeQuality]
    refused: Mapping[str, str]
    excluded: Mapping[str, str]
    joints: Sequence[str]
    control_hz: float
    used: Sequence[EpisodeQuality] = field(init=False)

    def __post_init__(self) -> None:
        """Pick the episodes that training uses."""
        used = [e for e in self.episodes if e.name not in self.excluded]
        object.__setattr__(self, "used", used)


def measure(name: str, episode: Episode) -> EpisodeQuality:
    """Measure the episode of the file ``name``."""
    meta, times = episode.meta, episode.timestamps
    qpos, actions = episode.observations["qpos"], episode.actions
    arm = arm_columns(actions.shape[1])
    gaps = np.diff(times) if meta.timed and len(times) > 1 else None
    speed = np.linalg.norm(_speeds(episode)[:, arm], axis=1)
    return EpisodeQuality(
        name=name,
        steps=len(episode),
        duration_s=float(times[-1] - times[0]) + 1 / meta.control_hz,
        success=meta.success,
        operator=meta.operator,
        rate_hz=None if gaps is None else 1 / float(gaps.mean()),
        jitter_ms=None if gaps is None else 1e3 * float(gaps.std()),
        longest_ms=None if gaps is None else 1e3 * float(gaps.max()),
        sparc=sparc(speed, meta.control_hz),
        jump=float(np.abs(actions[0, arm] - qpos[0, arm]).max()),
        fast=_fast(episode),
        stale=_stale(episode, speed),
        low=tuple(map(float, actions.min(axis=0))),
        high=tuple(map(float, actions.max(axis=0))),
        places=places(episode),
        fingerprint=fingerprint(episode),
    )


def arm_columns(n: int) -> Array:
    """Return the columns of ``n`` commands that are joints, not grippers."""
    columns = np.arange(n)
    grippers = columns % ARM_WIDTH == ARM_WIDTH - 1 if n % ARM_WIDTH == 0 else columns == n - 1
    joints: Array = columns[~grippers]
    return joints


def _speeds(episode: Episode) -> Array:
    """Return joint velocities (T, n): recorded, or differences of the positions."""
    recorded = episode.observations.get("qvel")
    if recorded is not None or len(episode) < 2:
        return np.zeros_like(episode.actions) if recorded is None else recorded
    qpos = episode.observations["qpos"].astype(np.float64)
    return np.gradient(qpos, episode.timestamps, axis=0)


def _fast(episode: Episode) -> float | None:
    """Return the share of commands that ask some joint for more than its speed limit."""
    if episode.meta.robot not in ROBOTS or len(episode) < 2:
        return None
    limits = np.array(ROBOTS[episode.meta.robot].spec().velocity)
    if len(limits) != episode.actions.shape[1]:
        return None
    speed = np.abs(np.diff(episode.actions, axis=0)) * episode.meta.control_hz
    return float((speed > limits + 1e-3).any(axis=1).mean())


def _stale(episode: Episode, speed: Array) -> float | None:
    """Return the share of moving steps in which some camera shows the frame before."""
    moving = np.flatnonzero(speed[1:] > MOVING) + 1
    if not episode.cameras or not len(moving):
        return None
    repeated = np.zeros(len(moving), bool)
    for camera in episode.cameras:
        frames = episode.observations[f"images/{camera}"]
        repeated |= [bool((frames[t] == frames[t - 1]).all()) for t in moving]
    return float(repeated.mean())


def places(episode: Episode) -> dict[str, tuple[float, float, float]]:
    """Return where each object is at the start: x, y [m] and yaw [rad]."""
    prefix = "objects/"
    poses = {
        key.removeprefix(prefix): array[0]
        for key, array in episode.observations.items()
        if key.startswith(prefix)
    }
    if not poses and episode.meta.start is not None:
        poses = {name: np.array(pose) for name, pose in episode.meta.start.objects.items()}
    return {name: (float(p[0]), float(p[1]), _yaw(p[3:])) for name, p in poses.items()}


def _yaw(quat: Array) -> float:
    w, x, y, z = map(float, quat)
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


@dataclass(frozen=True)
class Finding:
    """Something a person should know before training: ``good`` or not, and what to do."""

    good: bool
    text: str


def findings(data: DataQuality) -> list[Finding]:
    """Return what stands out, the problems first; one good finding where there are none."""
    problems = [
        Finding(False, text)
        for check in (_files, _outcomes, _copies, _timing, _motion, _frames)
        for text in check(data)
    ]
    if problems or not data.used:
        return problems
    return [
        Finding(True, f"Nothing found that speaks against learning from these {len(data.used)}.")
    ]


def _files(data: DataQuality) -> Iterator[str]:
    if data.refused:
        yield f"{count(len(data.refused), 'file')} cannot be used: see the reasons below."
    if data.excluded:
        yield f"Training leaves out {count(len(data.excluded), 'episode')}: see the reasons below."
    if 0 < len(data.used) < FEW:
        yield f"Only {count(len(data.used), 'demonstration')}: 50 are the usual number."


def _outcomes(data: DataQuality) -> Iterator[str]:
    unknown = sum(e.success is None for e in data.used)
    if unknown:
        yield f"{count(unknown, 'episode')} without a recorded outcome: failures may be among them."


def _copies(data: DataQuality) -> Iterator[str]:
    copies = len(data.used) - len({e.fingerprint for e in data.used})
    if copies:
        yield f"{count(copies, 'episode')} more than once: a copy held out measures nothing."
    starts = [tuple(e.places.items()) for e in data.used if e.places]
    if len(starts) > 1 and len(set(starts)) == 1:
        yield "All episodes start the same: a policy will know one start only."


def _timing(data: DataQuality) -> Iterator[str]:
    untimed = sum(e.rate_hz is None for e in data.used)
    if untimed:
        yield f"{count(untimed, 'episode')} without times: {data.control_hz:g} Hz is assumed."
    timed = [(e.rate_hz, e.jitter_ms) for e in data.used if e.rate_hz and e.jitter_ms is not None]
    slow = [r for r, _ in timed if abs(r / data.control_hz - 1) > RATE_SHARE]
    if slow:
        rate = f"{np.median(slow):.1f} Hz instead of {data.control_hz:g}"
        yield f"{count(len(slow), 'episode')} at another rate: {rate}."
    uneven = sum(jitter > JITTER_MS for _, jitter in timed)
    if uneven:
        yield f"{count(uneven, 'episode')} with more than {JITTER_MS:g} ms of jitter."


def _motion(data: DataQuality) -> Iterator[str]:
    jumps = [e.jump for e in data.used if e.jump > JUMP_RAD]
    if jumps:
        yield f"{count(len(jumps), 'episode')} with a jump of up to {max(jumps):.2f} rad at first."
    fast = [e.fast for e in data.used if e.fast]
    if fast:
        share = f"{100 * max(fast):.1f} % of the commands"
        yield f"{count(len(fast), 'episode')} faster than the arm, in up to {share}."
    if not data.used:
        return
    low, high = command_range(data.used)
    for j in arm_columns(len(low)):
        if high[j] - low[j] < STILL_RAD:
            yield f"Joint {data.joints[j]} hardly moves: {high[j] - low[j]:.4f} rad in all."


def _frames(data: DataQuality) -> Iterator[str]:
    stale = sum((e.stale or 0) > STALE_SHARE for e in data.used)
    if stale:
        yield f"{count(stale, 'episode')} with frames repeated while the arm moves."


def command_range(episodes: Sequence[EpisodeQuality]) -> tuple[Array, Array]:
    """Return the least and the greatest command of each joint, (n,) each."""
    return np.min([e.low for e in episodes], axis=0), np.max([e.high for e in episodes], axis=0)


def count(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 episode``, ``3 episodes``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
