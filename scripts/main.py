"""The command line ``armtrials <command>``: one thin module a command.

Every command is a frozen dataclass in ``scripts/<command>.py``: its fields are the options, their
docstrings the help, ``run()`` the work and the exit code. Only the chosen module is imported.
"""

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol, cast

COMMANDS: Mapping[str, str] = {
    "collect": "Record demonstrations of a task with the scripted expert.",
    "experts": "Measure how often the scripted experts succeed.",
    "teleop": "Demonstrate a task yourself, in a web browser.",
    "record": "Record demonstrations on an arm that follows a leader, real or the twin.",
    "inspect": "Check a folder of demonstrations: a table and an HTML page.",
    "convert": "Convert demonstrations and trial records to and from other formats.",
    "train": "Train a policy on a folder of demonstrations.",
    "dagger": "Learn with an expert who says what it would do where the policy goes (DAgger).",
    "evaluate": "Run policies on a protocol and seal the records.",
    "sweep": "Measure what execution settings make of a policy.",
    "experiment": "Answer a question by a grid of trainings and trials: sim-to-real and others.",
    "diagnose": "Say why the trials of a run failed, with evidence, and where to demonstrate next.",
    "export": "Export a policy as one graph.",
    "gate": "Check whether a policy may run on an arm.",
    "deploy": "Let a policy work on an arm outside an evaluation, and log every episode.",
    "flywheel": "Turn a deployment's log into the next policy: demonstrate, train, compare.",
    "session": "Evaluate policies blindly on an arm: plan, lock, trials with a person, close.",
    "serve": "Serve a policy to evaluations and environments elsewhere.",
    "leaderboard": "Make the leaderboard from sealed runs.",
    "verify": "Check a sealed run: its seals, then trials run again.",
    "submit": "Pack a sealed run for somebody else's leaderboard.",
    "accept": "Check a packed run on arrival and take it in.",
    "site": "Make a static site: a page for every task, policy, run and trial.",
    "card": "Write the model card or data card of a folder.",
    "view": "Show one episode or one trial as a page.",
    "show": "Show where a protocol's trials start and what each of its axes changes.",
    "plan": "Tell how many trials a comparison needs, and whether one that runs may stop.",
    "bench": "Run the main job: demonstrations, training, evaluation, leaderboard.",
    "calibrate": "Calibrate an arm and its cameras: joints, gripper, lens and place; check camera "
    "and scene.",
    "emulate": "Emulate an arm's bus, for any software that speaks to its motors.",
    "demo": "Let a trained policy work on the hardware twin, through the real driver stack.",
    "doctor": "Check what this machine offers and what is missing.",
}
"""Command name -> its module's one-line summary (kept equal by a test)."""

EXIT_OK, EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


class Command(Protocol):
    """What every command's dataclass offers."""

    def run(self) -> int:
        """Do the work and return the exit code."""


def installed_version() -> str:
    """Return the installed version of ArmTrials, or ``"unknown"`` when run uninstalled."""
    try:
        return version("armtrials")
    except PackageNotFoundError:
        return "unknown"


def overview() -> str:
    """Return the text of ``armtrials --help``."""
    rows = "\n".join(f"  {name:<12} {summary}" for name, summary in COMMANDS.items())
    return (
        "usage: armtrials <command> [options]\n\n"
        "Find out whether a robot policy works.\n\n"
        f"commands:\n{rows}\n\n"
        "  armtrials <command> --help shows the options of one command, with examples.\n"
        "  --debug shows the traceback of an error; --version the version."
    )


def load(name: str, arguments: Sequence[str]) -> Command:
    """Import the command ``name`` and fill its options from ``arguments``.

    ``--help`` prints the options and the examples and raises ``SystemExit``. A ``--out`` below
    which nothing can be written is refused before any work is done.
    """
    module = importlib.import_module(f"scripts.{name}")
    from scripts.options import (  # here: tyro costs more than the whole of `armtrials --help`
        check_out,
        fill,
    )

    kind = getattr(module, name.capitalize())
    try:
        command = cast(Command, fill(kind, f"armtrials {name}", module.__doc__, arguments))
    except SystemExit:
        _say(f"examples:\n{_indent(module.EXAMPLES)}")
        raise
    check_out(command)
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 (done), 1 (failed), 2 (the user can fix it) or 130 (Ctrl-C)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    words = [word for word in given if word != "--debug"]
    try:
        return _dispatch(words)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_ERROR
    except KeyboardInterrupt:
        return _fail("interrupted; completed work is kept, run again to continue", EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader left, as in `armtrials plan | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _report(error, debug)


def _dispatch(words: Sequence[str]) -> int:
    """Answer ``--version`` and ``--help`` here, hand everything else to its command."""
    if not words:
        _say(overview())
        return EXIT_USAGE
    if words[0] in ("-h", "--help", "help"):
        _say(overview())
        return EXIT_OK
    if words[0] == "--version":
        _say(f"armtrials {installed_version()}")
        return EXIT_OK
    if words[0] not in COMMANDS:
        known = ", ".join(COMMANDS)
        unknown = f"error: unknown command {words[0]!r}{_suggestion(words[0])}; known: {known}"
        return _fail(unknown, EXIT_USAGE)
    return load(words[0], words[1:]).run()


def _report(error: Exception, debug: bool) -> int:
    """Write one line about ``error``; return 2 where the user can fix it, else 1."""
    from envs.errors import UsageError  # here, because importing the package costs .2 s
    from scripts.options import OptionsError

    message = " ".join(str(error).split())
    if isinstance(error, UsageError | OptionsError):
        return _fail(f"error: {message}", EXIT_USAGE)
    advice = "" if debug else " (run again with --debug for the traceback)"
    return _fail(f"error: {type(error).__name__}: {message}{advice}", EXIT_ERROR)


def _suggestion(name: str) -> str:
    """Return ``", did you mean 'train'?"`` where a known command is close, else nothing."""
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def _indent(text: str) -> str:
    return "\n".join(f"  {line.strip()}" for line in text.strip().splitlines())


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _fail(message: str, code: int) -> int:
    """Write one line on stderr and return ``code``."""
    sys.stderr.write(f"armtrials: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
