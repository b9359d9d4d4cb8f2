"""Videos of recorded trials, drawn from an exact replay of their commands."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.lines import Record
from benchmarks.protocol import Wave
from benchmarks.trial import replay
from benchmarks.video import compose, write_mp4
from envs.arm import Array, CameraSpec
from envs.batch import SimBatch

VIEWS = (CameraSpec("view", 320, 240), CameraSpec("overhead", 240, 240))
EVERY = 4  # control periods a frame: 12.5 frames a second at 50 Hz
CRF = 30  # about 45 kB a film
LINGER_S = 1.0  # how long the last frame, with its green or red border, stays

MODES = ("some", "few", "all", "none")

NOMINAL = (2, 4)
"""Films of the nominal arm in mode ``some``: successes, and failures with distinct labels."""

PERTURBED = (1, 1)
"""The same for every other condition."""

FEW = (2, 6)
"""The same for a whole run in mode ``few``."""


def film(record: Record, actions: Array, path: Path, robot: str | None = None) -> Path:
    """Replay a trial and write what two cameras see of it as an mp4.

    Args:
        record: the trial.
        actions: its commands (steps, n) or longer.
        path: where to write.
        robot: registered robot.

    Raises:
        UsageError: the trial does not replay to its recorded end.
    """
    rate = 50.0 if not record["duration_s"] else record["steps"] / record["duration_s"]
    return write_mp4(path, _frames(record, actions, robot, rate), rate / EVERY, CRF)


def _frames(record: Record, actions: Array, robot: str | None, rate: float) -> Iterator[Array]:
    """Draw every fourth state, then linger on the last with the outcome's border."""
    last = record["steps"]
    for step, sims in enumerate(replay(record, actions, robot)):
        if step % EVERY == 0 and step < last:
            yield compose(_views(sims), caption(record, step, sims), None)
        elif step == last:
            end = compose(_views(sims), caption(record, step, sims, ended=True), record["success"])
            for _ in range(round(LINGER_S * rate / EVERY)):
                yield end


def _views(sims: SimBatch) -> list[Array]:
    return [sims.frame(0, camera, shadows=False) for camera in VIEWS]


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
    cap; ``few``: the same of the whole run; ``all`` and ``none`` as they say.
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
