import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs.errors import UsageError
from policies.normalize import KeyStats, Normalizer, Stats

VALUES = arrays(
    np.float32,
    st.tuples(st.integers(2, 20), st.just(3)),
    elements=st.floats(-100, 100, width=32),
)


@given(VALUES, st.sampled_from(["minmax", "meanstd"]))
def test_normalising_and_back_gives_the_values(values, mode):
    normalizer = Normalizer(Stats({"qpos": KeyStats.of(values)}), mode)
    restored = normalizer.denormalize("qpos", normalizer.normalize("qpos", values))
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, values, atol=1e-4)


@given(VALUES)
def test_minmax_maps_the_training_data_into_minus_one_to_one(values):
    scaled = Normalizer(Stats({"a": KeyStats.of(values)}), "minmax").normalize("a", values)
    assert np.abs(scaled).max() <= 1 + 1e-3


def test_a_constant_dimension_is_centred_and_not_blown_up():
    values = np.full((10, 2), 0.3, np.float32)
    normalizer = Normalizer(Stats({"a": KeyStats.of(values)}), "meanstd")
    np.testing.assert_allclose(normalizer.normalize("a", values), 0, atol=1e-6)
    np.testing.assert_allclose(normalizer.normalize("a", values + 0.1), 0.1, atol=1e-6)


def test_a_nearly_constant_dimension_is_scaled_by_no_less_than_a_hundredth():
    values = np.array([[0.0], [1e-3]], np.float32)
    for mode in ("minmax", "meanstd"):
        scaled = Normalizer(Stats({"a": KeyStats.of(values)}), mode).normalize("a", values)
        assert np.abs(scaled).max() <= 0.1


def test_statistics_survive_json_with_their_hash():
    stats = Stats({"a": KeyStats.of(np.random.default_rng(0).normal(size=(9, 4)))})
    again = Stats.from_json(json.loads(json.dumps(stats.to_json())))
    assert again == stats
    assert again.hash == stats.hash


def test_other_statistics_have_another_hash():
    one = Stats({"a": KeyStats.of(np.array([[0.0], [1.0]]))})
    other = Stats({"a": KeyStats.of(np.array([[0.0], [1.0 + 1e-12]]))})
    assert one.hash != other.hash


def test_an_unknown_mode_lists_the_known_ones():
    with pytest.raises(UsageError, match="minmax, meanstd"):
        Normalizer(Stats({}), "quantile")


def test_an_unknown_key_of_stored_statistics_is_refused():
    stats = Stats({"a": KeyStats.of(np.zeros((2, 1)))}).to_json()
    stats["keys"]["a"]["median"] = [0.0]
    with pytest.raises(UsageError, match="unknown key 'median'; known: count"):
        Stats.from_json(stats)
