from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.film import LARGE, SMALL, Chooser, Format, film, format_of, video_name
from benchmarks.lines import Record
from benchmarks.protocol import PROTOCOLS
from benchmarks.trial import actions_digest, state_digest
from benchmarks.video import GREEN, RED
from envs.arm import Array
from envs.batch import SimBatch
from envs.tasks import TASKS

START = PROTOCOLS["pick_place/v1"].start("nominal", 0)
STEPS = 12


def trial(ic: int, failure: str | None = None, condition: str = "nominal") -> Record:
    key = {"policy": "p", "task": "pick_place", "protocol": "pick_place/v1"}
    return {
        "key": {**key, "condition": condition, "ic": ic, "repeat": 0},
        "success": failure is None,
        "failure": failure,
        "video": None,
    }


def played() -> tuple[Record, Array]:
    """Return a short recorded trial that held still."""
    sims = SimBatch(TASKS["pick_place"], size=1, threads=1)
    sims.reset([START])
    actions = np.repeat(np.array(START.qpos, np.float32)[None], STEPS, axis=0)
    for action in actions:
        sims.step(action[None])
    made = {
        "start": START.to_json(),
        "steps": STEPS,
        "duration_s": STEPS / 50,
        "actions_sha256": actions_digest(actions),
        "final_sha256": state_digest(sims, 0),
    }
    return {**trial(0, "stuck"), **made}, actions


def chosen(mode: str, trials: list[Record], earlier: list[Record] | None = None) -> list[int]:
    Chooser(mode, earlier or []).choose(trials)
    return [t["key"]["ic"] for t in trials if t["video"]]


def test_some_films_are_the_first_successes_and_one_failure_of_each_kind() -> None:
    labels = [None, "dropped", None, "dropped", None, "stuck", "timeout", "drift", "misplaced"]
    assert chosen("some", [trial(i, f) for i, f in enumerate(labels)]) == [0, 1, 2, 5, 6, 7]
    perturbed = [trial(i, f, "object_pose/L2") for i, f in enumerate(labels)]
    assert chosen("some", perturbed) == [0, 1]


def test_the_choice_goes_on_after_an_interruption() -> None:
    labels = [None, "dropped", None, "dropped", None, "stuck"]
    whole = [trial(i, f) for i, f in enumerate(labels)]
    wanted = chosen("some", whole)
    for cut in range(len(labels)):
        first, second = ([trial(i, labels[i]) for i in r] for r in (range(cut), range(cut, 6)))
        assert chosen("some", first) + chosen("some", second, first) == wanted


def test_few_films_are_those_of_the_whole_run() -> None:
    labels = [None, "dropped", None, "stuck", "drift", "timeout"]
    trials = [
        trial(i, label, condition)
        for condition in ("nominal", "object_pose/L2", "home_pose/L3")
        for i, label in enumerate(labels)
    ]
    assert chosen("few", trials) == [0, 1, 3, 4]
    assert sum(t["video"] is not None for t in trials) == 4


def test_all_and_none_do_what_they_say() -> None:
    trials = [trial(i, "stuck") for i in range(3)]
    assert chosen("none", trials) == []
    assert chosen("all", trials) == [0, 1, 2]
    assert [t["video"] for t in trials] == [f"videos/nominal_00{i}.mp4" for i in range(3)]


def test_videos_of_all_conditions_have_different_names() -> None:
    names = [
        video_name(trial(ic, None, c.name))
        for c in PROTOCOLS["pick_place/v1"].conditions
        for ic in (0, 199)
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("form", [LARGE, SMALL])
def test_a_film_shows_the_replay_in_real_time_and_ends_with_the_outcome(
    tmp_path: Path, form: Format
) -> None:
    record, actions = played()
    path = film(record, actions, tmp_path / "film.mp4", form=form)
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        rate = float(container.streams.video[0].average_rate)
    assert rate == pytest.approx(50 / form.every)
    assert len(frames) == -(-STEPS // form.every) + round(rate)
    corner = frames[-1][100, 2].astype(int)
    assert np.abs(corner - RED).sum() < np.abs(corner - GREEN).sum()
    assert frames[0].std() > 10
    assert frames[0].shape[1] == sum(camera.width for camera in form.views)


def test_the_few_films_of_a_run_are_small() -> None:
    assert {mode: format_of(mode) for mode in ("some", "few", "all")} == {
        "some": LARGE,
        "few": SMALL,
        "all": LARGE,
    }


def test_two_views_of_different_size_do_not_disturb_each_other() -> None:
    sims = SimBatch(TASKS["pick_place"], size=1, threads=1)
    sims.reset([START])
    once = [sims.frame(0, camera) for camera in LARGE.views]
    again = [sims.frame(0, camera) for camera in LARGE.views]
    assert [f.shape for f in once] == [(c.height, c.width, 3) for c in LARGE.views]
    assert all((a == b).all() for a, b in zip(once, again, strict=True))
