"""Finds an OpenGL that works, without crashing where there is none.

Importing mujoco with ``MUJOCO_GL=egl`` and no libEGL raises, and a broken driver can abort the
process: so this module looks before mujoco is imported, and tries a backend in a process of its
own before using it here.
"""

import atexit
import ctypes
import ctypes.util
import importlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from envs.errors import UsageError

BACKENDS = ("egl", "osmesa", "glfw", "ray")
"""Known backends, best first; ``ray`` needs no OpenGL and always works."""

_LIBRARIES = {"egl": ("EGL", "eglQueryString"), "osmesa": ("OSMesa", "OSMesaCreateContextExt")}
_INSTALL = {
    "egl": "apt-get install libegl1 libgl1",
    "osmesa": "apt-get install libosmesa6",
    "glfw": "a desktop session (DISPLAY)",
}
_OFF = ("disable", "disabled", "off", "false", "0")
_WORKS = "works"

_log = logging.getLogger(__name__)


class Context(Protocol):
    """An OpenGL context of mujoco's."""

    def make_current(self) -> None:
        """Let OpenGL calls go here."""

    def free(self) -> None:
        """Destroy it."""


def guard_import() -> None:
    """Take back a ``MUJOCO_GL`` with which mujoco could not be imported, and say so.

    Call it before the first import of mujoco.
    """
    wanted = os.environ.get("MUJOCO_GL", "").strip().lower()
    known = ("", "enable", "enabled", "on", "true", "1", "glx", "wgl", "cgl", *BACKENDS[:3], *_OFF)
    reason = "no such backend" if wanted not in known else _missing_library(wanted)
    if reason and "mujoco" not in sys.modules:
        del os.environ["MUJOCO_GL"]
        _log.warning("MUJOCO_GL=%s is ignored: %s", wanted, reason)


def choose_backend(override: str | None = None) -> str:
    """Return the backend to render with: one of ``BACKENDS``.

    In order: ``override``; the environment variable ``ARMTRIALS_GL``; ``MUJOCO_GL``; the first
    of EGL, OSMesa and GLFW that draws a frame in a process of its own; the ray caster. What was
    tried is kept in the environment, so child processes do not try again.

    Raises:
        UsageError: if a backend that was asked for is unknown or does not work here.
    """
    wanted = override or os.environ.get("ARMTRIALS_GL", "")
    if not wanted:
        return next((name for name in _candidates() if probe(name) is None), "ray")
    if wanted not in BACKENDS:
        raise UsageError(f"unknown rendering backend {wanted!r}; known: {', '.join(BACKENDS)}")
    reason = probe(wanted)
    if reason:
        raise UsageError(
            f"rendering backend {wanted!r} does not work here ({reason}); "
            f"it needs: {_INSTALL[wanted]}; without OpenGL choose 'ray'"
        )
    return wanted


def probe(backend: str) -> str | None:
    """Return None if ``backend`` draws a frame, otherwise why it does not."""
    if backend == "ray":
        return None
    key = f"ARMTRIALS_PROBE_{backend.upper()}"
    if key not in os.environ:
        os.environ[key] = _missing_library(backend) or _try_in_subprocess(backend) or _WORKS
    result = os.environ[key]
    return None if result == _WORKS else result


def _candidates() -> Iterator[str]:
    """Yield the OpenGL backends worth trying, the user's own choice first."""
    preferred = os.environ.get("MUJOCO_GL", "").strip().lower()
    if preferred in _OFF:
        return
    if preferred in BACKENDS:
        yield preferred
    if sys.platform == "linux":
        yield from ("egl", "osmesa")
    if sys.platform != "linux" or os.environ.get("DISPLAY"):
        yield "glfw"


def _missing_library(backend: str) -> str | None:
    """Return what is missing of the library that ``backend`` loads, None if nothing is."""
    if backend not in _LIBRARIES:
        return None
    name, symbol = _LIBRARIES[backend]
    path = ctypes.util.find_library(name)
    hint = f"lib{name} is missing, install it: {_INSTALL[backend]}"
    if path is None:
        return hint
    try:
        found = hasattr(ctypes.CDLL(path), symbol)
    except OSError as error:
        return f"lib{name} does not load: {error}"
    return None if found else hint


def _try_in_subprocess(backend: str) -> str | None:
    """Draw one frame in another process; return why it failed, None if it did not."""
    environment = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "ARMTRIALS_GL")}
    root = str(Path(__file__).resolve().parents[1])
    environment["PYTHONPATH"] = os.pathsep.join([root, environment.get("PYTHONPATH", "")])
    code = f"from envs.gl import draw_one_frame; draw_one_frame({backend!r})"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the trial ended with {type(error).__name__}"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    return lines[-1][:200]


def draw_one_frame(backend: str) -> None:
    """Render a white ball and leave the process: status 0 if it is in the picture, else 1."""
    import mujoco
    import numpy as np

    gl = make_context(backend)
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><light pos='0 0 3'/><geom size='1'/></worldbody></mujoco>"
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    scene = mujoco.MjvScene(model, maxgeom=10)
    camera = mujoco.MjvCamera()
    mujoco.mjv_defaultFreeCamera(model, camera)
    everything = mujoco.mjtCatBit.mjCAT_ALL
    mujoco.mjv_updateScene(model, data, mujoco.MjvOption(), None, camera, everything, scene)
    context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
    pixels = np.zeros((32, 32, 3), np.uint8)
    area = mujoco.MjrRect(0, 0, 32, 32)
    mujoco.mjr_render(area, scene, context)
    mujoco.mjr_readPixels(pixels, None, area, context)
    del gl
    os._exit(0 if pixels.max() > 64 else 1)  # skips the noise some drivers make when they unload


def make_context(backend: str) -> Context:
    """Create an OpenGL context and make it current."""
    # Mesa's software renderer starts as many threads as there are cores; several simulations
    # side by side are faster with one each.
    os.environ.setdefault("LP_NUM_THREADS", "1")
    # mujoco chooses by MUJOCO_GL when it is imported; its modules can be had directly.
    context: Context = importlib.import_module(f"mujoco.{backend}").GLContext(64, 64)
    context.make_current()
    return context


_contexts: dict[str, tuple[int, Context]] = {}
"""This process's context by backend, with the process that made it."""
_here = threading.local()
"""Whether this thread took the context last, as far as it knows."""


def shared_context(backend: str) -> Context:
    """Return this process's only context, current; the first call takes .1-.5 s.

    Raises:
        UsageError: in a child forked after OpenGL was used, where drivers hang.
    """
    if backend not in _contexts:
        _contexts[backend] = (os.getpid(), make_context(backend))
        atexit.register(_contexts[backend][1].free)
    process, context = _contexts[backend]
    if process != os.getpid():
        raise UsageError(
            "OpenGL must not be used in a process forked after its parent used it: "
            "start processes with 'spawn', or choose the backend 'ray'"
        )
    context.make_current()
    _here.holds = True
    return context


def holds() -> bool:
    """Tell whether this thread may draw: it took the context and has not let it go."""
    return getattr(_here, "holds", False)


def let_go() -> None:
    """Take the context from this thread, so that another one can draw; without one: nothing."""
    _here.holds = False
    if not _contexts:
        return
    if "egl" in _contexts:
        importlib.import_module("OpenGL.EGL").eglReleaseThread()
    if "glfw" in _contexts:
        importlib.import_module("glfw").make_context_current(None)
