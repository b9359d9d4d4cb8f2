"""What docs/experiments.md says was measured stands in results/experiments."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RECORDS = sorted((ROOT / "results" / "experiments").glob("*.json"))
TABLES = [path for path in RECORDS if "cells" in json.loads(path.read_text("utf-8"))]


def section(name: str) -> str:
    """Return the lines of tables in the section of an experiment."""
    text = (ROOT / "docs" / "experiments.md").read_text("utf-8")
    own = re.split(r"^### ", text, flags=re.MULTILINE)
    (found,) = [part for part in own if part.startswith(f"{name}\n")]
    return "\n".join(line for line in found.splitlines() if line.startswith("|"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_success_in_a_table_is_one_that_was_measured(path: Path) -> None:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    measured = {f"{cell['k']}/{cell['n']}" for cell in cells}
    said = set(re.findall(r"\b\d+/\d+\b", section(path.stem)))
    assert said <= measured


def test_most_experiments_have_a_record() -> None:
    assert len(TABLES) >= 8


def test_the_table_of_planted_faults_is_the_one_that_was_measured() -> None:
    held = json.loads((ROOT / "results" / "experiments" / "planted.json").read_text("utf-8"))
    text = (ROOT / "docs" / "diagnose.md").read_text("utf-8")
    table = text.split("| planted | named", 1)[1].split("\n\n", 1)[0]
    said = [int(n) for row in table.splitlines()[2:] for n in re.findall(r"\| (\d+) ", row)]
    measured = [n for row in held["confusion"].values() for n in row.values() if n]
    assert sorted(said) == sorted(measured)
    diagnosed = [plant for plant in held["plants"] if plant["named"]]
    told = f"of {len(held['plants'])} plants {len(diagnosed)} failed"
    assert told in " ".join(text.split())
