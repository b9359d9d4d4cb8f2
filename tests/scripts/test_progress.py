"""Progress on a terminal and in a log."""

import io

import pytest

from envs.errors import UsageError
from scripts import progress as module
from scripts.progress import duration, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_plain_lines_without_control_codes() -> None:
    out = io.StringIO()
    with progress("collect", 3, stream=out) as advance:
        advance()
        advance(2)
    lines = out.getvalue().splitlines()
    assert lines[0] == "collect: 3 to do"
    assert lines[-1].startswith("collect: 3/3 in ")
    assert "\x1b" not in out.getvalue()


def test_a_log_gets_a_line_now_and_then_with_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINE_EVERY_S", 0.0)
    out = io.StringIO()
    with progress("train", 4, stream=out) as advance:
        advance(0)
        advance()
    assert any(line.startswith("train: 1/4, ") for line in out.getvalue().splitlines())


def test_what_was_done_before_does_not_shorten_the_estimate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 0.0, 50.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock, 50.0))
    out = io.StringIO()
    with progress("train", 1000, stream=out) as advance:
        advance(500)
        advance(50)
    assert "train: 550/1000, 7 min 30 s left" in out.getvalue()


def test_a_terminal_gets_a_bar() -> None:
    out = Terminal()
    with progress("train", 2, stream=out) as advance:
        advance(2)
    assert "2/2" in out.getvalue()


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_mistake_found_before_the_work_begins_leaves_nothing_behind(
    kind: type[io.StringIO],
) -> None:
    out = kind()
    with pytest.raises(UsageError), progress("collect foo", 50, stream=out):
        raise UsageError("unknown task 'foo'")
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(7.6, "8 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_a_duration_is_told_as_people_say_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text
