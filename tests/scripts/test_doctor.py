"""What the doctor finds and says."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from scripts import doctor
from scripts.doctor import Check, Doctor, check_disk, check_packages


def test_the_pinned_versions_are_compared(tmp_path: Path) -> None:
    pins = tmp_path / "constraints.txt"
    pins.write_text(f"# why\nnumpy=={version('numpy')}\nrich==0.0.1\nno-such-package==1.0\n")
    check = check_packages(pins)
    assert check.verdict == "note"
    assert "1 of 3 as pinned" in check.found
    assert "(pinned 0.0.1)" in check.found
    assert "no-such-package" in check.found


def test_a_folder_that_is_not_there_yet_counts_by_its_parent(tmp_path: Path) -> None:
    assert check_disk(tmp_path / "not" / "yet").verdict == "ok"


def test_a_full_disk_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "NEEDED_GIB", 1e9)
    assert check_disk(tmp_path).verdict == "missing"


def test_without_a_browser_the_doctor_says_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    check = doctor.check_chromium()
    assert check.verdict == "note"
    assert "only tests" in check.advice


@pytest.mark.parametrize(("verdict", "code"), [("ok", 0), ("note", 0), ("missing", 1)])
def test_only_what_is_missing_fails(
    verdict: doctor.Verdict,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (lambda: Check("thing", "seen", verdict, "buy one"),))
    assert Doctor().run() == code
    out = capsys.readouterr().out
    assert "thing" in out
    assert "buy one" in out


def test_every_check_answers_on_this_machine() -> None:
    for check in doctor.CHECKS:
        assert check().found


@pytest.mark.parametrize(
    ("module", "check", "told", "advice"),
    [
        ("pyrealsense2", doctor.check_realsense, "pyrealsense2", "armtrials[cameras]"),
        ("cv2", doctor.check_opencv, "OpenCV", "armtrials[cameras]"),
        ("can", doctor.check_can, "no python-can", "armtrials[damiao]"),
    ],
)
def test_a_library_of_arms_that_is_missing_is_named_with_how_to_install_it(
    module: str,
    check: Callable[[], doctor.Check],
    told: str,
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(doctor, "_installed", lambda name: None)
    monkeypatch.setattr(sys, "platform", "linux")
    found = check()
    assert (found.verdict, told in found.found, advice in found.advice) == ("note", True, True)


def test_a_library_that_is_there_but_does_not_load_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    monkeypatch.setattr(doctor, "_installed", lambda name: "2.59")
    monkeypatch.setattr(sys, "platform", "linux")
    found = doctor.check_realsense()
    assert "does not load" in found.found
    assert "libusb" in found.advice
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "webcams" in doctor.check_realsense().advice


def test_whether_control_may_go_first_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for allowed, verdict in (("fifo", "ok"), ("nice", "note"), ("none", "note")):
        monkeypatch.setattr("real.realtime.permitted", lambda allowed=allowed: allowed)
        assert doctor.check_priority().verdict == verdict
