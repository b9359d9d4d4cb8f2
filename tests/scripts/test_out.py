"""Where nothing can be written, every command says so before it does anything."""

import dataclasses
import importlib
import sys
from pathlib import Path

import pytest

from scripts import main as cli

WORDS = {
    "calibrate": "board",
    "card": "{here}",
    "convert": "{here} --to lerobot",
    "diagnose": "{here} --data {here}",
    "experiment": "modes",
    "export": "--policy {here}",
    "flywheel": "--policy {here} --data {here} --log {here}",
    "gate": "--policy {here}",
    "deploy": "--policy {here}",
    "inspect": "{here}",
    "session": "lock --policy {here} {here}",
    "show": "pick_place/v1",
    "submit": "{here}",
    "sweep": "--policy {here} --over execute",
    "train": "--algo bc --data {here}",
    "view": "{here}",
}
"""What else a command or its step must be told; the others nothing."""


def writing() -> list[str]:
    """Return the commands with an ``out`` of their own."""
    kinds = {name: getattr(importlib.import_module(f"scripts.{name}"), name.capitalize())
             for name in cli.COMMANDS}  # fmt: skip
    return [n for n, k in kinds.items() if any(f.name == "out" for f in dataclasses.fields(k))]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no /proc")
@pytest.mark.parametrize("name", [*writing(), "calibrate", "session"])
def test_every_command_refuses_a_place_where_nothing_can_be_made(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = WORDS.get(name, "").format(here=tmp_path).split()
    where = ["/proc/x"] if name == "convert" else ["--out", "/proc/x"]
    words = [*words[:1], *where, *words[1:]] if name == "convert" else [*words, *where]
    assert cli.main([name, *words]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("armtrials: error: /proc/x cannot be written: no file can be made in")
    assert not list(tmp_path.iterdir())


def test_a_file_on_the_way_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert cli.main(["collect", "--out", str(tmp_path / "file" / "data")]) == 2
    assert "Not a directory" in capsys.readouterr().err


def test_a_place_that_cannot_even_be_looked_at_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = tmp_path / ("x" * 300)  # than the system allows: like a folder of somebody else's,
    for out in (longer, longer / "data"):  # where root may look
        assert cli.main(["collect", "--out", str(out)]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"armtrials: error: {out} cannot be written: no file can be made in")
        assert "File name too long" in line


def test_looking_makes_nothing(tmp_path: Path) -> None:
    from scripts.options import check_out
    from scripts.train import Train

    check_out(Train("bc", tmp_path / "a" / "b"))
    check_out(Train("bc", tmp_path))
    assert not list(tmp_path.iterdir())
