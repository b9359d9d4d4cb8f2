"""GAIL's learning curve is drawn from its log."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.gail_curve import POINTS, SVG, write_curve
from policies.train_log import FILE


def log(folder: Path, count: int) -> None:
    """Write the log of ``count`` iterations: success rises from none to half of 32."""
    rows = [
        {
            "step": i + 1,
            "environment_steps": 12800.0,
            "episodes": 32.0,
            "rollout_success": (i * 16 // count) / 32,
            "rollout_progress": 0.25,
            "judge_expert": 0.8,
            "judge_policy": 0.9,
        }
        for i in range(count)
    ]
    (folder / FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("count", [1, 20, 100])
def test_the_curve_has_what_the_log_holds(tmp_path: Path, count: int) -> None:
    log(tmp_path, count)
    path = write_curve(tmp_path)
    assert path == tmp_path / SVG
    drawn = path.read_text()
    for name in ("success", "progress", "discriminator right", "environment steps"):
        assert name in drawn
    lines = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="4" fill="(#\w+)"', drawn)
    success = [(float(x), float(y)) for x, y, colour in lines if colour == "#1f6feb"][:-1]
    assert 1 <= len(success) <= POINTS
    assert [y for _, y in success] == sorted((y for _, y in success), reverse=True)  # down is more
    across = [x for x, _ in success]
    assert across == sorted(across)
