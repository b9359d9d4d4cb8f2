"""Does the gate refuse what is broken, and know why? Defects planted in healthy policies."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.gate import planted as p
from benchmarks.gate import planted_pictures as q
from benchmarks.gate.check import FAIL
from benchmarks.gate.planted import Broken, copied, resaved, shown, slow, through
from benchmarks.gate.recorded import load_data
from benchmarks.gate.repairs import DEGREES
from benchmarks.gate.run import Gate, GateConfig
from envs.arm import Array
from policies.checkpoint import load_checkpoint
from policies.dataset import EpisodeSet

STATE, PIXELS = "state", "pixels"


@dataclass(frozen=True)
class Defect:
    """One defect.

    Attributes:
        name: what was done.
        causes: how a right answer begins: any of these.
        plant: makes the broken policy of a healthy folder and a folder to write.
        track: of the healthy policy it is planted in.
    """

    name: str
    causes: tuple[str, ...]
    plant: Callable[[Path, Path], Broken]
    track: str = STATE


@dataclass(frozen=True)
class Caught:
    """What the gate made of a defect.

    Attributes:
        defect: which.
        outcome: of the gate.
        cause: that it gave.
        check: the first one that failed.
        seconds: it took.
    """

    defect: Defect
    outcome: str
    cause: str
    check: str
    seconds: float

    @property
    def refused(self) -> bool:
        """Whether the gate refused it, rather than being incomplete."""
        return self.outcome == FAIL

    @property
    def named(self) -> bool:
        """Whether it said the right cause."""
        return self.refused and self.cause.startswith(self.defect.causes)


def millimetres(x: Array) -> Array:
    """Give positions in mm."""
    x[..., :3] *= 1000
    return x


def last_w(x: Array) -> Array:
    """Give quaternions with w last."""
    return np.concatenate([x[..., :3], x[..., 4:], x[..., 3:4]], axis=-1)


def in_degrees(x: Array) -> Array:
    """Give joints in degrees."""
    x[..., :-1] *= DEGREES
    return x


def seen_swapped(x: Array) -> Array:
    """Exchange two joints."""
    x[..., [1, 2]] = x[..., [2, 1]]
    return x


SPECIFIED = (
    Defect("a byte of the weights changed", ("a file was edited",), copied(p.flip_byte)),
    Defect("weights cut off", ("a file was edited",), copied(p.truncate)),
    Defect("a file is missing", ("a file is missing",), copied(p.lose_stats)),
    Defect("statistics file of another checkpoint", ("files of two",), copied(p.foreign_stats)),
    Defect("stored answer is another", ("acts otherwise",), copied(p.foreign_canary)),
    Defect("saved with wrong statistics", ("wrong statistics",), resaved(p.with_stats(p.wider))),
    Defect("another task's policy", ("another task",), resaved(p.with_spec(task="insertion"))),
    Defect("another robot's policy", ("another robot",), resaved(p.with_spec(arm="koch"))),
    Defect("other joint order", ("joint order",), resaved(p.reversed_joints)),
    Defect("made for 25 Hz", ("wrong rate",), resaved(p.with_spec(control_hz=25.0))),
    Defect("normalised in the other way", ("normalised by",), resaved(p.other_scaling)),
    Defect("untrained weights", ("does not act", "answers the same"), resaved(p.untrained)),
    Defect("weights rounded too coarsely", ("does not act", "answers the same", "too few"),
           resaved(p.coarse)),
)  # fmt: skip
SAID = (
    Defect("joints swapped: shoulder, elbow", ("joints swapped: shoulder, elbow",),
           through(say=p.swapped(1, 2))),
    Defect("joints swapped: waist, wrist_rotate", ("joints swapped: waist, wrist_rotate",),
           through(say=p.swapped(0, 5))),
    Defect("degrees for radians", ("actions in degrees",), through(say=p.hinges(DEGREES))),
    Defect("radians read as degrees", ("actions divided",), through(say=p.hinges(1 / DEGREES))),
    Defect("delta for absolute", ("delta actions",), through(say=p.offset(-1))),
    Defect("absolute for delta", ("absolute actions",), through(say=p.offset(1))),
    Defect("inverted gripper", ("gripper inverted",), through(say=p.column(6, lambda x: 1 - x))),
    Defect("gripper in metres", ("gripper in another unit",),
           through(say=p.column(6, lambda x: 0.057 * x))),
    Defect("waist reversed", ("joint reversed: waist",), through(say=p.column(0, lambda x: -x))),
    Defect("zero of the elbow moved", ("zero of a joint moved: elbow",),
           through(say=p.column(2, lambda x: x + 0.25))),
    Defect("chunks at half the rate", ("wrong rate",), through(say=p.resampled(2.0))),
    Defect("chunks in reverse", ("chunk in reverse",), through(say=lambda x, o: x[:, ::-1])),
    Defect("noise of 0.15 rad", ("noise",), through(say=p.noisy(0.15))),
    Defect("always the same", ("answers the same",),
           through(say=lambda x, o: np.repeat(x[:1, :1] * 0 + 0.2, x.shape[0], 0)
                   .repeat(x.shape[1], 1))),
    Defect("NaN after 100 predictions", ("not finite",),
           lambda s, f: Broken(s, p.NanLater)),
    Defect("stale chunk", ("stale",), lambda s, f: Broken(s, p.Stale)),
)  # fmt: skip
SEEN = (
    Defect("sees joints in degrees", ("observed joints in degrees",),
           through(see=shown("qpos", in_degrees))),
    Defect("sees two joints swapped", ("observed joints swapped: shoulder, elbow",),
           through(see=shown("qpos", seen_swapped))),
    Defect("sees objects in mm", ("object positions in mm",),
           through(see=shown("objects/", millimetres))),
    Defect("sees quaternions with w last", ("quaternions",),
           through(see=shown("objects/", last_w))),
    Defect("sees cube for target", ("objects swapped",),
           through(see=p.exchanged("objects/cube", "objects/target"))),
)  # fmt: skip
ACTING = (
    Defect("a second for every prediction", ("too slow",), slow(1.0)),
    Defect("two seconds now and then", ("too slow",), slow(2.0, every=20)),
)
PICTURED = tuple(
    Defect(name, causes, plant, PIXELS)
    for name, causes, plant in (
        ("BGR for RGB", ("BGR for RGB",), through(see=q.pictures(q.reversed_colours))),
        ("BGR for RGB, one camera", ("BGR for RGB: overhead",),
         through(see=q.pictures(q.reversed_colours, "overhead"))),
        ("wrong camera order", ("cameras swapped: overhead, wrist",),
         through(see=p.exchanged("images/overhead", "images/wrist"))),
        ("unnormalised image", ("pictures scaled",),
         through(see=q.pictures(lambda x: x // 255))),
        ("missing crop", ("missing crop",), through(see=q.pictures(q.uncropped))),
        ("cropped twice", ("cropped twice",), through(see=q.pictures(q.cropped))),
        ("a camera is black", ("does not see the pictures of overhead",),
         through(see=q.pictures(np.zeros_like, "overhead"))),
        ("a camera is frozen", ("does not see the pictures of wrist",), q.frozen("wrist")),
        ("pictures upside down", ("pictures upside down",),
         through(see=q.pictures(q.upside_down))),
        ("one camera upside down", ("pictures upside down: wrist",),
         through(see=q.pictures(q.upside_down, "wrist"))),
        ("pictures mirrored", ("pictures mirrored",), through(see=q.pictures(q.mirrored))),
    )
)  # fmt: skip
DEFECTS: tuple[Defect, ...] = (*SPECIFIED, *SAID, *SEEN, *ACTING, *PICTURED)


def over_fit(data: Path) -> Defect:
    """Return a policy that knows two demonstrations of ``data`` by heart."""
    return Defect("over-fit to two demonstrations", ("over-fit",), p.trained_on_few(data))


@dataclass
class Healthy:
    """A healthy policy to plant defects in.

    Attributes:
        folder: its checkpoint.
        data: its demonstrations, read once.
        protocol: on which it acts.
    """

    folder: Path
    data: EpisodeSet
    protocol: str = "pick_place/v1"

    @classmethod
    def load(cls, folder: Path, data: Path) -> "Healthy":
        """Read it."""
        return cls(folder, load_data([data], load_checkpoint(folder)))


def catch(
    healthy: Healthy, defects: Sequence[Defect], trials: int, observations: int,
    say: Callable[[Caught], None] = lambda caught: None,
) -> list[Caught]:  # fmt: skip
    """Plant each defect and let the gate look at it."""
    found = []
    for defect in defects:
        with tempfile.TemporaryDirectory(prefix="armtrials-") as folder:
            broken = defect.plant(healthy.folder, Path(folder) / healthy.folder.name)
            found.append(_pass(healthy, defect, broken, trials, observations))
        say(found[-1])
    return found


def _pass(
    healthy: Healthy, defect: Defect, broken: Broken, trials: int, observations: int
) -> Caught:
    config = GateConfig(
        broken.folder, healthy.protocol, trials=trials, perturbed=trials,
        observations=observations, timed=60, busy=0,
    )  # fmt: skip
    data = broken.data or healthy.data
    passage = Gate(config, adapter=broken.adapter, data=data).run()
    first = next((check.title for check in passage.checks if check.outcome == FAIL), "")
    return Caught(defect, passage.outcome, passage.cause, first, passage.seconds)


HEAD = ("| Defect | Track | Refused at | Cause it gave | Right |", "|---|---|---|---|:-:|")


def table(found: Sequence[Caught], earlier: str = "") -> str:
    """Return the table of docs/gate.md.

    Args:
        found: what came of each defect.
        earlier: a table whose tracks are kept where ``found`` has none of them.
    """
    rows = {
        f"| {c.defect.name} | {c.defect.track} | ": (
            f"{c.check or c.outcome} | {c.cause or 'none'} | {'yes' if c.named else 'no'} |",
            c.refused,
        )
        for c in found
    }
    tracks = {c.defect.track for c in found}
    kept = [
        line for line in earlier.splitlines()
        if line.startswith("| ") and line not in HEAD and line.split(" | ")[1] not in tracks
    ]  # fmt: skip
    lines = sorted(kept + [key + rest for key, (rest, _) in rows.items()], key=_track)
    passed = [line for line in kept if line.split(" | ")[2] in ("pass", "incomplete")]
    refused = len(lines) - len(passed) - sum(not was for _, was in rows.values())
    named = sum(line.endswith("| yes |") for line in lines)
    said = f"Refused: {refused} of {len(lines)}; the right cause: {named} of {len(lines)}."
    return "\n".join([*HEAD, *lines, "", said]) + "\n"


def _track(line: str) -> bool:
    """Order the tracks: state first."""
    return line.split(" | ")[1] != STATE
