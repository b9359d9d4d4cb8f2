"""Arms that `armtrials emulate` runs for a test, as anybody would run them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.test_layout import ROOT


@contextmanager
def emulated(*words: str) -> Iterator[dict[str, list[str]]]:
    """Run an emulated arm; yield what it says: its port, options for its cameras and tags."""
    command = [sys.executable, "-m", "scripts.main", "emulate", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as running:
        assert running.stdout is not None
        try:
            told: dict[str, list[str]] = {}
            last = "tags" if "--task" in words else "port"
            while last not in told:
                line = running.stdout.readline()
                assert line, "the emulator has ended"
                name, _, rest = line.partition(": ")
                told[name] = rest.split()
            yield told
        finally:
            running.terminate()
