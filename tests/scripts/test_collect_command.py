import re
from pathlib import Path

import pytest

from envs.collection import read_info
from scripts.main import main


def test_collect_makes_a_folder_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data"
    words = ["collect", "--episodes", "1", "--workers", "1", "--out", str(out)]
    assert main([*words, "--randomise", "object_pose/L1"]) == 0
    assert re.search(r"data: 1 demonstration; \d+ episodes a minute\.", capsys.readouterr().out)
    assert main([*words, "--randomise", "object_pose/L1", "--episodes", "2"]) == 0
    capsys.readouterr()
    assert main([*words, "--randomise", "object_pose/L1"]) == 0
    assert "collect pick_place: 2/2 in" in capsys.readouterr().err
    info = read_info(out)
    assert info is not None
    assert info.definition["variations"] == [["object_pose", "L1"]]
    assert main([*words, "--randomise", "none"]) == 2
    assert "was collected with other settings: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "juggle"], "unknown task 'juggle'; known:"),
        (["--operator", "drunk"], "unknown operator 'drunk'; known: clean"),
        (["--episodes", "0"], "episodes must be at least 1, got 0"),
        (["--randomise", "lighting"], "unknown randomisation 'lighting'; known: none, visual"),
        (["--randomise", "gravity/L1"], "unknown variation 'gravity'; known:"),
        (["--randomise", "lighting/L9"], "unknown level 'L9'; known: L1, L2, L3"),
        (["--randomise", "full", "lighting/L1"], "lighting must have one level, got L2 and L1"),
        (["--recovery", "1.5"], "recovery must be a share 0..1, got 1.5"),
        (["--pixels", "--image-size", "0"], "--image-size must be 8..1024 px, got 0"),
        (["--pixels", "--cameras", "ceiling"], "unknown camera 'ceiling'; known:"),
        (["--cameras", "overhead", "wrist"], "--cameras belongs to --pixels: no pictures are"),
        (["--image-size", "84"], "--image-size belongs to --pixels: no pictures are recorded"),
        (["--workers", "0"], "workers must be at least 1, got 0"),
    ],
)
def test_a_mistake_is_one_clear_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["collect", "--out", str(tmp_path), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"armtrials: error: {message}")
