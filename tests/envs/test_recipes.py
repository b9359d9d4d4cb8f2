import numpy as np
import pytest

from envs.collection import Collection
from envs.demonstrate import Demonstrator
from envs.errors import UsageError
from envs.recipes import RECIPES, randomisation
from envs.tasks import TASKS
from envs.variation import LEVELS, VARIATIONS, unfit


def test_recipes_name_variations_that_exist():
    for axes in RECIPES.values():
        for name, level in axes:
            assert VARIATIONS[name].level(level)
    assert set(RECIPES) == {"none", "visual", "physical", "full"}
    assert set(RECIPES["full"]) == {*RECIPES["visual"], *RECIPES["physical"]}


def test_a_start_drawn_by_a_recipe_holds_each_of_its_factors_within_the_bound():
    collection = Collection("pick_place", variations=randomisation(["full"], "pick_place"))
    starts = [collection.start(i) for i in range(30)]
    for start in starts:
        assert set(start.factors) == {name for name, _ in RECIPES["full"]}
        bound = VARIATIONS["friction_mass"].level("L2")["friction"]
        assert 1 / bound <= start.factors["friction_mass"]["friction"] <= bound
    assert len({start.factors["lighting"]["intensity"] for start in starts}) == 30


def test_words_add_up():
    assert randomisation(["none"], "pick_place") == ()
    assert randomisation(["visual", "object_pose/L2"], "pick_place") == (
        *RECIPES["visual"],
        ("object_pose", "L2"),
    )
    everything = dict(randomisation(["all"], "pick_place"))
    assert set(everything.values()) == {LEVELS[0]}
    assert set(everything) == {v for v in VARIATIONS if unfit(v, TASKS["pick_place"]) is None}


def test_what_does_not_apply_to_a_task_is_left_out_of_a_recipe_and_refused_by_name(monkeypatch):
    why = {"distractors": "there is no room for them"}
    monkeypatch.setattr(type(TASKS["pick_place"]), "inapplicable", why)
    assert "distractors" not in dict(randomisation(["full"], "pick_place"))
    with pytest.raises(UsageError, match=r"'distractors' does not apply to .*no room"):
        randomisation(["distractors/L1"], "pick_place")


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["storm"], r"unknown randomisation 'storm'; known: none, visual, physical, full, all, or"),
        (["fog/L1"], r"unknown variation 'fog'; known: .*lighting"),
        (["lighting/L7"], r"unknown level 'L7'; known: L1, L2, L3"),
        (["full", "lighting/L3"], r"lighting must have one level, got L2 and L3"),
    ],
)
def test_a_word_that_cannot_be_is_told_with_the_known_ones(words, match):
    with pytest.raises(UsageError, match=match):
        randomisation(words, "pick_place")


def test_the_expert_succeeds_under_full_randomisation():
    axes = randomisation(["full"], "pick_place")
    demonstrator = Demonstrator(Collection("pick_place", variations=axes))
    assert np.mean([bool(demonstrator.episode(i).meta.success) for i in range(10)]) == 1.0
