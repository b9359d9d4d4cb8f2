"""Distance of trials to demonstrations, covered share, success by distance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.coverage import StartMetric, coverage, start_features
from envs.arm import InitialCondition


def starts(rng: np.random.Generator, count: int, reach: float = 0.1) -> np.ndarray:
    place = rng.uniform(-reach, reach, (count, 4))
    yaw = rng.uniform(-np.pi, np.pi, count)
    return np.column_stack([place[:, :2], yaw, place[:, 2:]])


def test_features_are_place_and_yaw_of_the_cube_and_place_of_the_target() -> None:
    half = np.deg2rad(30) / 2
    cube = (0.3, -0.1, 0.02, np.cos(half), 0.0, 0.0, np.sin(half))
    objects = {"cube": cube, "target": (0.2, 0.1, 0.0, 1.0, 0.0, 0.0, 0.0)}
    row = start_features([InitialCondition((0.0,), objects)])
    assert row == pytest.approx(np.array([[0.3, -0.1, np.deg2rad(30), 0.2, 0.1]]))


@given(st.floats(-10, 10), st.integers(-8, 8))
def test_a_quarter_turn_of_the_cube_is_no_distance(yaw: float, turns: int) -> None:
    metric = StartMetric.of(starts(np.random.default_rng(0), 20))
    a = np.array([[0.01, 0.02, yaw, 0.0, 0.0]])
    b = a + np.array([[0, 0, turns * np.pi / 2, 0, 0]])
    assert metric.distances(a, b)[0, 0] == pytest.approx(0.0, abs=1e-6)


def test_one_is_half_of_the_box_in_every_number() -> None:
    metric = StartMetric.of(np.array([[0.0, 10.0], [0.2, 30.0]]))
    assert metric.scales == pytest.approx((0.1, 10.0))
    assert metric.distances([[0.0, 0.0]], [[0.1, 10.0]])[0, 0] == pytest.approx(1.0)


def test_a_narrow_range_of_angles_across_the_period_is_seen_as_narrow() -> None:
    yaw = np.array([-0.1, 0.0, 0.1]) + np.pi / 2
    metric = StartMetric.of(np.column_stack([np.zeros((3, 2)), yaw, np.zeros((3, 2))]))
    assert metric.scales[2] == pytest.approx(0.1)


def test_trials_from_the_same_box_are_covered_and_from_outside_are_not() -> None:
    rng = np.random.default_rng(0)
    demonstrations = starts(rng, 50)
    assert coverage(demonstrations, starts(rng, 200)).covered > 0.8
    outside = starts(rng, 200) + np.array([0.4, 0, 0, 0, 0])
    assert coverage(demonstrations, outside).covered == 0.0
    assert coverage(demonstrations, demonstrations).nearest == pytest.approx(0.0)


def test_success_falls_with_distance_in_bins_and_trend() -> None:
    rng = np.random.default_rng(0)
    demonstrations, trials = starts(rng, 50), starts(rng, 400, reach=0.25)
    nearest = coverage(demonstrations, trials).nearest
    won = rng.random(400) < np.clip(1.2 - nearest, 0, 1)
    found = coverage(demonstrations, trials, won)
    rates = [part.successes / part.trials for part in found.bins]
    assert [part.trials for part in found.bins] == [100] * 4
    assert rates[0] > rates[-1]
    assert all(rate in part.interval for rate, part in zip(rates, found.bins, strict=True))
    order = np.argsort(found.nearest)
    assert np.all(np.diff(found.trend[order]) <= 1e-12)
    assert found.trend.mean() == pytest.approx(won.mean())


def test_the_trend_is_the_least_squares_non_increasing_fit() -> None:
    found = coverage([[0.0], [1.0]], [[1.1], [1.2], [1.3], [1.4]], [1, 0, 1, 0])
    assert found.trend == pytest.approx([1.0, 0.5, 0.5, 0.0])


def test_too_few_rows_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="2 demonstrations"):
        coverage([[0.0]], [[0.0]])
    with pytest.raises(ValueError, match="finite and"):
        coverage([[0.0], [np.nan]], [[0.0]])
    with pytest.raises(ValueError, match="success must be"):
        coverage([[0.0], [1.0]], [[0.0]], [1, 0])
    with pytest.raises(ValueError, match="periods must have"):
        StartMetric.of([[0.0], [1.0]], (1.0, 2.0))
