"""The choice of a renderer, also where OpenGL is missing or broken."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from envs import gl
from envs.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
BROKEN = {"__EGL_VENDOR_LIBRARY_FILENAMES": "/nowhere", "MUJOCO_EGL_DEVICE_ID": "999"}
NO_LIBRARIES = "import ctypes.util; ctypes.util.find_library = lambda name: None; "
RENDER = """
import envs
import mujoco
from envs.render import Renderer
from envs.robots import ROBOTS
from envs.scene import build_scene
model = build_scene(ROBOTS["viperx"]).compile()
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = Renderer(model, 32, 24)
image = renderer.render(model, data, "overhead")
print(renderer.backend, image.shape, int(image.std()) > 10)
"""


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ARMTRIALS_PROBE_") or name in ("ARMTRIALS_GL", "MUJOCO_GL"):
            monkeypatch.delenv(name)
    # So that what a test finds out does not outlive it.
    for backend in gl.BACKENDS:
        monkeypatch.setenv(f"ARMTRIALS_PROBE_{backend.upper()}", "")
        monkeypatch.delenv(f"ARMTRIALS_PROBE_{backend.upper()}")


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, from the repository's root."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_without_egl_and_with_mujoco_gl_set_mujoco_is_imported_and_the_ray_caster_draws() -> None:
    done = run(NO_LIBRARIES + RENDER, MUJOCO_GL="egl", DISPLAY="")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "ray (24, 32, 3) True"
    assert "MUJOCO_GL=egl is ignored: libEGL is missing, install it: apt-get install" in done.stderr


def test_an_unknown_mujoco_gl_does_not_break_the_import() -> None:
    done = run("import envs, mujoco, os; print(os.environ.get('MUJOCO_GL'))", MUJOCO_GL="vulkan")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "None"
    assert "no such backend" in done.stderr


def test_a_broken_driver_is_found_out_in_another_process_and_the_ray_caster_draws() -> None:
    hide_osmesa = "import envs.gl; envs.gl._LIBRARIES['osmesa'] = ('NoSuchMesa', 'x');"
    done = run(hide_osmesa + RENDER, **BROKEN, DISPLAY="")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "ray (24, 32, 3) True"


def test_mujoco_gl_off_means_no_opengl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "off")
    assert gl.choose_backend() == "ray"


def test_a_choice_by_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARMTRIALS_GL", "vulkan")
    assert gl.choose_backend("ray") == "ray"
    with pytest.raises(UsageError, match="unknown rendering backend 'vulkan'; known: egl, osmesa"):
        gl.choose_backend()


def test_a_backend_that_was_asked_for_and_fails_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(UsageError, match=r"'osmesa' does not work here.*libosmesa6.*choose 'ray'"):
        gl.choose_backend("osmesa")


def test_a_probe_is_made_once_for_a_process_and_its_children(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []
    monkeypatch.setattr(gl, "_missing_library", lambda backend: None)
    monkeypatch.setattr(gl, "_try_in_subprocess", tried.append)
    assert [gl.choose_backend(), gl.choose_backend(), gl.choose_backend("egl")] == ["egl"] * 3
    assert tried == ["egl"]
    assert os.environ["ARMTRIALS_PROBE_EGL"] == "works"


def test_a_probe_that_hangs_or_dies_is_a_reason_not_a_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hang(*args: object, **kwargs: object) -> None:
        raise subprocess.TimeoutExpired("python", 60)

    monkeypatch.setattr(subprocess, "run", hang)
    assert gl._try_in_subprocess("egl") == "the trial ended with TimeoutExpired"
    died = subprocess.CompletedProcess([], -6, "", "terminate called\nAborted\n")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: died)
    assert gl._try_in_subprocess("egl") == "Aborted"


@pytest.mark.gl
def test_a_fork_after_opengl_was_used_is_refused_instead_of_hanging(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = next((name for name in gl.BACKENDS[:3] if gl.probe(name) is None), None)
    if found is None:
        pytest.skip(f"no OpenGL works here: {gl.probe('egl')}")
    gl.shared_context(found)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(UsageError, match="start processes with 'spawn'"):
        gl.shared_context(found)


ELSEWHERE = (
    RENDER
    + """
import threading
from envs import gl
kept = [Renderer(model, 32, 24), renderer]
image = kept[0].render(model, data, "overhead")
gl.let_go()
del renderer
waits = threading.Event()
def forget():  # as the garbage collector may, in any thread
    kept.pop()
    waits.wait()  # and this thread lives on
forgetting = threading.Thread(target=forget, daemon=True)
forgetting.start()
while len(kept) > 1: pass
print(bool((kept[0].render(model, data, "overhead") == image).all()))
"""
)


@pytest.mark.gl
def test_a_renderer_that_is_forgotten_in_another_thread_does_not_take_the_context() -> None:
    if gl.probe("egl") is not None:
        pytest.skip(f"EGL does not work here: {gl.probe('egl')}")
    done = run(ELSEWHERE, ARMTRIALS_GL="egl")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "True"
    assert done.stderr == ""
