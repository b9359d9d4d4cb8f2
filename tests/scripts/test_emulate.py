"""The command `armtrials emulate`, as another program meets it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.main import main
from tests.test_layout import ROOT

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)


def run(*words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "scripts.main", "emulate", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_it_names_a_port_obeys_what_is_typed_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    link = tmp_path / "arm"
    running = run("--robot", "koch", "--link", str(link), "--faults", "loss=0.5")
    assert running.stdin is not None
    assert running.stdout is not None
    try:
        assert "motors 1, 2, 3, 4, 5, 6 at 1000000 baud" in running.stdout.readline()
        port = running.stdout.readline().partition("port: ")[2].strip()
        assert link.resolve() == Path(port)
        for typed, answer in {
            "overload@2": "in force: overload@2",
            "fire": "unknown fault 'fire'",
            "clear overload@2": "cleared",
            "start 3": "nothing is on a table here",
        }.items():
            running.stdin.write(f"{typed}\n")
            running.stdin.flush()
            assert answer in running.stdout.readline()
        running.stdin.write("status\n")
        running.stdin.flush()
        assert "position" in running.stdout.readline()
        rows = [running.stdout.readline().split() for _ in range(6)]
        assert [row[0] for row in rows] == list("123456")
        assert rows[1][-1] == "0x20"  # what shut it down stays until a reboot
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0
    finally:
        running.kill()
        running.communicate()
    assert not link.is_symlink()


def test_an_openarm_is_on_a_can_bus_until_it_is_told_to_end() -> None:
    pytest.importorskip("can", reason="python-can is not installed: pip install python-can")
    running = run("--robot", "openarm", "--channel", "239.74.163.77")
    assert running.stdout is not None
    try:
        assert "8 motors of an OpenArm on CAN-FD" in running.stdout.readline()
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
    finally:
        running.kill()
        running.communicate()


def test_without_the_sdk_everything_imports_and_the_command_says_how_to_install_it() -> None:
    program = """
import sys
for name in ("dynamixel_sdk", "dynamixel_easy_sdk", "serial"):
    sys.modules[name] = None
import real.dynamixel, real.dynamixel_check, real.emulators.dynamixel, scripts.doctor
from scripts.main import main
sys.exit(main(["emulate", "--robot", "koch"]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "pip install 'armtrials[dynamixel]'" in ran.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--robot", "ur5"], "unknown Dynamixel arm 'ur5'; known: koch, koch_leader, viperx"),
        (["--robot", "openarm", "--task", "pour"], "arm 'openarm' cannot do pour"),
        (
            ["--robot", "openarm", "--faults", "loss"],
            "--faults, --link and --hand are of Dynamixel",
        ),
        (["--robot", "koch", "--task", "pick_place", "--hand"], "leave out --task"),
        (["--channel", "can0"], "--channel belongs to --robot openarm"),
        (["--task", "juggle"], "unknown task 'juggle'"),
        (["--faults", "fire"], "unknown fault 'fire'"),
        (["--return-delay", "300"], "--return-delay must be 0..254, got 300"),
        (["--latency", "-1"], "--latency must be 0..1 s, got -1"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["emulate", *words]) == 2
    assert told in capsys.readouterr().err
