"""The log of a training run: JSON lines, TensorBoard, and a watch for over-fitting."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from envs.atomic import write_atomic
from policies.configs import canonical

FILE, BOARD = "log.jsonl", "tensorboard"
RISE = 1.1
"""Validation loss over its minimum that counts as risen."""
PATIENCE = 3
"""Validations in a row that must have risen."""


class TrainLog:
    """Writes a line every so often to ``log.jsonl`` and the same numbers to TensorBoard."""

    def __init__(self, folder: Path, step: int) -> None:
        """Open the log in ``folder``; lines after ``step`` (of a run that was cut) are dropped.

        Raises:
            UsageError: the folder cannot be written.
        """
        path = folder / FILE
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= step]
        write_atomic(path, "".join(f"{line}\n" for line in kept if step > 0).encode())
        name = f"events.out.tfevents.{int(time.time()):010d}.{os.getpid()}"
        (folder / BOARD).mkdir(exist_ok=True)
        with ExitStack() as stack:
            self._file = stack.enter_context(path.open("a"))
            self._board = Board(stack.enter_context((folder / BOARD / name).open("ab")), step)
            self._close = stack.pop_all().close

    def write(self, step: int, values: Mapping[str, float | str]) -> None:
        """Write ``values`` of ``step``; texts go to the JSON lines alone."""
        self._file.write(canonical({"step": step, **values}).decode() + "\n")
        self._file.flush()
        numbers = {name: value for name, value in values.items() if not isinstance(value, str)}
        self._board.write(step, numbers)

    def __enter__(self) -> "TrainLog":
        """Return the log."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close both files."""
        self._close()


class Board:
    """A TensorBoard event file, written at once and not by a thread: a full disk is an error here.

    Source of the format: ``event.proto`` and ``summary.proto`` of TensorBoard.
    """

    def __init__(self, file: BinaryIO, step: int) -> None:
        """Begin ``file``; what earlier files in its folder hold after ``step`` is void."""
        from tensorboard.compat.proto.event_pb2 import SessionLog  # slow to import
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._records = RecordWriter(file)
        self._add(file_version="brain.Event:2")
        self._add(step=step + 1, session_log=SessionLog(status=SessionLog.START))
        self._records.flush()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the ``values`` of ``step``."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        shown = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(step=step, summary=Summary(value=shown))
        self._records.flush()

    def _add(self, **fields: Any) -> None:  # noqa: ANN401  (fields of the event)
        from tensorboard.compat.proto.event_pb2 import Event

        self._records.write(Event(wall_time=time.time(), **fields).SerializeToString())


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log."""
    return [json.loads(line) for line in _lines(folder / FILE)]


def overfits(history: Sequence[tuple[float, float]]) -> bool:
    """Tell whether validation loss has risen while training loss fell.

    Args:
        history: (training, validation) loss, oldest first.

    Returns:
        True if the last ``PATIENCE`` validation losses all lie ``RISE`` times over the lowest
        before them, while each training loss lies below that of the lowest's time.
    """
    if len(history) <= PATIENCE:
        return False
    before, recent = history[:-PATIENCE], history[-PATIENCE:]
    best_train, best = min(before, key=lambda pair: pair[1])
    return all(value > RISE * best and train < best_train for train, value in recent)


def _lines(path: Path) -> list[str]:
    """Return the complete lines of a file; a line cut by a kill is left out."""
    if not path.exists():
        return []
    return [line[:-1] for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
