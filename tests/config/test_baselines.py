"""What every search is compared with is made of its own models, in its own type."""

from __future__ import annotations

import pytest

from evomerge.config.baselines import DARE_DENSITY, TIES_DENSITY, baselines, expressed, kin_of
from evomerge.config.preparing import prepare
from evomerge.recipe import ModelReference, Recipe
from evomerge.searching import Start
from tests.config.conftest import HOLE, WEIGHTS

FAMILY = {alias: ModelReference(f"/models/{alias}") for alias in ("base", "words", "sums")}
FILLED = Recipe.from_tree(
    {"merge_method": "linear", "models": [{"model": "x"}], "dtype": "float16", "seed": 3}
)


def starts(tree, references=FAMILY, filled=FILLED):
    return {start.label: start.recipe for start in baselines(kin_of(tree, references), filled)}


def test_the_base_is_what_the_recipe_calls_so_at_any_depth():
    for tree in (
        {"base_model": "base"},
        {"choose": [{"merge_method": "linear"}, {"merge_method": "ties", "base_model": "base"}]},
        {"slices": [{"base_model": "base"}, {"base_model": "base"}]},
    ):
        kin = kin_of(tree, FAMILY)
        assert (kin.base, kin.parents) == ("base", ("words", "sums"))


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"base_model": "elsewhere"},
        {"base_model": {"choose": ["base", "words"]}},
        {"choose": [{"base_model": "base"}, {"base_model": "words"}]},
    ],
)
def test_without_one_base_all_models_are_parents(tree):
    assert kin_of(tree, FAMILY).base is None
    assert list(starts(tree)) == ["parent base", "parent words", "parent sums", "uniform soup"]


def test_with_a_base_there_are_six():
    found = starts({"base_model": "base"})
    assert list(found) == [
        *("base", "parent words", "parent sums"),
        *("uniform soup", "default TIES", "default DARE-TIES"),
    ]
    assert found["parent words"].references() == (FAMILY["words"],)
    assert found["uniform soup"].references() == (FAMILY["words"], FAMILY["sums"])
    ties, dare = found["default TIES"].tree(), found["default DARE-TIES"].tree()
    assert ties["base_model"] == dare["base_model"] == "/models/base"
    assert [m["parameters"] for m in ties["models"]] == [{"weight": 1, "density": TIES_DENSITY}] * 2
    assert [m["parameters"] for m in dare["models"]] == [
        {"weight": 0.5, "density": DARE_DENSITY}
    ] * 2


def test_one_parent_alone_is_not_merged_with_itself():
    both = {alias: FAMILY[alias] for alias in ("base", "words")}
    assert list(starts({"base_model": "base"}, both)) == ["base", "parent words"]


def test_all_are_written_in_the_type_of_the_recipe_and_with_its_seed():
    for recipe in starts({"base_model": "base"}).values():
        tree = recipe.tree()
        assert (tree["dtype"], tree["seed"]) == ("float16", 3)
        assert tree.get("tokenizer_source") is None


def test_what_the_template_can_express_has_a_point(located):
    template = prepare(located()).template
    for weights in ((0.0, 0.0), (0.5, 0.5), (1.0, 0.0)):
        point = dict(zip(WEIGHTS, weights, strict=True))
        assert expressed(template, Start("x", template.fill(point))).point == point
    assert expressed(template, Start("x", FILLED)).point is None


def test_corners_are_told_and_none_is_scored_twice(located):
    prepared = prepare(located())
    labels = [start.label for start in prepared.starts]
    assert labels[:3] == ["base", "parent words", "parent sums"]
    assert labels[6:] == ["corner base", "corner only words", "corner only sums", "corner uniform"]
    digests = [start.recipe.digest() for start in prepared.starts]
    assert len(set(digests)) == len(digests)
    assert all(start.point is not None for start in prepared.starts[6:])
    only = dict(zip(WEIGHTS, (1.0, 0.0), strict=True))
    assert prepared.starts[labels.index("corner only words")].point == only


def test_a_corner_that_is_asked_for_is_not_added_again(located):
    only = dict(zip(WEIGHTS, (1.0, 0.0), strict=True))
    labels = [start.label for start in prepare(located(warm_start=[only])).starts]
    assert "point 1" in labels
    assert "corner only words" not in labels


def test_baselines_can_be_left_out(located):
    assert prepare(located(baselines="none")).starts == ()


def test_the_dtype_of_the_config_is_that_of_recipes_that_name_none(located):
    models = [{"model": alias, "parameters": {"weight": HOLE}} for alias in ("words", "sums")]
    recipe = {"merge_method": "linear", "models": models}
    for start in prepare(located(recipe=recipe, dtype="bfloat16")).starts:
        assert start.recipe.tree()["dtype"] == "bfloat16"
    named = prepare(located(recipe={**recipe, "dtype": "float16"}, dtype="bfloat16"))
    assert named.starts[0].recipe.tree()["dtype"] == "float16"
