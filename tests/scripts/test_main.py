"""The contract that every command keeps."""

import dataclasses
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from envs.errors import UsageError
from scripts import main as cli

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = list(cli.COMMANDS)


def test_the_overview_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    for name, summary in cli.COMMANDS.items():
        assert f"  {name} " in out
        assert summary in out


def test_no_command_shows_the_overview_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "commands:" in capsys.readouterr().out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("armtrials ")


def test_an_unknown_command_lists_the_known_and_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["evalute"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "did you mean 'evaluate'" in error
    assert all(name in error for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_listed_summary_is_the_first_line_of_the_module(name: str) -> None:
    module = importlib.import_module(f"scripts.{name}")
    assert module.__doc__.splitlines()[0] == cli.COMMANDS[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_a_frozen_dataclass(name: str) -> None:
    command = getattr(importlib.import_module(f"scripts.{name}"), name.capitalize())
    assert dataclasses.is_dataclass(command)
    assert command.__dataclass_params__.frozen


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_every_option_and_ends_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([name, "--help"]) == 0
    out = capsys.readouterr().out
    module = importlib.import_module(f"scripts.{name}")
    examples = out.partition("examples:\n")[2]
    assert examples.count(f"armtrials {name}") == module.EXAMPLES.count(f"armtrials {name}") > 0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_has_a_docstring(name: str) -> None:
    source = Path(str(importlib.import_module(f"scripts.{name}").__file__)).read_text()
    command = getattr(importlib.import_module(f"scripts.{name}"), name.capitalize())
    lines = source.splitlines()
    for field in dataclasses.fields(command):
        at = next(i for i, line in enumerate(lines) if line.startswith(f"    {field.name}:"))
        assert any('"""' in line for line in lines[at + 1 : at + 6]), f"{name}: {field.name}"


NEEDED = {
    "convert": "a b --to aloha",
    "verify": "run",
    "submit": "run",
    "accept": "run.tar.xz",
    "card": "data",
    "inspect": "data",
    "view": "run",
    "collect": "--out x",
    "evaluate": "--policy x",
}
NEEDED["train"] = "--algo bc --data x --out y"
NEEDED |= {"show": "pick_place/v1", "dagger": "--out x", "serve": "--policy x"}
NEEDED |= {"sweep": "--policy x", "calibrate": "show"}
NEEDED |= {"export": "--policy x", "gate": "--policy x"}
NEEDED |= {"deploy": "--policy x", "flywheel": "--policy x --data y --log z"}
NEEDED |= {"experiment": "modes", "diagnose": "run"}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_is_told_in_one_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = NEEDED.get(name, "").split()
    assert cli.main([name, *words, "--no-such-option"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("armtrials: error: Unrecognized options: --no-such-option")
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("train --data x --out y", "Missing from armtrials train: --algo STR (see"),
        ("view", "Missing from armtrials view: PATH (see"),
        ("collect --episodes many --out x", "--episodes: invalid literal for int() with base 10"),
        ("train --track z", "invalid choice 'z' for argument '--track'. Expected one of ('state'"),
        ("collect --out x extra", "Unrecognized options: extra (see armtrials collect --help)"),
    ],
)
def test_a_malformed_option_is_told_in_one_line(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words.split()) == 2
    line = capsys.readouterr().err
    assert line.startswith("armtrials: error: ")
    assert told in line
    assert line.count("\n") == 1


class Raising:
    """Stands in for a command whose work raises."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UsageError("task 'x' is unknown;\nknown: y"), 2, "error: task 'x' is unknown; known: y"),
        (OSError(28, "No space left on device"), 1, "OSError: [Errno 28] No space left on device"),
        (KeyboardInterrupt(), 130, "completed work is kept"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: BaseException,
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli, "load", lambda name, arguments: Raising(error))
    assert cli.main(["train"]) == code
    line = capsys.readouterr().err
    assert line.startswith("armtrials: ")
    assert line.count("\n") == 1
    assert text in line


def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "load", lambda name, arguments: Raising(RuntimeError("deep")))
    assert cli.main(["train", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    assert cli.main(["train"]) == 1
    assert "--debug" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m scripts.main --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_overview_imports_nothing_heavy() -> None:
    code = (
        "import sys; from scripts.main import main; main(['--help']);"
        "heavy = {'torch', 'mujoco', 'pandas', 'tyro', 'rich', 'numpy'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    started = time.monotonic()
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
    assert time.monotonic() - started < 10
