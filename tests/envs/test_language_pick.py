"""What is asked in a sentence: nothing but the sentence tells, and other words mean the same."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from benchmarks.failures import FAILURES
from benchmarks.protocol import PROTOCOLS
from envs.env import make
from envs.errors import UsageError
from envs.expert import OPERATORS
from envs.instructions import (
    COLOURS,
    REQUESTS,
    SHAPES,
    SIDES,
    WORDINGS,
    Request,
    encode,
    say,
    understand,
)
from envs.readings import Readings
from envs.tasks import TASKS
from envs.variation import VARIATIONS, perturb, unfit

TASK = TASKS["language_pick"]


@pytest.fixture(scope="module")
def env():
    return make("language_pick")


def start_of(env, seed):
    return TASK.sample(np.random.default_rng(seed), env.arm.spec)


def demonstrate(env, start):
    """Let the expert do what it is told; return the last info and the trial's readings."""
    env.reset(options={"start": start})
    expert = TASK.expert(env.arm.sim.world, OPERATORS["clean"])
    expert.reset(start, np.random.default_rng(0))
    rows = [env.arm.sim.sensors[0].copy()]
    for _ in range(TASK.horizon):
        *_, terminated, truncated, info = env.step(expert.act(env.arm.readings))
        rows.append(env.arm.sim.sensors[0].copy())
        if terminated or truncated:
            break
    return info, Readings(env.arm.sim.world.sensors, list(np.array(rows).T[..., None]))


def ask(start, shape, side):
    colour = start.factors["scene"]["colours"][shape]
    return TASK.ask(start, say(Request(colour, shape, side), np.random.default_rng(0)))


def test_there_are_enough_requests_and_ways_to_say_them():
    assert len(REQUESTS) == len(COLOURS) * len(SHAPES) * len(SIDES) >= 24
    every = [sentence for sentences in WORDINGS for sentence in sentences]
    assert len(set(every)) == len(every) >= 12


def test_the_words_of_every_level_are_held_out_from_demonstrations(env):
    words = [{"colour": r.colour, "shape": r.shape, "side": r.side} for r in REQUESTS]
    demonstrated = {sentence.format(**known) for sentence in WORDINGS[0] for known in words}
    assert TASK.instruct(start_of(env, 0)) in demonstrated
    for seed, level in product(range(30), ("L1", "L2", "L3")):
        start, rng = start_of(env, seed), np.random.default_rng(seed)
        other = perturb(start, TASK, [("language", level)], rng)
        told = TASK.instruct(other)
        assert told not in demonstrated
        assert understand(told) == TASK.request(start) == understand(TASK.instruct(start))
        assert encode(told) == encode(TASK.instruct(start))


@pytest.mark.parametrize("wording", range(len(WORDINGS)))
def test_every_sentence_is_understood(wording):
    for request in REQUESTS:
        for seed in range(3):
            sentence = say(request, np.random.default_rng(seed), wording, _other(request))
            assert understand(sentence) == request
            assert understand(f"  {sentence.upper()}. ") == request


def _other(request):
    colour = next(c for c in COLOURS if c != request.colour)
    return f"{colour} {next(s for s in SHAPES if s != request.shape)}"


def test_the_code_of_a_sentence_names_object_and_tray():
    assert encode("") == (0, 0, 0, 0, 0)
    assert encode("put the red cylinder in the left tray") == (0, 1, 0, 1, 0)
    codes = {encode(say(request, np.random.default_rng(0))) for request in REQUESTS}
    assert len(codes) == 6


def test_nothing_but_the_instruction_tells_what_to_do(env):
    start = start_of(env, 0)
    seen = []
    for shape, side in product(SHAPES, SIDES):
        observation, info = env.reset(options={"start": ask(start, shape, side)})
        assert understand(info["instruction"]).shape == shape
        assert observation.pop("instruction").sum() == 2
        seen.append(b"".join(observation[key].tobytes() for key in sorted(observation)))
    assert len(set(seen)) == 1


def test_what_is_asked_is_independent_of_where_things_are(env):
    starts = [start_of(env, seed) for seed in range(600)]
    asked = [TASK.request(s) for s in starts]
    nearest = [min(SHAPES, key=lambda k: np.hypot(*s.objects[k][:2])) for s in starts]
    leftmost = [max(SHAPES, key=lambda k: s.objects[k][1]) for s in starts]
    colours = [s.factors["scene"]["colours"]["cube"] for s in starts]
    for features in (nearest, leftmost, colours):
        for answers in ([r.shape for r in asked], [r.side for r in asked]):
            pairs = list(zip(features, answers, strict=True))
            rows, columns = sorted(set(features)), sorted(set(answers))
            table = [[pairs.count((a, b)) for b in columns] for a in rows]
            assert chi2_contingency(table).pvalue > 0.001


