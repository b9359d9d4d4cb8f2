"""armtrials dagger: what the user sees."""

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.main import main

SMALL = {"rounds": "1", "labels": "60", "episodes": "2", "preset": "quick", "steps": "5",
         "trials": "2", "workers": "1"}  # fmt: skip


def arguments(out: Path, change: dict[str, str] | None = None) -> list[str]:
    options = {"out": str(out), **SMALL, **(change or {})}
    return ["dagger", *(word for k, v in options.items() for word in (f"--{k}", v))]


def test_it_leaves_a_policy_a_curve_and_the_difference_to_plain_bc(tmp_path, capsys) -> None:
    out = tmp_path / "run"
    assert main([*arguments(out), "--compare"]) == 0
    told = capsys.readouterr()
    assert "DAgger minus plain BC, same number of expert labels: " in told.out
    assert "95 % interval" in told.out
    assert f"{out}/rounds/01: the policy" in told.err
    with (out / "curve.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["run"], row["labels"], row["trials"]) for row in table] == [
        ("dagger", "30", "2"), ("dagger", "60", "2"), ("demonstrations", "60", "2"),
    ]  # fmt: skip
    assert json.loads((out / "curve.json").read_text())["difference"]["paired"]
    drawn = ElementTree.parse(out / "curve.svg").getroot()
    words = [element.text for element in drawn.iter() if element.text and element.text.strip()]
    assert {"DAgger, bc", "demonstrations, bc", "expert labels"} <= set(words)
    before = (out / "curve.json").read_bytes()
    assert main([*arguments(out), "--compare"]) == 0
    assert (out / "curve.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "pour"}, "the expert of pour follows a script of its own"),
        ({"trials": "0"}, "trials must be 1..200 in pick_place/v1, got 0"),
        ({"protocol": "pick_place/v9"}, "unknown protocol 'pick_place/v9'"),
        ({"image-size": "32"}, "--image-size belongs to --track pixels, got track 'state'"),
        ({"image-size": "0", "track": "pixels"}, "--image-size must be at least 1, got 0"),
        ({"robot": "openarm"}, "no expert that labels states of others on openarm"),
    ],
)
def test_a_mistake_is_answered_in_one_line_with_exit_code_2(
    tmp_path, capsys, change, message
) -> None:
    assert main(arguments(tmp_path / "run", change)) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "run" / "data").exists()


def test_a_comparison_needs_a_number_of_labels(tmp_path, capsys) -> None:
    assert main([*arguments(tmp_path / "run", {"labels": "None"}), "--compare"]) == 2
    assert "needs --labels" in capsys.readouterr().err


def test_the_help_shows_examples(capsys) -> None:
    assert main(["dagger", "--help"]) == 0
    assert "armtrials dagger --task pick_place" in capsys.readouterr().out
