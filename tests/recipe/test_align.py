"""``align:`` of a recipe: how it is written, and which spellings say the same."""

from __future__ import annotations

import pytest

from evomerge.errors import RecipeError
from evomerge.recipe import ModelReference, Recipe
from evomerge.recipe.steps import renamed

ALL = "[keys, heads, residual, values, neurons]"


def recipe(align: str, *, base: str = "base_model: a\n", other: str = "b") -> Recipe:
    listed = f"[{{model: a}}, {{model: {other}, align: {align}}}, {{model: c}}]"
    return Recipe.parse(f"merge_method: linear\n{base}models: {listed}\n")


@pytest.mark.parametrize(
    "spelling",
    [
        "{method: weight_matching}",
        "{method: weight_matching, to: a}",
        "{method: weight_matching, to: {model: {path: a}}}",
        f"{{method: weight_matching, groups: {ALL}}}",
        "{seed: 0, method: weight_matching, groups: null}",
    ],
)
def test_equal_settings_have_one_digest(spelling):
    found = recipe(spelling)
    assert found.digest() == recipe("weight_matching").digest()
    assert found.tree()["models"][1] == {"model": "b", "align": {"method": "weight_matching"}}
    assert Recipe.parse(found.write()).tree() == found.tree()


@pytest.mark.parametrize("spelling", ["none", "false", "", "null"])
def test_no_alignment_is_no_key(spelling):
    assert (
        recipe(spelling).digest()
        == Recipe.parse(
            "merge_method: linear\nbase_model: a\nmodels: [{model: a}, {model: b}, {model: c}]"
        ).digest()
    )
    assert recipe(spelling).aligned() == {}


@pytest.mark.parametrize(
    "align",
    [
        "{method: weight_matching, to: c}",
        "{method: weight_matching, groups: heads}",
        "{method: weight_matching, seed: 1}",
        "{method: sinkhorn}",
        "{method: weight_matching, steps: 3}",
    ],
)
def test_other_settings_have_another_digest(align):
    found = recipe(align)
    assert found.digest() != recipe("weight_matching").digest()
    assert Recipe.parse(found.write()).digest() == found.digest()


def test_groups_and_options_are_in_one_order():
    one = recipe("{method: sinkhorn, groups: [heads, neurons, heads], b: 1.0, a: [1, x]}")
    other = recipe("{a: [1, x], b: 1, groups: [neurons, heads], method: sinkhorn}")
    assert one.digest() == other.digest()
    (way,) = one.aligned().values()
    assert way.how.groups == ("neurons", "heads")
    assert way.how.options == {"a": (1, "x"), "b": 1}


def test_the_anchor_is_the_base_or_the_first_model():
    (way,) = recipe("weight_matching", base="base_model: c\n").aligned().values()
    assert (way.where, way.anchor) == ("recipe.models.1.align", ModelReference("c"))
    (way,) = recipe("weight_matching", base="").aligned().values()
    assert way.anchor == ModelReference("a")


def test_an_anchor_that_is_not_merged_is_read_all_the_same():
    found = recipe("{method: weight_matching, to: d}")
    assert [each.path for each in found.references()] == ["a", "b", "c"]
    assert [each.path for each in found.model_references()] == ["a", "b", "c", "d"]


def test_an_anchor_may_be_renamed():
    found = renamed(recipe("{method: weight_matching, to: d}"), {"d": "e", "b": "f"})
    ((model, way),) = found.aligned().items()
    assert (model.path, way.anchor.path) == ("f", "e")


SLICES = """
merge_method: linear
base_model: a
slices:
  - sources: [{{model: a, layer_range: [0, 1]}}, {{model: b, layer_range: [0, 1]{first}}}]
  - sources: [{{model: b, layer_range: [1, 2]{second}}}]
"""


def test_a_model_of_several_slices_is_aligned_in_one_way():
    once = SLICES.format(first=", align: x", second=", align: {method: x, to: a}")
    ((model, way),) = Recipe.parse(once).aligned().items()
    assert (model.path, way.where) == ("b", "recipe.slices.0.sources.1.align")
    with pytest.raises(RecipeError, match="found two different ways for b; a model is moved as"):
        Recipe.parse(SLICES.format(first=", align: x", second=""))


@pytest.mark.parametrize(
    ("align", "message"),
    [
        ("{method: x, groups: [neuron]}", "models.1.align.groups: unknown group 'neuron'; did you"),
        ("{method: x, groups: []}", r"models.1.align.groups: found \[\]; expected some of"),
        ("{method: x, seed: y}", "models.1.align.seed: found 'y'; expected a whole number"),
        ("{to: c}", "models.1.align.method: missing; a value is needed here"),
        ("{method: none}", "models.1.align: method: found none; write 'align: none'"),
        ("[x]", r"models.1.align: found \['x'\]; expected the name of an aligner, none, or a"),
        ("{method: x, to: b}", "align: b would be aligned to itself; name another model"),
    ],
)
def test_what_is_refused(align, message):
    with pytest.raises(RecipeError, match=message):
        recipe(align)


def test_an_anchor_stays():
    text = """
merge_method: linear
models: [{model: a}, {model: b, align: x}, {model: c, align: {method: x, to: b}}]
"""
    with pytest.raises(RecipeError, match="c would be aligned to b, which is aligned itself"):
        Recipe.parse(text)
