"""SLURM as submitit sees it: its four commands, played by scripts that run the jobs here."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from envs.cluster import executor_of
from envs.errors import UsageError
from envs.pool import Pool

pytest.importorskip("submitit", reason='pip install "armtrials[cluster]"')
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="SLURM is of Linux")

COMMANDS = {
    "sbatch": """
        test -e refuse && { echo "sbatch: error: invalid partition specified: cpu" >&2; exit 1; }
        id=$((100 + $(ls *.script 2>/dev/null | wc -l)))
        cp "$1" $id.script
        export SLURM_JOB_ID=$id SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0
        export SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_JOB_NODELIST=node1
        (cd "$FROM" && bash "$FAKE/$id.script"; touch "$FAKE/$id.ended") > $id.log 2>&1 &
        echo $! > $id.pid
        echo "Submitted batch job $id" """,
    "srun": """
        cd "$FROM"
        while [[ $1 == -* ]]; do case $1 in
          --output) out=${2//%j/$SLURM_JOB_ID}; shift 2;;
          --error) err=${2//%j/$SLURM_JOB_ID}; shift 2;;
          *) shift;;
        esac; done
        # submitit makes the folder after sbatch has answered; a real queue takes longer than that.
        for _ in {1..1000}; do test -d "${out%/*}" && break; sleep 0.01; done
        exec "$@" > "${out//%t/0}" 2> "${err//%t/0}" """,
    "sacct": """
        echo "JobID|State|NodeList"
        for script in *.script; do id=${script%.script}
          test -e $id.ended && echo "$id|FAILED|node1" || echo "$id|RUNNING|node1"
        done""",
    "scancel": """
        pkill -P $(cat $1.pid) bash
        touch $1.ended cancelled""",
}


def make() -> Callable[[int], tuple[int, str | None, str]]:
    return work


def work(number: int) -> tuple[int, str | None, str]:
    if number == 1 and not Path("died").exists():
        Path("died").touch()
        os._exit(9)
    return number**2, os.environ.get("MKL_NUM_THREADS"), os.environ["SLURM_JOB_ID"]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the commands on the path; return where they keep what they were given."""
    from submitit.core.core import Job

    monkeypatch.setattr(Job, "_results_timeout_s", 1)
    folder = tmp_path / "slurm itself"
    folder.mkdir()
    for name, text in COMMANDS.items():
        body = "\n".join(line.strip() for line in text.strip().splitlines())
        (folder / name).write_text(f'#!/bin/bash\nFROM=$PWD; FAKE="{folder}"; cd "$FAKE"\n{body}\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


def test_jobs_go_to_slurm_as_asked_and_one_that_dies_goes_there_again(slurm: Path) -> None:
    options = ["partition=cpu", "time=90", "gpus=1", "mem-gb=4", "account=robots"]
    with Pool(make, 1, executor_of("submitit", options)) as pool:
        results = list(pool.run(range(3)))
    assert [(square, threads) for square, threads, _ in results] == [(0, "1"), (1, "1"), (4, "1")]
    assert len({job for _, _, job in results}) == 3
    script = (slurm / "100.script").read_text()
    for line in ("partition=cpu", "time=90", "gpus-per-node=1", "mem=4GB", "account=robots"):
        assert f"#SBATCH --{line}\n" in script
    assert len(list(slurm.glob("*.script"))) == 4, "three jobs and the one that died"
    (log,) = Path("slurm").glob("*/*")
    assert {path.suffix for path in log.iterdir()} >= {".out", ".err"}, "of the one that died"


def test_what_slurm_refuses_is_told_in_its_words(slurm: Path) -> None:
    (slurm / "refuse").touch()
    with (
        Pool(make, 1, executor_of("submitit", ["partition=cpu"])) as pool,
        pytest.raises(UsageError, match=r"SLURM refused the job: .*invalid partition"),
    ):
        list(pool.run([0]))
