"""Being on time: what a process that must not be held up asks of the system, as far as it may.

A control loop on a computer with other work loses its turn to that work, waits for memory that was
put aside, and stops for Python's own housekeeping. ``keep_time`` takes what is allowed of all
three; where something is not allowed the process runs as any other does.
"""

import ctypes
import gc
import os
from contextlib import suppress
from dataclasses import dataclass

PRIORITY = 20
"""Of ``SCHED_FIFO``, 1..99: before everything that has none."""

BELOW = 10
"""For a program that commands an arm: after the control loop, before what has no priority."""

NICE = -10
"""Where that is not allowed but this is."""

_CURRENT = 1  # MCL_CURRENT: the pages that there are; those to come must not fail


@dataclass(frozen=True)
class Timely:
    """What the system allowed: ``fifo``, ``nice`` or ``none``, and whether memory is locked."""

    scheduling: str
    locked: bool


def keep_time(priority: int = PRIORITY) -> Timely:
    """Let this process go before others, from now on; call it once all is imported.

    Of its threads only the one that calls, and what that one starts afterwards.

    The kernel keeps a share of each second for the others, so a loop gone wild stops nothing.
    """
    gc.collect()
    gc.freeze()  # what is here now is not looked through again and again
    return Timely(_scheduled(priority), _locked())


def permitted() -> str:
    """Return what ``keep_time`` could have, without asking for it: ``fifo``, ``nice``, ``none``."""
    with suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        if os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_RTPRIO)[0] >= PRIORITY:
            return "fifo"
        if 20 - resource.getrlimit(resource.RLIMIT_NICE)[0] <= NICE:
            return "nice"
    return "none"


def _scheduled(priority: int) -> str:
    with suppress(AttributeError, OSError):  # not on this system, or not allowed
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        return "fifo"
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        return "nice"
    return "none"


def _locked() -> bool:
    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).mlockall(_CURRENT) == 0)
    return False
