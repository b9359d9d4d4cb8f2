"""A file held open is closed once, whoever closes it."""

import os
from pathlib import Path

import pytest

from envs.handle import Handle


class Held(Handle):
    """Holds a file open."""

    def __init__(self, path: Path) -> None:
        self._file = self.number = os.open(path, os.O_RDWR | os.O_CREAT)


def test_it_is_closed_at_the_end_and_a_second_time_does_no_harm(tmp_path: Path) -> None:
    with Held(tmp_path / "file") as held:
        os.fstat(held.number)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(held.number)
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)  # takes the number that is free
    assert other == held.number
    held.close()
    os.fstat(other)
    os.close(other)


def test_one_that_never_opened_can_be_closed() -> None:
    Handle().close()
