"""A training run as a process: clock, memory, requests to stop, device, versions, and which run."""

import ctypes
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from types import FrameType
from typing import Any

import numpy as np
import torch

from envs.errors import UsageError

SAVE_EVERY_S = 30.0
"""Seconds of work that a kill may cost; longer where saving itself is slow."""
SAVE_SHARE = 20
"""Training time between two saves is at least this many times the time of a save."""


class Clock:
    """Wall-clock and CPU seconds of a run over its interruptions, and when to save."""

    def __init__(self, before: tuple[float, float]) -> None:
        """Start, with the (wall-clock, CPU) seconds ``before`` an interruption."""
        self._before = before
        self._start = time.perf_counter(), time.process_time()
        self._saved = self._start[0]
        self._interval = SAVE_EVERY_S

    def seconds(self) -> tuple[float, float]:
        """Return wall-clock and CPU seconds of the whole run so far."""
        wall, cpu = time.perf_counter() - self._start[0], time.process_time() - self._start[1]
        return self._before[0] + wall, self._before[1] + cpu

    def save_is_due(self) -> bool:
        """Tell whether a kill would by now cost more than it may."""
        return time.perf_counter() - self._saved >= self._interval

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Time a save: the next one is due after many times as long."""
        begin = time.perf_counter()
        yield
        self._saved = time.perf_counter()
        self._interval = max(SAVE_EVERY_S, SAVE_SHARE * (self._saved - begin))


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Options of glibc's ``mallopt``, as in its ``malloc.h``."""


def keep_freed_memory() -> None:
    """Let this process keep what it frees, where the C library is glibc.

    Else every large tensor is mapped anew and its pages are zeroed by the kernel, step after step:
    a sixth of a training step of ACT, a quarter of one of BC-RNN (docs/performance.md).
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(M_MMAP_THRESHOLD, 1 << 30)
    library.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and SIGTERM into a question asked between steps; the second one is immediate."""
    asked: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def device_of(name: str) -> torch.device:
    """Return the device ``auto``, ``cpu`` or ``cuda``; ``UsageError`` if there is no GPU."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("device cuda is not available here; use --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """Return the GPU's model, or ``cpu``."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def versions() -> dict[str, str]:
    """Return the versions that decide the bits."""
    try:
        own = version("armtrials")
    except PackageNotFoundError:
        own = "unknown"
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "armtrials": own,
    }


def differences(stored: Any, mine: Any) -> str:  # noqa: ANN401
    """Say how two JSON values differ."""
    if not (isinstance(stored, dict) and isinstance(mine, dict)):
        return f"{stored!r} there, {mine!r} asked for"
    keys = [key for key in mine if stored.get(key) != mine[key]]
    return ", ".join(f"{key} {stored.get(key)!r} there, {mine[key]!r} asked for" for key in keys)
