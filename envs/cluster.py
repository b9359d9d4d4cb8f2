"""Executors by name, with their options, and what workers on other machines must find there."""

import functools
import hashlib
import os
import platform
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import takewhile
from pathlib import Path

from envs.errors import UsageError
from envs.executor import Briefing, Executor
from envs.local_workers import LOCAL

EXECUTORS = ("local", "submitit", "ray")
PACKAGES = ("mujoco", "numpy", "scipy", "torch")
ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("envs", "policies", "benchmarks")
INSTALL = 'pip install "armtrials[cluster]"'


def executor_of(name: str, slurm: Sequence[str] = (), ray: Sequence[str] = ()) -> Executor:
    """Return the executor called ``name``, with its options as ``NAME=VALUE``.

    Raises:
        UsageError: an unknown name or option, options of another executor, or its package or its
            cluster is missing.
    """
    if name not in EXECUTORS:
        raise UsageError(f"unknown executor {name!r}; known: {', '.join(EXECUTORS)}")
    for own, given, flag in (("submitit", slurm, "--slurm"), ("ray", ray, "--ray")):
        if given and name != own:
            raise UsageError(f"{flag} belongs to --executor {own}, got --executor {name}")
    if name == "submitit":
        from envs.submitit_workers import SubmititExecutor

        return SubmititExecutor(options(slurm, "--slurm"))
    if name == "ray":
        from envs.ray_workers import RayExecutor

        return RayExecutor(options(ray, "--ray"))
    return LOCAL


def options(given: Sequence[str], flag: str) -> dict[str, str]:
    """Return ``NAME=VALUE`` texts by name; ``UsageError`` for one that is not of this form."""
    pairs = [text.partition("=") for text in given]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise UsageError(f"{flag} takes NAME=VALUE, got {name + equals + value!r}")
    return {name.replace("-", "_"): value for name, _, value in pairs}


def missing(package: str, name: str) -> UsageError:
    """Return the error that ``package`` is not installed."""
    return UsageError(f"--executor {name} needs the package {package}: {INSTALL}")


def briefing() -> Briefing:
    """Return what workers elsewhere must find as it is here."""
    return Briefing(os.getcwd(), software(), software)  # noqa: PTH109  (as the user sees it)


@functools.cache
def software() -> Mapping[str, str]:
    """Return the versions that decide the bits, and a hash of the code, by name."""
    digest = hashlib.sha256()
    for path in sorted(path for name in SOURCES for path in (ROOT / name).rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT)}\n".encode())
        digest.update(path.read_bytes())
    packages = {name: _version(name) for name in PACKAGES}
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, **packages, "armtrials": digest.hexdigest()[:12]}


def own_paths() -> list[str]:
    """Return where this process looks for modules before it looks among those of Python."""
    library = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    zipped = f"python{sys.version_info.major}{sys.version_info.minor}.zip"
    first = takewhile(lambda p: p not in library and not p.endswith(zipped), sys.path)
    return list(dict.fromkeys(str(Path(p or ".").resolve()) for p in (*first, str(ROOT))))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
