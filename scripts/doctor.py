"""Check what this machine offers and what is missing."""

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from envs.errors import UsageError
from envs.gl import choose_backend

EXAMPLES = """
armtrials doctor
armtrials doctor --path results
armtrials doctor --port /dev/ttyUSB0 --robot viperx
"""

ROOT = Path(__file__).resolve().parent.parent
GIB = 1024**3
NEEDED_GIB = 4.0
"""Free disk that the `cpu` preset asks for."""

Verdict = Literal["ok", "note", "missing"]
COLOURS = {"ok": "green", "note": "yellow", "missing": "red"}


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and what to do where something is missing.

    A ``note`` costs speed or a feature; something ``missing`` stops the main job.
    """

    what: str
    found: str
    verdict: Verdict = "ok"
    advice: str = ""


@dataclass(frozen=True)
class Doctor:
    """Look at this machine; exit with 0 when the main job can run, else with 1."""

    path: Path = Path()
    """Folder whose disk is checked for free space."""
    port: str | None = None
    """Serial port of a Dynamixel arm; with it the line is measured instead. Nothing moves."""
    robot: str = "koch"
    """Arm on that port: viperx, koch or koch_leader."""

    def run(self) -> int:
        """Print the table; return 0 when nothing needed is missing, else 1."""
        if self.port is not None:
            from scripts.doctor_line import check_line

            return report(check_line(self.robot, self.port), f"Ready: {self.robot} on {self.port}")
        found = [check() for check in CHECKS] + [check_disk(self.path)]
        return report(found, "Ready: armtrials bench")


def report(found: list[Check], ready: str) -> int:
    """Print what was found, and ``ready`` when nothing is missing; return 0 then, else 1."""
    console = Console()
    console.print(_table(found))
    missing = [check for check in found if check.verdict == "missing"]
    console.print("Not ready yet." if missing else ready, markup=False)
    return 1 if missing else 0


def check_python() -> Check:
    """Tell which Python runs (pip refuses to install on one that is too old)."""
    return Check("Python", f"{platform.python_version()} ({sys.executable})")


def check_packages(constraints: Path = ROOT / "constraints.txt") -> Check:
    """Compare the installed packages with the exact versions the results were made with."""
    if not constraints.is_file():
        return Check("packages", "no constraints.txt beside the code", "note")
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", constraints.read_text(), flags=re.MULTILINE))
    installed = {name: _installed(name) for name in pins}
    absent = [name for name, have in installed.items() if have is None]
    other = [
        f"{name} {have} (pinned {pins[name]})"
        for name, have in installed.items()
        if have not in (None, pins[name])
    ]
    as_pinned = len(pins) - len(absent) - len(other)
    found = ", ".join([f"{as_pinned} of {len(pins)} as pinned", *other[:3], *absent[:3]])
    if other or absent:
        return Check(
            "packages", found, "note", "make install (results may differ in the last bits)"
        )
    return Check("packages", found)


def check_torch() -> Check:
    """Tell which torch is installed, where it runs and what it can do there."""
    try:
        from policies.torch_build import torch_build  # seconds to import, so only here
    except ImportError as error:
        return Check("torch", str(error), "missing", "make install")
    build = torch_build()
    bf16 = "bfloat16 in hardware" if build.bf16 else "no bfloat16"
    device = f"{build.device}, {build.threads} threads, {build.vectors}, {bf16}"
    return Check("torch", f"{build.version} on {device}")


def check_gl() -> Check:
    """Tell which renderer will draw the cameras (each is tried in a process of its own)."""
    try:
        backend = choose_backend()
    except UsageError as error:  # a backend was asked for that does not work here
        return Check("rendering", str(error), "missing", "unset ARMTRIALS_GL")
    if backend == "ray":
        return Check("rendering", "built-in ray caster (no OpenGL works)", "note", _GL_ADVICE)
    return Check("rendering", f"OpenGL ({backend})")


_GL_ADVICE = "apt-get install libegl1 libgl1 draws larger pictures faster"


def check_cores() -> Check:
    """Two cores make the main job take the time that the documents say."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if (cores or 1) < 2:
        return Check("cores", "1", "note", "the main job takes about twice as long")
    return Check("cores", str(cores))


