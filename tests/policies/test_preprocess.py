import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.episode import EpisodeHeader, EpisodeMeta
from policies.preprocess import filter_episodes, resize


def stripes(size: int) -> np.ndarray:
    """Lines of one pixel: shrunk without anti-aliasing they turn into false, broad ones."""
    picture = np.zeros((size, size, 3), np.uint8)
    picture[:, ::2] = 255
    return picture


def test_shrinking_is_anti_aliased() -> None:
    small = resize(stripes(240), (100, 100))
    assert small.std() < 12
    assert abs(float(small.mean()) - 127.5) < 1
    assert stripes(240)[::2, ::2].std() == 0  # what taking every second pixel would make of it


@given(
    lead=st.lists(st.integers(1, 3), max_size=2),
    size=st.tuples(st.integers(1, 24), st.integers(1, 24)),
)
def test_a_frame_is_resized_the_same_in_any_batch(lead: list[int], size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (*lead, 12, 16, 3)).astype(np.uint8)
    batch = resize(images, size)
    assert batch.shape == (*lead, *size, 3)
    first = images.reshape(-1, 12, 16, 3)[0]
    assert np.array_equal(batch.reshape(-1, *size, 3)[0], resize(first, size))


def test_the_right_size_is_left_alone() -> None:
    picture = stripes(8)
    assert resize(picture, (8, 8)) is picture


def test_enlarging_keeps_flat_areas_flat() -> None:
    assert (resize(np.full((4, 4, 3), 77, np.uint8), (9, 13)) == 77).all()


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \(..., h, w, 3\) uint8, got \(4, 4, 3\) float"):
        resize(np.zeros((4, 4, 3)), (2, 2))
    with pytest.raises(ValueError, match=r"size must be at least 1 px, got 0x2"):
        resize(np.zeros((4, 4, 3), np.uint8), (0, 2))


def header(length: int, **meta: object) -> EpisodeHeader:
    return EpisodeHeader(length, {}, False, EpisodeMeta(**meta))  # type: ignore[arg-type]


def test_failed_flagged_and_odd_episodes_are_left_out_with_their_reasons() -> None:
    headers = {f"e{i}": header(290 + i % 5, success=True) for i in range(20)}
    headers["long"] = header(900, success=True)
    headers["failed"] = header(5000, success=False, failure="timeout")
    headers["flagged"] = header(290, flag="wrong cube")
    reasons = filter_episodes(headers)
    assert reasons == {
        "long": "900 steps, 4.5 sigma from the mean 321",
        "failed": "failed: timeout",
        "flagged": "flagged: wrong cube",
    }


def test_episodes_of_one_length_and_unknown_outcome_are_kept() -> None:
    assert filter_episodes({f"e{i}": header(400) for i in range(20)}) == {}
    assert filter_episodes({}) == {}
