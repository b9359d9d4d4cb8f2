"""What becomes of every fault of a camera, through librealsense, on a clock of its own."""

import pytest

from perf.camera_faults import MATRIX, Outcome, measure
from real.cameras import CameraState
from tests.real.camera_bench import needs_realsense

pytestmark = needs_realsense


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    return {
        name: measure(fault, 5.0 if "stall" in fault else 3.0) for name, fault in MATRIX.items()
    }


@pytest.mark.parametrize("name", MATRIX)
def test_no_picture_is_ever_read_as_new_twice(name: str, outcomes: dict[str, Outcome]) -> None:
    assert outcomes[name].repeated == 0
    assert outcomes[name].news == outcomes[name].counts.frames > 25


def test_without_a_fault_every_picture_is_new_and_none_is_late(
    outcomes: dict[str, Outcome],
) -> None:
    outcome = outcomes["none"]
    assert outcome.news == outcome.periods
    assert outcome.counts.duplicates == outcome.counts.dropped == outcome.counts.same == 0
    assert outcome.flagged_s is None
    assert outcome.oldest < 0.05


@pytest.mark.parametrize("name", ["10 % lost", "10 % repeated", "both"])
def test_lost_and_repeated_pictures_are_counted_and_stop_nothing(
    name: str, outcomes: dict[str, Outcome]
) -> None:
    outcome = outcomes[name]
    counts = outcome.counts
    assert counts.frames + counts.dropped == outcome.periods
    assert counts.dropped > 5
    assert (counts.duplicates > 5) == (name != "10 % lost")
    assert outcome.stopped_s is None
    assert outcome.after == CameraState.OK


def test_a_frozen_picture_is_flagged_at_once_and_stops(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["frozen"]
    assert outcome.flagged_s is not None
    assert outcome.stopped_s is not None
    assert outcome.flagged_s < 0.15
    assert outcome.stopped_s < 0.5
    assert outcome.state == CameraState.FROZEN
    assert outcome.after == CameraState.OK
    assert outcome.counts.same == outcome.periods - outcome.counts.frames


def test_a_stall_is_flagged_stops_after_a_second_and_passes(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["5 s stall"]
    assert outcome.flagged_s is not None
    assert outcome.stopped_s is not None
    assert outcome.flagged_s < 0.15
    assert outcome.stopped_s == pytest.approx(1.0, abs=0.06)
    assert outcome.state == CameraState.STALLED
    assert outcome.after == CameraState.OK


@pytest.mark.parametrize("name", ["wrong size", "unplugged"])
def test_what_cannot_go_on_stops_within_two_pictures_and_stays_so(
    name: str, outcomes: dict[str, Outcome]
) -> None:
    outcome = outcomes[name]
    assert outcome.stopped_s is not None
    assert outcome.stopped_s < 2 / 30
    assert outcome.after == outcome.state
    assert outcome.state.stops
    assert "overhead (D435 000000000001)" in outcome.text


def test_late_pictures_are_no_older_than_they_seem(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["50 ms late"].stopped_s is None
    assert outcomes["50 ms late"].counts.duplicates == 0
