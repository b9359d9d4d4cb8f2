"""Commands side by side."""

import time
from pathlib import Path

import pytest

from scripts import jobs
from scripts.jobs import Job, JobFailedError, run_jobs


def test_all_jobs_run_and_their_output_is_kept(tmp_path: Path) -> None:
    todo = [Job(f"job {i}", ("--version",), tmp_path / f"{i}.log") for i in range(3)]
    looks: list[int] = []
    run_jobs(todo, 2, lambda: looks.append(1))
    assert looks
    assert all(job.log.read_text().startswith("armtrials ") for job in todo)


def test_a_failed_job_is_told_with_its_last_line(tmp_path: Path) -> None:
    bad = Job("bad", ("no-such-command",), tmp_path / "bad.log")
    with pytest.raises(JobFailedError, match="bad failed: error: unknown command 'no-such"):
        run_jobs([bad], 1)


def test_when_one_fails_the_others_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "import sys, time; time.sleep(60 * int(sys.argv[1])); sys.exit(1)"
    monkeypatch.setattr(jobs, "PROGRAM", ("-c", script))
    long, short = (Job(n, (n,), tmp_path / n) for n in ("1", "0"))
    started = time.monotonic()
    with pytest.raises(JobFailedError):
        run_jobs([long, short], 2)
    assert time.monotonic() - started < 30
