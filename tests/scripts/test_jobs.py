"""Commands side by side."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from envs.errors import UsageError
from scripts import jobs
from scripts.jobs import Job, JobFailedError, run_jobs


def test_all_jobs_run_and_their_output_is_kept(tmp_path: Path) -> None:
    todo = [Job(f"job {i}", ("--version",), tmp_path / f"{i}.log") for i in range(3)]
    looks: list[int] = []
    run_jobs(todo, 2, tmp_path / "lock", lambda: looks.append(1))
    assert looks
    assert all(job.log.read_text().startswith("armtrials ") for job in todo)


def test_a_mistake_told_by_a_job_is_told_with_its_last_line(tmp_path: Path) -> None:
    bad = Job("bad", ("no-such-command",), tmp_path / "bad.log")
    with pytest.raises(UsageError, match="bad: unknown command 'no-such"):
        run_jobs([bad], 1, tmp_path / "lock")


def test_when_one_fails_the_others_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "import sys, time; time.sleep(60 * int(sys.argv[1])); sys.exit(1)"
    monkeypatch.setattr(jobs, "PROGRAM", ("-c", script))
    long, short = (Job(n, (n,), tmp_path / n) for n in ("1", "0"))
    started = time.monotonic()
    with pytest.raises(JobFailedError):
        run_jobs([long, short], 2, tmp_path / "lock")
    assert time.monotonic() - started < 30


def test_jobs_left_behind_by_a_kill_keep_others_out(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    program = (
        "import scripts.jobs as j; from pathlib import Path;"
        "j.PROGRAM = ('-c', 'import time; time.sleep(60)');"
        f"j.run_jobs([j.Job('long', (), Path({str(lock)!r} + '.log'))], 1, Path({str(lock)!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        limit = time.monotonic() + 60
        while not Path(f"{lock}.log").exists() and time.monotonic() < limit:
            time.sleep(0.05)
        orphans = children(parent.pid)
        parent.kill()
    try:
        with pytest.raises(UsageError, match="left behind when one was killed"):
            run_jobs([], 1, lock)
    finally:
        for orphan in orphans:
            os.kill(orphan, signal.SIGKILL)


def children(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children")
    if not listed.exists():
        pytest.skip("lists child processes through /proc")
    return [int(pid) for pid in listed.read_text().split()]
