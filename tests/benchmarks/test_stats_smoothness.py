"""Spectral arc length, path ratio, contact peak."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import stats


def reach(samples: int = 101) -> np.ndarray:
    """Speed of a minimum-jerk movement of one second (Flash & Hogan, 1985)."""
    t = np.linspace(0, 1, samples)
    return 30 * t**2 * (1 - t) ** 2


def test_a_minimum_jerk_reach_has_the_published_arc_length() -> None:
    assert stats.sparc(reach(), 100.0) == pytest.approx(-1.41, abs=0.01)


@given(st.floats(0.001, 1000))
def test_smoothness_does_not_depend_on_the_size_of_the_movement(scale: float) -> None:
    assert stats.sparc(scale * reach(), 100.0) == pytest.approx(stats.sparc(reach(), 100.0))


def test_small_sensor_noise_leaves_it_and_stops_and_shaking_lower_it() -> None:
    rng = np.random.default_rng(0)
    smooth, speed = stats.sparc(reach(), 100.0), reach()
    noisy = stats.sparc(speed + 0.02 * speed.max() * rng.normal(size=101), 100.0)
    stops = stats.sparc(np.tile(reach(), 3), 100.0)
    shaken = stats.sparc(speed * (1 + 0.5 * np.sin(2 * np.pi * 8 * np.linspace(0, 1, 101))), 100.0)
    assert smooth is not None
    assert noisy == pytest.approx(smooth, abs=0.15)
    assert stops is not None
    assert stops < smooth - 1
    assert shaken is not None
    assert shaken < smooth - 0.3


@pytest.mark.parametrize(
    "speed", [[], [1.0, 2.0], np.zeros(50), [1.0, np.nan, 1.0, 1.0, 1.0], np.ones((5, 2))]
)
def test_smoothness_is_none_where_undefined(speed: object) -> None:
    assert stats.sparc(speed, 50.0) is None  # type: ignore[arg-type]


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="rate_hz must be positive"):
        stats.sparc(reach(), 0.0)


def test_the_path_ratio_is_one_for_the_direct_way_and_counts_detours() -> None:
    line = np.linspace([0, 0, 0], [1, 0, 0], 20)
    assert stats.path_ratio(line) == pytest.approx(1.0)
    corner = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0]])
    assert stats.path_ratio(corner) == pytest.approx(np.sqrt(2))
    assert stats.path_ratio(corner, through=[[1, 0, 0]]) == pytest.approx(1.0)
    assert stats.path_ratio(corner[[0, 1, 0]]) is None
    assert stats.path_ratio(corner[:1]) is None
    assert stats.path_ratio(np.full((3, 3), np.nan)) is None


def test_the_contact_peak_is_the_largest_force() -> None:
    assert stats.contact_peak([[0.0, 3.0], [-7.0, 1.0]]) == 7.0
    assert stats.contact_peak([]) is None
    assert stats.contact_peak([np.inf]) is None
