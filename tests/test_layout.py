"""What holds for the repository as a whole."""

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("envs", "policies", "real", "benchmarks", "scripts")
MAX_LINES = 350
HEAPS = {"utils.py", "helpers.py", "common.py", "misc.py", "manager.py"}

MACHINE_PATH = re.compile(r"(?<![\w./~-])/(?:root|home|work|farm|Users)/[a-z]")
DOWNLOAD = re.compile(r"https?://\S+(?:\.whl|\.tar\.gz|\.tgz|\.zip|/sim" r"ple(?:/|\b))")
UNSAFE = re.compile(r"\bpickle\.loads?\(|\btorch\.load\(|allow_pickle *= *True|\byaml\.load\(")


def tracked(*suffixes: str) -> list[Path]:
    """Return the files of the repository: as git lists them, or as found in an unpacked archive."""
    git = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        paths = [ROOT / line for line in listed.splitlines()]
    except (OSError, subprocess.CalledProcessError):
        roots = [ROOT / name for name in (*PACKAGES, "tests", "docs", "perf", "examples")]
        paths = [path for root in roots for path in root.rglob("*")]
    return sorted(path for path in paths if path.is_file() and path.suffix in suffixes)


def matches(pattern: re.Pattern[str], *suffixes: str) -> list[str]:
    """Return ``file:line: text`` of every match."""
    found = []
    for path in tracked(*suffixes):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    return found


def test_no_file_of_code_is_longer_than_350_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked(".py")
        if (lines := path.read_text(encoding="utf-8").count("\n")) > MAX_LINES
    }
    assert not long, f"split these: {long}"


def test_no_file_is_a_heap_of_helpers() -> None:
    assert not [path for path in tracked(".py") if path.name in HEAPS]


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_is_imported_from_this_repository(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == ROOT / package / "__init__.py"


def test_no_path_of_a_machine_stands_in_the_repository() -> None:
    assert not matches(MACHINE_PATH, ".py", ".md", ".toml", ".txt", ".json", ".csv", ".html")


def test_no_download_address_stands_in_the_repository() -> None:
    assert not matches(DOWNLOAD, ".py", ".md", ".toml", ".txt")


def test_nothing_loads_files_that_can_run_code() -> None:
    assert not [hit for hit in matches(UNSAFE, ".py") if not hit.startswith("tests/")]


def test_every_dependency_has_an_exact_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[<>=!;~ ]", line)[0].lower() for line in wanted}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {line.partition("==")[0].lower() for line in lines if line and line[0] != "#"}
    assert names <= pins, f"not in constraints.txt: {names - pins}"
    assert not [line for line in lines if "@" in line or "+" in line or line.startswith("-")]


def test_the_wheel_holds_every_package() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["packages"] == list(PACKAGES)
