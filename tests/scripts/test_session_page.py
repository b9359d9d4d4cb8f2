"""`armtrials session run --page` and `session report`, as a person starts and ends them."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from scripts.main import main
from tests.benchmarks.session.stand_in import finish, held, lock_session

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_served_until_ctrl_c_and_the_session_goes_on_later(tmp_path: Path) -> None:
    lock_session(tmp_path, blocks=1)
    words = [sys.executable, "-m", "scripts.main", "session", "run", str(tmp_path), "--page",
             "--port", "0"]  # fmt: skip
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://localhost:\d+/", process.stdout.readline())
        assert found is not None
        with urlopen(found[0]) as answer:
            assert b"<title>ArmTrials session</title>" in answer.read()
        process.send_signal(signal.SIGINT)
        told = process.stdout.read()
        assert process.wait() == 1
    assert f"it goes on with: armtrials session run {tmp_path}" in told


def test_a_report_is_made_of_a_closed_session_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock_session(tmp_path / "s", blocks=2)
    assert main(["session", "report", str(tmp_path / "s")]) == 2
    assert "is not closed" in capsys.readouterr().err
    with held(tmp_path / "s") as session:
        finish(session)
    out = tmp_path / "page"
    assert main(["session", "report", str(tmp_path / "s"), "--out", str(out)]) == 0
    page = (out / "report.html").read_text("utf-8")
    assert "zebra0" in page
    assert "Pearson" in page


def test_a_port_out_of_range_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock_session(tmp_path, blocks=1)
    assert main(["session", "run", str(tmp_path), "--page", "--port", "99999"]) == 2
    assert "--port must be 0..65535, got 99999" in capsys.readouterr().err
