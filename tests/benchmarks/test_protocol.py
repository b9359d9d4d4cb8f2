import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_table import axes_table, facts_table

from benchmarks import protocol as module
from benchmarks.lines import canonical
from benchmarks.protocol import (
    DEV,
    FIRST_AXES,
    PROTOCOLS,
    Condition,
    EvalProtocol,
    Plan,
    Wave,
    make_plan,
    standard_conditions,
    state_of,
    stream,
)
from envs.arm import InitialCondition
from envs.collection import Collection
from envs.errors import UsageError
from envs.tasks import TASKS
from envs.variation import CONTROLS, LEVELS, VARIATIONS, unfit

PROTOCOL = PROTOCOLS["pick_place/v1"]
PERTURBED = [c for c in PROTOCOL.conditions if c.axes]


def test_the_standard_protocol_has_every_axis_at_every_level_and_all_together() -> None:
    names = [c.name for c in PROTOCOL.conditions]
    singles = [f"{axis}/{level}" for axis in FIRST_AXES for level in LEVELS]
    assert names == ["nominal", *singles, "combined/L2"]
    assert PROTOCOL.trials == 200
    assert PROTOCOL.perturbed_trials == 100


def test_the_first_protocol_stays_what_its_sealed_results_were_made_with() -> None:
    assert PROTOCOL.hash.startswith("d47011a8cdaa924f")


@pytest.mark.parametrize("protocol", [p for p in PROTOCOLS if p != PROTOCOL.id])
def test_every_other_protocol_has_every_axis_that_applies(protocol: str) -> None:
    found = PROTOCOLS[protocol]
    axes = [axis for axis in VARIATIONS if unfit(axis, TASKS[found.task]) is None]
    singles = {f"{axis}/{level}" for axis in axes for level in LEVELS}
    controls = {f"control/{c}" for c in CONTROLS if unfit(c, TASKS[found.task]) is None}
    assert {c.name for c in found.conditions} == {"nominal", *singles, "combined/L2", *controls}


@pytest.mark.parametrize("condition", [c.name for c in PERTURBED])
def test_a_perturbed_start_is_the_nominal_one_with_a_factor(condition: str) -> None:
    for ic in range(3):
        nominal, perturbed = PROTOCOL.start("nominal", ic), PROTOCOL.start(condition, ic)
        wanted = {axis for axis, _ in PROTOCOL.condition(condition).axes}
        assert set(perturbed.factors) == wanted
        assert perturbed.seed == nominal.seed
        if "object_pose" not in wanted:
            assert {k: perturbed.objects[k] for k in nominal.objects} == nominal.objects
        if "home_pose" not in wanted:
            assert perturbed.qpos == nominal.qpos


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(PROTOCOL.conditions), st.integers(0, 199), st.sampled_from(["test", "dev"]))
def test_a_start_is_a_function_of_its_name_and_survives_json(
    condition: Condition, ic: int, split: str
) -> None:
    start = PROTOCOL.start(condition.name, ic, split)
    assert start == PROTOCOL.start(condition.name, ic, split)
    assert InitialCondition.from_json(json.loads(canonical(start.to_json()))) == start


def test_the_same_starts_in_another_process() -> None:
    code = (
        "from benchmarks.protocol import PROTOCOLS; from benchmarks.records import *\n"
        "import sys; p = PROTOCOLS['pick_place/v1']; start = p.start('combined/L2', 5)\n"
        "sys.stdout.write(p.hash + canonical(start.to_json()).decode())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = canonical(PROTOCOL.start("combined/L2", 5).to_json()).decode()
    assert done.stdout == PROTOCOL.hash + here


def test_no_two_trials_of_any_split_start_alike() -> None:
    starts = [PROTOCOL.start("nominal", ic, split) for split in ("test", DEV) for ic in range(100)]
    assert len({start.qpos for start in starts}) == 200
    assert (
        len({tuple(PROTOCOL.seeds(ic, s).values()) for s in ("test", DEV) for ic in range(100)})
        == 200
    )


def place(start: InitialCondition) -> tuple[tuple[float, ...], ...]:
    return tuple(start.objects[name] for name in ("cube", "target"))


def test_no_trial_starts_where_a_demonstration_did() -> None:
    seeds = [Collection("pick_place", seed=seed) for seed in (0, 1)]
    shown = {place(collection.start(i)) for collection in seeds for i in range(1000)}
    assert len(shown) == 2000
    tried = {
        place(PROTOCOL.start(condition.name, ic, split))
        for split in ("test", DEV)
        for condition in PROTOCOL.conditions
        for ic in range(PROTOCOL.size(condition))
    }
    assert not shown & tried
    # Different in every number, not by rounding: the nearest two cubes are not the same pose.
    cubes = [np.array([cube[:2] for cube, _ in places]) for places in (shown, tried)]
    assert np.linalg.norm(cubes[0][:, None] - cubes[1], axis=2).min() > 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=9), st.integers(0, 2**31)), unique=True, min_size=2))
def test_streams_of_different_names_or_numbers_differ(names: list[tuple[str, int]]) -> None:
    drawn = [np.random.default_rng(stream("p", "t", name, i)).random(4) for name, i in names]
    assert len({tuple(d) for d in drawn}) == len(names)


