"""The executors of clusters: submitit's local and debug ones here, Ray's in test_ray.py."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from envs.cluster import executor_of, options, own_paths, software
from envs.errors import UsageError
from envs.executor import Briefing, Duty
from envs.local_workers import LOCAL
from envs.pool import Pool

submitit = pytest.importorskip("submitit", reason='pip install "armtrials[cluster]"')

DEBUG = pytest.param(
    "debug",  # submitit's own leaves its log files to the garbage collector
    marks=pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
)


@dataclass(frozen=True)
class Square:
    """Squares numbers; one of them kills its worker as often as it may."""

    marks: str = ""
    deadly: int = -1
    times: int = 0
    by: int = signal.SIGKILL

    def __call__(self) -> Callable[[int], tuple[int, str | None, str]]:
        return self.work

    def work(self, number: int) -> tuple[int, str | None, str]:
        if number == self.deadly and len(os.listdir(self.marks)) < self.times:  # noqa: PTH208
            (Path(self.marks) / f"{os.getpid()}").touch()
            os.kill(os.getpid(), self.by)
        if number == 99:
            raise UsageError("ninety-nine is too many")
        return number**2, os.environ.get("OMP_NUM_THREADS"), str(Path.cwd())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of the test's own; a dead job is not waited for."""
    from submitit.core.core import Job

    monkeypatch.setattr(Job, "_results_timeout_s", 1)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(own_paths()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("cluster", ["local", DEBUG])
def test_submitit_gives_the_results_of_a_serial_run_and_leaves_nothing_behind(
    place: Path, cluster: str
) -> None:
    executor = executor_of("submitit", [f"cluster={cluster}"])
    with Pool(Square(), 1, executor) as pool:
        results = list(pool.run(range(3)))
    with Pool(Square(), 1, executor) as pool:
        results += pool.run([3, 4])
    assert [square for square, _, _ in results] == [n**2 for n in range(5)]
    assert {folder for _, _, folder in results} == {str(place)}
    if cluster == "local":
        assert {threads for _, threads, _ in results} == {"1"}
    assert not list(place.iterdir())


def test_a_job_of_submitit_that_dies_is_done_again(place: Path) -> None:
    (place / "marks").mkdir()
    make = Square(str(place / "marks"), deadly=1, times=1)
    with Pool(make, 1, executor_of("submitit", ["cluster=local"])) as pool:
        assert [r[0] for r in pool.run(range(2))] == [0, 1]
    assert len(list((place / "marks").iterdir())) == 1
    assert [path.stem for path in (place / "slurm").glob("*/*/*_0_log.err")], "the log of the dead"


def test_a_job_whose_machine_slurm_wants_back_is_queued_again(place: Path) -> None:
    (place / "marks").mkdir()
    make = Square(str(place / "marks"), deadly=1, times=1, by=signal.SIGUSR2)
    with Pool(make, 1, executor_of("submitit", ["cluster=local"])) as pool:
        assert [r[0] for r in pool.run([1])] == [1]
    assert len(list((place / "marks").iterdir())) == 1
    assert not (place / "slurm").exists()


def test_a_mistake_in_a_job_of_submitit_reaches_the_caller(place: Path) -> None:
    executor = executor_of("submitit", ["cluster=local"])
    with Pool(Square(), 2, executor) as pool, pytest.raises(UsageError, match="too many"):
        list(pool.run([99]))


def test_jobs_are_taken_out_of_the_queue_where_work_ends_early(place: Path) -> None:
    with Pool(Square(), 2, executor_of("submitit", ["cluster=local"])) as pool:
        next(iter(pool.run(range(40))))
        begun = [worker._job for worker in pool._workers if worker._job is not None]  # type: ignore[attr-defined]
    assert all(job.done() for job in begun)


def test_a_worker_that_finds_other_software_or_no_folder_refuses(tmp_path: Path) -> None:
    here = str(tmp_path)
    other = Duty(Square(), Briefing(here, {**software(), "mujoco": "1.0"}, software))
    assert "mujoco" in str(other(1))
    assert "has other software" in str(other(1))
    gone = Duty(Square(), Briefing(f"{here}/gone", software(), software))
    assert "has no folder" in str(gone(1))


@pytest.mark.parametrize(
    ("name", "slurm", "said"),
    [
        ("slurm", [], "unknown executor 'slurm'; known: local, submitit, ray"),
        ("local", ["partition=a"], "--slurm belongs to --executor submitit, got --executor local"),
        ("submitit", ["partition"], "--slurm takes NAME=VALUE, got 'partition'"),
        ("submitit", ["cluster=local", "colour=red"], "unknown --slurm colour; known: account"),
        ("submitit", ["cluster=local", "time=1h"], "--slurm time must be a whole number, got '1h'"),
        ("submitit", ["cluster=pbs"], "unknown --slurm cluster=pbs; known: slurm, local, debug"),
    ],
)
def test_mistakes_in_the_options_of_an_executor_are_named(
    name: str, slurm: list[str], said: str
) -> None:
    with pytest.raises(UsageError) as error:
        executor_of(name, slurm)
    assert said in str(error.value)


def test_without_slurm_submitit_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="there is no sbatch on this machine"):
        executor_of("submitit", ["partition=cpu"])


@pytest.mark.parametrize("package", ["submitit", "ray"])
def test_a_package_that_is_missing_is_named_with_how_to_install_it(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf'{package}: pip install "armtrials\[cluster\]"'):
        executor_of(package)


def test_the_usual_executor_is_this_machine() -> None:
    assert executor_of("local") is LOCAL


def test_options_take_dashes_for_underscores() -> None:
    assert options(["mem-gb=4", "comment=a=b"], "--slurm") == {"mem_gb": "4", "comment": "a=b"}
