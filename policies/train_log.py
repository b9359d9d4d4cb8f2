"""The log of a training run: JSON lines, TensorBoard, and a watch for over-fitting."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from envs.atomic import write_atomic
from policies.configs import canonical

if TYPE_CHECKING:
    pass

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
        from torch.utils.tensorboard.writer import SummaryWriter  # slow to import

        path = folder / FILE
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= step]
        write_atomic(path, "".join(f"{line}\n" for line in kept if step > 0).encode())
        self._file = path.open("a")
        self._board: SummaryWriter = SummaryWriter(str(folder / BOARD), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, float | str]) -> None:
        """Write ``values`` of ``step``; texts go to the JSON lines alone."""
        self._file.write(canonical({"step": step, **values}).decode() + "\n")
        self._file.flush()
        for name, value in values.items():
            if not isinstance(value, str):
                self._board.add_scalar(name, value, step)

    def __enter__(self) -> "TrainLog":
        """Return the log."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close both files."""
        self._file.close()
        self._board.close()


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
