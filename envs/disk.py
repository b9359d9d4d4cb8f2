"""A full disk, told so that the user knows what is left and what to do."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from envs.errors import UsageError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def full_disk_told(what: str, kept: Callable[[], str]) -> Iterator[None]:
    """Turn a full disk into a ``UsageError``.

    Args:
        what: stopped.
        kept: asked then what was completed.
    """
    try:
        yield
    except (OSError, UsageError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not (isinstance(cause, OSError) and cause.errno in FULL):
            raise
        raise UsageError(
            f"{what} stopped: the disk is full; {kept()}; "
            "free some space and run the same command again"
        ) from error
