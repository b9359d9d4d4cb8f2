import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from policies.wire import DTYPES, WireError, check_array, decode, encode


@settings(max_examples=40)
@given(
    hnp.arrays(
        st.sampled_from([np.dtype(name) for name in DTYPES]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    )
)
def test_an_array_arrives_as_it_was_sent(array) -> None:
    found = decode(encode({"type": "act", "obs": {"qpos": array}}))["obs"]["qpos"]
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()
    assert found.flags.writeable


def test_a_transposed_or_big_endian_array_arrives_in_order() -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3).T
    found = decode(encode({"type": "x", "a": array}))["a"]
    assert found.dtype.str == "<f4"
    np.testing.assert_array_equal(found, array)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        assert isinstance(decode(data)["type"], str)
    except WireError as error:
        assert "must be" in str(error)  # noqa: PT017


def bad(**parts: object) -> bytes:
    array = {"dtype": "<f4", "shape": [2], "data": b"\0" * 8, **parts}
    return msgpack.packb({"type": "act", "a": array})


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("text", "must be binary"),
        (b"\xc1", "must be msgpack"),
        (b"\x91" * 5000, "must be msgpack"),
        (msgpack.packb([1]), "must be a map with a type"),
        (msgpack.packb({"type": 3}), "must be a map with a type"),
        (bad(dtype="|O"), r"dtype must be <f4, .*, got '|O'"),
        (bad(dtype=["<f4"]), "dtype must be"),
        (bad(shape=[-2]), "shape must be a list of sizes"),
        (bad(shape=[2.0]), "shape must be a list of sizes"),
        (bad(shape=8), "shape must be a list of sizes"),
        (bad(shape=[3]), "must have 12 bytes of data, got 8"),
        (bad(shape=[2**62, 2**62]), "bytes of data, got 8"),
        (bad(data="12345678"), "bytes of data, got str"),
    ],
)
def test_what_is_malformed_is_refused(data: bytes | str, told: str) -> None:
    with pytest.raises(WireError, match=told):
        decode(data)


def test_objects_are_not_sent() -> None:
    with pytest.raises(TypeError, match="set cannot be sent"):
        encode({"type": "x", "a": {1}})
    with pytest.raises(TypeError, match="arrays must be"):
        encode({"type": "x", "a": np.array([object()])})


def test_an_array_is_of_the_agreed_shape_and_dtype() -> None:
    array = np.zeros((2, 3), np.float32)
    assert check_array(array, "it", (2, 3), "<f4") is array
    for found, told in (
        (array[:1], r"it must be <f4 of shape \(2, 3\), got <f4 \(1, 3\)"),
        (array.astype(float), r"got <f8 \(2, 3\)"),
        ([1.0], "got list"),
        (None, "got NoneType"),
    ):
        with pytest.raises(WireError, match=told):
            check_array(found, "it", (2, 3), "<f4")
