"""Videos of recorded trials, drawn from an exact replay of their commands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lines import Record
from benchmarks.protocol import Wave
from benchmarks.trial import replay
from benchmarks.video import compose, write_mp4
from envs.arm import Array, CameraSpec
from envs.batch import SimBatch


@dataclass(frozen=True)
class Format:
    """What a film shows and how large it gets.

    Attributes:
        views: cameras side by side, equally tall.
        every: control periods a frame.
        crf: of the encoder, see ``write_mp4``.
    """

    views: tuple[CameraSpec, ...]
    every: int
    crf: int


LARGE = Format((CameraSpec("view", 320, 240), CameraSpec("overhead", 240, 240)), every=4, crf=30)
"""12.5 frames a second at 50 Hz, 50-90 kB a film."""

SMALL = Format((CameraSpec("view", 320, 240),), every=5, crf=33)
"""10 frames a second, 15-40 kB a film: for records that are kept in a repository."""

LINGER_S = 1.0  # how long the last frame, with its green or red border, stays

MODES = ("some", "few", "all", "none")

NOMINAL = (2, 4)
"""Films of the nominal arm in mode ``some``: successes, and failures with distinct labels."""

PERTURBED = (1, 1)
"""The same for every other condition."""

FEW = (1, 3)
"""The same for a whole run in mode ``few``, whose films are small ones."""


def format_of(mode: str) -> Format:
    """Return the format of the films of a mode."""
    return SMALL if mode == "few" else LARGE


def film(
    record: Record,
    actions: Array,
    path: Path,
    robot: str | None = None,
    form: Format = LARGE,
) -> Path:
    """Replay a trial and write what cameras see of it as an mp4.

    Args:
        record: the trial.
        actions: its commands (steps, n) or longer.
        path: where to write.
        robot: registered robot.
        form: what it shows and how large it gets.

    Raises:
        UsageError: the trial does not replay to its recorded end.
    """
    rate = 50.0 if not record["duration_s"] else record["steps"] / record["duration_s"]
    frames = _frames(record, replay(record, actions, robot), form, rate)
    return write_mp4(path, frames, rate / form.every, form.crf)


def _frames(
    record: Record, states: Iterator[SimBatch], form: Format, rate: float
) -> Iterator[Array]:
    """Draw some states, then linger on the last with the outcome's border."""
    last = record["steps"]
    for step, sims in enumerate(states):
        if step % form.every == 0 and step < last:
            yield compose(_views(sims, form), caption(record, step, sims), None)
        elif step == last:
            text = caption(record, step, sims, ended=True)
            end = compose(_views(sims, form), text, record["success"])
            for _ in range(round(LINGER_S * rate / form.every)):
                yield end


def _views(sims: SimBatch, form: Format) -> list[Array]:
    return [sims.frame(0, camera, shadows=False) for camera in form.views]


def caption(record: Record, step: int, sims: SimBatch, ended: bool = False) -> Sequence[str]:
    """Return two lines: which trial this is, and how far it is."""
    key, stages = record["key"], sims.task.stages
    stage = int(sims.stage[0])
    reached = "start" if stage == 0 else stages[stage - 1]
    state = f"step {step}/{record['steps']}   reached: {reached}"
    if ended:
        outcome = "success" if record["success"] else f"failure: {record['failure']}"
        state = f"step {step}   {outcome}"
    return f"{key['policy']}   {key['protocol']}   {key['condition']} / {key['ic']}", state


def video_name(record: Record) -> str:
    """Return where the video of a trial is within its run: ``videos/nominal_017.mp4``."""
    key = record["key"]
    return f"videos/{Wave(key['condition'], key['ic'], 1).name}.mp4"


class Chooser:
    """Decides, trial after trial in the protocol's order, which ones are filmed.

    ``some``: of each condition the first successes and the first failure of each label, up to a
    cap; ``few``: the same of the whole run, and small films; ``all`` and ``none`` as they say.
    """

    def __init__(self, mode: str, earlier: Sequence[Record] = ()) -> None:
        """Continue after the trials that are in the file already."""
        self.mode = mode
        self._filmed: dict[str, list[str | None]] = {}
        for record in earlier:
            if record["video"]:
                self._count(record)

    def choose(self, records: Sequence[Record]) -> None:
        """Set ``video`` in the next records."""
        for record in records:
            if self.wants(record):
                record["video"] = video_name(record)
                self._count(record)

    def wants(self, record: Record) -> bool:
        """Tell whether this trial, the next in order, is filmed."""
        if self.mode in ("all", "none"):
            return self.mode == "all"
        group, (successes, failures) = self._group(record)
        filmed = self._filmed.get(group, [])
        count = filmed.count(None)
        if record["success"]:
            return count < successes
        return record["failure"] not in filmed and len(filmed) - count < failures

    def _count(self, record: Record) -> None:
        self._filmed.setdefault(self._group(record)[0], []).append(record["failure"])

    def _group(self, record: Record) -> tuple[str, tuple[int, int]]:
        """Return what the trial is counted with, and the films of successes and failures there."""
        condition = record["key"]["condition"]
        if self.mode == "few":
            return "run", FEW
        return condition, NOMINAL if condition == "nominal" else PERTURBED