def check_memory() -> Check:
    """Training and evaluation fit in four GiB."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    except (AttributeError, ValueError, OSError):  # not on this system
        return Check("memory", "unknown", "note")
    if size < 4:
        return Check("memory", f"{size:.1f} GiB", "note", "use --workers 1")
    return Check("memory", f"{size:.0f} GiB")


def check_chromium() -> Check:
    """The tests look at the pages in a browser."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return Check("browser for tests", path)
    advice = "apt-get install chromium (only tests use it; they skip without)"
    return Check("browser for tests", "none", "note", advice)


def check_disk(path: Path) -> Check:
    """Room for demonstrations, checkpoints and records."""
    folder = path.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / GIB
    if not os.access(folder, os.W_OK):
        return Check("disk", f"{folder} is read-only", "missing", "choose another --out")
    if free < NEEDED_GIB:
        return Check("disk", f"{free:.1f} GiB free", "missing", f"{NEEDED_GIB:.0f} GiB are needed")
    return Check("disk", f"{free:.0f} GiB free at {folder}")


def check_buses() -> Check:
    """Tell whether the libraries for real arms are there."""
    absent = [name for name in ("dynamixel-sdk", "pyserial") if _installed(name) is None]
    if absent:
        advice = "pip install 'armtrials[dynamixel]' (only for Dynamixel arms)"
        return Check("arms on a serial port", f"no {' and no '.join(absent)}", "note", advice)
    return Check("arms on a serial port", "dynamixel-sdk, pyserial")


OPENCV = "opencv-contrib-python-headless"


def check_can() -> Check:
    """Tell whether the library for CAN-FD is there."""
    if (found := _installed("python-can")) is not None:
        return Check("arms on CAN-FD", f"python-can {found}")
    advice = "pip install 'armtrials[damiao]' (only for an OpenArm, real or emulated)"
    return Check("arms on CAN-FD", "no python-can", "note", advice)


def check_realsense() -> Check:
    """Tell whether librealsense is there and loads."""
    from real.camera_libraries import INSTALL, realsense

    if sys.platform not in ("linux", "win32"):
        advice = "use webcams: there are no wheels of it here"
        return Check("RealSense cameras", f"no pyrealsense2 for {sys.platform}", "note", advice)
    try:
        found = f"pyrealsense2 {realsense().__version__}"
    except UsageError as error:
        absent = _installed("pyrealsense2") is None
        library = "apt-get install libusb-1.0-0, or pip install libusb-package"
        advice = f"{INSTALL} (only for RealSense cameras and the twin's)" if absent else library
        text = "no pyrealsense2" if absent else f"pyrealsense2 does not load: {error.__cause__}"
        return Check("RealSense cameras", text, "note", advice)
    return Check("RealSense cameras", found)


def check_opencv() -> Check:
    """Tell whether OpenCV is there and loads."""
    from real.camera_libraries import INSTALL, opencv

    try:
        return Check("webcams, tags, boards", f"OpenCV {opencv().__version__}")
    except UsageError as error:
        absent = _installed(OPENCV) is None
        text = "no OpenCV" if absent else f"OpenCV does not load: {error.__cause__}"
        return Check("webcams, tags, boards", text, "note", f"{INSTALL} ({OPENCV})")


def check_priority() -> Check:
    """Tell whether a control process may go before other programs."""
    from real.realtime import PRIORITY, permitted

    found = permitted()
    if found == "fifo":
        return Check("control on time", "real-time priority is allowed")
    advice = f"for real arms: '@dialout - rtprio {PRIORITY}' in /etc/security/limits.d/arm.conf"
    what = "no priority over other programs" if found == "none" else "a higher priority is allowed"
    return Check("control on time", what, "note", advice)


CHECKS: tuple[Callable[[], Check], ...] = (
    check_python,
    check_packages,
    check_torch,
    check_gl,
    check_cores,
    check_memory,
    check_chromium,
    check_buses,
    check_can,
    check_realsense,
    check_opencv,
    check_priority,
)


def _installed(name: str) -> str | None:
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return None


def _table(checks: list[Check]) -> Table:
    table = Table("", "", "found", "what to do", box=None, pad_edge=False)
    for check in checks:
        colour = COLOURS[check.verdict]
        verdict = f"[{colour}]{check.verdict}[/{colour}]"
        table.add_row(verdict, check.what, check.found, check.advice)
    return table