def test_who_is_told_something_else_does_something_else(env):
    labels = set()
    for seed in range(4):
        start = perturb(
            start_of(env, seed), TASK, [("wrong_instruction", "L1")], np.random.default_rng(seed)
        )
        info, readings = demonstrate(env, start)
        assert not info["is_success"]
        seen = {name for name, flags in TASK.failures(readings).items() if flags.any()}
        judged, told = TASK.request(start), understand(TASK.instruct(start))
        assert seen == {"wrong_object" if judged.shape != told.shape else "wrong_zone"}
        labels |= seen
    assert labels <= set(FAILURES)


def test_the_right_object_in_the_wrong_tray_is_named(env):
    start = ask(start_of(env, 1), "cross", "left")
    told = {"instruction": ask(start, "cross", "right").factors["scene"]["instruction"]}
    wrong = replace(start, factors={**start.factors, "wrong_instruction": told})
    info, readings = demonstrate(env, wrong)
    assert not info["is_success"]
    flags = TASK.failures(readings)
    assert flags["wrong_zone"].any()
    assert not flags["wrong_object"].any()


def test_who_is_told_nothing_waits(env):
    start = perturb(start_of(env, 0), TASK, [("empty_instruction", "L1")], np.random.default_rng(0))
    info, _ = demonstrate(env, start)
    assert (info["stage"], info["instruction"]) == (0, "")


def test_the_protocol_has_the_controls_apart_from_the_axes():
    protocol = PROTOCOLS["language_pick/v1"]
    names = [c.name for c in protocol.conditions]
    assert names[-2:] == ["control/empty_instruction", "control/wrong_instruction"]
    assert {"language/L1", "language/L2", "language/L3"} <= set(names)
    together = protocol.condition("combined/L2").axes
    assert not {name for name, _ in together} - set(VARIATIONS)
    for ic in range(20):
        start = protocol.start("control/wrong_instruction", ic)
        nominal = protocol.start("nominal", ic)
        assert start.objects == nominal.objects
        assert encode(TASK.instruct(start)) != encode(TASK.instruct(nominal))


def test_words_mean_nothing_where_every_episode_asks_the_same():
    assert unfit("language", TASKS["pick_place"]) == "every episode asks for the same"
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="'language' does not apply to pick_place"):
        perturb(None, TASKS["pick_place"], [("language", "L1")], rng)


def test_an_episode_can_be_asked_for_in_words(env):
    start = start_of(env, 0)
    colour = start.factors["scene"]["colours"]["cross"]
    sentence = f"lay the {colour} plus on the right tray"
    _, info = env.reset(options={"start": start, "instruction": sentence})
    assert info["instruction"] == sentence
    assert TASK.request(env.start) == Request(colour, "cross", "right")


@pytest.mark.parametrize(
    ("instruction", "message"),
    [
        ("make me a coffee", "unknown instruction.*colours: red.*shapes: cube.*sides: left"),
        ("put the {absent} cube in the left tray", "on the table, got.*there: .* cube, "),
        ("", "must ask for something on the table"),
    ],
)
def test_an_instruction_that_cannot_be_followed_is_refused(env, instruction, message):
    start = start_of(env, 0)
    absent = next(c for c in COLOURS if c not in start.factors["scene"]["colours"].values())
    told = instruction.format(absent=absent)
    with pytest.raises(UsageError, match=message):
        env.reset(options={"start": start, "instruction": told})


def test_a_task_with_one_instruction_refuses_another():
    with pytest.raises(UsageError, match="unknown instruction 'dance' of pick_place"):
        make("pick_place").reset(seed=0, options={"instruction": "dance"})
    _, info = make("pick_place").reset(
        seed=0, options={"instruction": TASKS["pick_place"].instruction}
    )
    assert info["instruction"] == TASKS["pick_place"].instruction


@pytest.mark.parametrize("request_", [("pink", "cube", "left"), ("red", "cube", "upper")])
def test_an_unknown_word_is_refused_with_the_known_ones(request_):
    with pytest.raises(UsageError, match=r"unknown (colour|side) .*known: (red|left)"):
        Request(*request_)
