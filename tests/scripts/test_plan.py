"""What ``armtrials plan`` prints."""

import pytest

from envs.errors import UsageError
from scripts.plan import Plan


def test_the_pairs_for_each_correlation_and_a_curve_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert Plan(better=0.8, worse=0.7).run() == 0
    shown = capsys.readouterr().out
    assert all(number in shown for number in ("313", "243", "201", "151", "294"))
    assert "<- this plan" in shown
    curve, axis = shown.splitlines()[-2:]
    assert curve.startswith("power ")
    assert curve.index("▇") < curve.index("█")
    assert axis.index("243") == len("trials ") + 23  # half of the axis, under the wanted power


def test_the_sequential_plan_shows_mean_and_most(capsys: pytest.CaptureFixture[str]) -> None:
    Plan(better=0.9, worse=0.6, sequential=True).run()
    row = next(line for line in capsys.readouterr().out.splitlines() if "sequential" in line)
    assert "mean" in row
    assert "<=" in row


def test_a_number_of_trials_shows_what_it_can_tell(capsys: pytest.CaptureFixture[str]) -> None:
    Plan(trials=20).run()
    shown = capsys.readouterr().out
    assert "± 16.8" in shown
    assert "cannot rank" in shown
    Plan(trials=200).run()
    assert "cannot rank" not in capsys.readouterr().out


@pytest.mark.parametrize("plan", [{"worse": 0.9}, {"better": 1.0}, {"trials": 0}])
def test_an_impossible_plan_is_a_usage_error(plan: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"needed|must be"):
        Plan(**plan).run()  # type: ignore[arg-type]


def test_a_power_below_alpha_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="0 < alpha < power < 1"):
        Plan(power=0.01)
