"""Options of the commands that drive a real arm or its twin."""

from pathlib import Path

import pytest

from scripts.main import main

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)


def test_what_does_not_go_together_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "data")]
    for words, told in (
        (["--twin", "--arm", "/dev/ttyUSB0"], "give the port of an arm, or --twin"),
        (["--twin", "--cameras", "overhead=realsense"], "are of an arm, not of the twin"),
        (["--arm", str(tmp_path / "none")], "there is no such port"),
        (["--arm", "x", "--patient"], "--patient is for emulated motors, not for an arm"),
    ):
        assert main(["teleop", *out, *words]) == 2
        assert told in capsys.readouterr().err