def test_a_protocol_is_its_definition() -> None:
    assert (
        PROTOCOL.hash
        == EvalProtocol(
            "pick_place/v1", "pick_place", conditions=standard_conditions(among=FIRST_AXES)
        ).hash
    )
    assert canonical(json.loads(canonical(PROTOCOL.definition())))
    for change in ({"trials": 300}, {"alpha": 0.1}, {"id": "pick_place/v2"}, {"n_max": 300}):
        assert replace(PROTOCOL, **change).hash != PROTOCOL.hash


def test_a_changed_magnitude_makes_another_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = replace(VARIATIONS["home_pose"], levels=({"norm": 0.06}, {"norm": 0.15}, {"norm": 1}))
    monkeypatch.setitem(VARIATIONS._items, "home_pose", changed)
    assert replace(PROTOCOL).hash != PROTOCOL.hash


def test_a_protocol_without_its_nominal_arm_is_refused() -> None:
    with pytest.raises(ValueError, match="first condition must be nominal"):
        EvalProtocol("x/v1", "pick_place", conditions=standard_conditions()[1:])
    with pytest.raises(ValueError, match="has its nominal pair"):
        replace(PROTOCOL, perturbed_trials=201)


def test_a_plan_leaves_out_what_does_not_reach_the_track() -> None:
    state, pixels = make_plan(PROTOCOL, "state"), make_plan(PROTOCOL, "pixels")
    assert {c for c, _ in pixels.cells} - {c for c, _ in state.cells} == {
        f"{axis}/{level}" for axis in ("camera_pose", "lighting", "texture") for level in LEVELS
    }
    assert dict(state.cells)["nominal"] == 200
    assert dict(state.cells)["object_pose/L2"] == 100
    with pytest.raises(UsageError, match="'lighting/L1' does not apply to the state track"):
        make_plan(PROTOCOL, "state", ["lighting/L1"])


def test_a_smaller_plan_is_a_prefix_with_its_nominal_arm() -> None:
    plan = make_plan(PROTOCOL, "state", ["friction_mass/L2", "object_pose/L2"], 50)
    assert plan.cells == (("nominal", 50), ("object_pose/L2", 50), ("friction_mass/L2", 50))
    assert set(plan.keys()) < set(make_plan(PROTOCOL, "state").keys())
    assert Plan.from_json(json.loads(canonical(plan.to_json()))) == plan
    assert plan.trials == 150
    assert dict(make_plan(PROTOCOL, "state", trials=150).cells)["object_pose/L2"] == 100


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(1, 90))
def test_waves_cover_a_plan_once_and_in_order(trials: int, batch: int) -> None:
    plan = make_plan(PROTOCOL, "state", ["object_pose/L2"], trials)
    waves = plan.waves(batch)
    covered = [(w.condition, ic) for w in waves for ic in range(w.first, w.first + w.count)]
    assert covered == list(plan.keys())
    assert max(w.count for w in waves) <= batch
    assert len({w.name for w in waves}) == len(waves)


def test_mistakes_in_a_plan_name_the_known_choices() -> None:
    with pytest.raises(UsageError, match=r"unknown condition 'wind/L2' .* known: nominal, obj"):
        make_plan(PROTOCOL, "state", ["wind/L2"])
    with pytest.raises(UsageError, match="unknown split 'train'; known: test, dev"):
        make_plan(PROTOCOL, "state", split="train")
    with pytest.raises(UsageError, match="unknown track 'touch'; known: state, pixels"):
        make_plan(PROTOCOL, "touch")
    for trials in (0, 201):
        with pytest.raises(UsageError, match=rf"trials must be 1\.\.200 .* got {trials}"):
            make_plan(PROTOCOL, "state", trials=trials)
    with pytest.raises(UsageError, match=r"unknown protocol 'pick/v9'; known: .*pick_place/v1"):
        PROTOCOLS["pick/v9"]


def test_a_run_of_an_edited_or_unknown_protocol_is_told_apart() -> None:
    stated = {"id": PROTOCOL.id, "hash": PROTOCOL.hash, "definition": PROTOCOL.definition()}
    assert state_of({"protocol": stated}) is None
    old = replace(PROTOCOL, trials=300)
    edited = {"id": old.id, "hash": old.hash, "definition": old.definition()}
    assert "was edited after this run" in str(state_of({"protocol": edited}))
    assert "is unknown" in str(state_of({"protocol": {**stated, "id": "x/v1"}}))
    assert "does not have the hash" in str(state_of({"protocol": {**stated, "hash": "00"}}))


def test_the_page_about_the_protocol_shows_what_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text("utf-8")
    later = axes_table(PROTOCOLS["pick_place/v2"], without=FIRST_AXES)
    for table in (facts_table(PROTOCOL), axes_table(PROTOCOL), later):
        assert table in page, "copy it from: python tests/benchmarks/protocol_table.py"


def test_a_wave_has_a_name_for_files() -> None:
    assert Wave("object_pose/L2", 50, 50).name == "object_pose-L2_050"
    assert module.NOMINAL == "nominal"
