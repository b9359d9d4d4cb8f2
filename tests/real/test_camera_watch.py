"""Which pictures are new, and how a camera does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from real.camera_watch import FrameWatch, Patience, judge
from real.cameras import CameraState, Frame


def picture(number: int, time: float, value: int) -> Frame:
    return Frame(np.full((2, 2, 3), value, np.uint8), None, number, time, time)


@given(st.lists(st.sampled_from(["new", "lost", "again", "older", "same"]), max_size=60))
def test_every_delivery_is_new_a_duplicate_or_the_same_and_only_news_count(
    events: list[str],
) -> None:
    watch, sent = FrameWatch(), [picture(100, 1.0, 0)]
    assert watch.take(sent[0])
    new, lost, again, same, value, number = 1, 0, 0, 0, 0, 100
    for event in events:
        if event in ("again", "older"):
            again += 1
            assert not watch.take(sent[-1] if event == "again" else sent[max(0, len(sent) - 5)])
            continue
        number += 1
        if event == "lost":
            lost += 1
            continue
        value = value if event == "same" else value + 1
        frame = picture(number, 1.0 + number, value)
        sent.append(frame)
        new += event == "new"
        same += event == "same"
        assert watch.take(frame) == (event == "new")
    after = sum(1 for k in range(sent[-1].number + 1, number + 1))  # not missed yet
    counts = watch.counts
    assert (counts.frames, counts.duplicates, counts.same) == (new, again, same)
    assert counts.dropped == lost - after


def test_a_new_number_with_an_old_time_is_a_duplicate() -> None:
    watch = FrameWatch()
    assert watch.take(picture(1, 5.0, 1))
    assert not watch.take(picture(2, 5.0, 1))
    assert watch.counts.duplicates == 1


def test_a_camera_that_counts_anew_has_lost_nothing() -> None:
    watch = FrameWatch()
    assert watch.take(picture(5000, 5.0, 1))
    assert watch.take(picture(1, 6.0, 2))
    assert watch.take(picture(90000, 7.0, 3))
    assert watch.counts.dropped == 0


def test_states_follow_age_and_news() -> None:
    patience = Patience()

    def state(age: float, heard: float, streak: int) -> CameraState:
        return judge(age, heard, streak, 30.0, patience)

    assert state(0.03, 0.03, 0) == CameraState.OK
    assert state(0.1, 0.1, 0) == CameraState.LATE
    assert state(0.1, 0.01, 3) == CameraState.LATE
    assert state(0.35, 0.01, 10) == CameraState.FROZEN
    assert state(1.1, 0.01, 3) == CameraState.FROZEN
    assert state(1.1, 1.1, 0) == CameraState.STALLED
    assert state(3.0, 2.0, 10) == CameraState.STALLED
    assert not CameraState.LATE.stops
    assert CameraState.FROZEN.stops
