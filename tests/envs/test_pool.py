import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from envs.errors import UsageError
from envs.pool import Pool


@dataclass(frozen=True)
class Square:
    """Squares numbers; odd ones slowly, and some of them deadly."""

    marks: str = ""
    deadly: int = -1
    times: int = 0

    def __call__(self) -> Callable[[int], int]:
        return self.work

    def work(self, number: int) -> int:
        if number == self.deadly and len(os.listdir(self.marks)) < self.times:  # noqa: PTH208
            (Path(self.marks) / f"{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05 * (number % 2))
        if number == 99:
            raise UsageError("ninety-nine is too many")
        if number == 100:
            raise ZeroDivisionError("a hundred")
        return number**2


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs(workers: int) -> None:
    with Pool(Square(), workers) as pool:
        assert list(pool.run(range(8))) == [n**2 for n in range(8)]


def test_a_worker_that_dies_is_replaced_and_its_job_repeated(tmp_path: Path) -> None:
    with Pool(Square(str(tmp_path), deadly=3, times=1), 2) as pool:
        assert list(pool.run(range(6))) == [n**2 for n in range(6)]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_job_that_kills_two_workers_ends_the_work_after_the_results_before_it(
    tmp_path: Path,
) -> None:
    done: list[int] = []
    with (
        Pool(Square(str(tmp_path), deadly=3, times=9), 2) as pool,
        pytest.raises(UsageError, match=r"died 2 times on 3 \(exit code -9"),
    ):
        done.extend(pool.run(range(6)))
    assert done == [0, 1, 4]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_mistake_in_a_job_reaches_the_caller(workers: int) -> None:
    with Pool(Square(), workers) as pool, pytest.raises(UsageError, match="too many"):
        list(pool.run([1, 99, 2]))


def test_an_error_in_a_worker_carries_its_traceback() -> None:
    with Pool(Square(), 2) as pool, pytest.raises(RuntimeError, match="ZeroDivisionError: a hun"):
        list(pool.run([100, 2]))


def test_leaving_early_ends_the_workers() -> None:
    others = set(threading.enumerate())
    with Pool(Square(), 2) as pool:
        for _ in pool.run(range(20)):
            workers = [worker.process for worker in pool._workers]
            break
    assert workers
    assert not any(process.is_alive() for process in workers)
    assert set(threading.enumerate()) <= others


ORPHANS = """
import time
from pathlib import Path
from envs.pool import Pool

def work(folder):
    (Path(folder) / "begun").touch()
    time.sleep(600)

def make():
    return work

if __name__ == "__main__":
    import sys
    with Pool(make, 2) as pool:
        list(pool.run([sys.argv[1], sys.argv[1]]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(ORPHANS)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=environment) as parent:
        while parent.poll() is None and not (tmp_path / "begun").exists():
            time.sleep(0.01)
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        parent.kill()
    assert len(children) >= 2
    limit = time.monotonic() + 30
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < limit, "workers are left"
        time.sleep(0.01)


def test_no_workers_at_all_are_refused() -> None:
    with pytest.raises(UsageError, match="workers must be at least 1, got 0"):
        Pool(Square(), 0)
