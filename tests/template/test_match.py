"""Which recipes a template recognises, and which dimensions a recipe depends on, by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.recipe import Recipe
from evomerge.recipe.entry import plain
from tests.template.strategies import templates_and_points
from tests.template.templates import read, two

TEXT = """
merge_method: {choose: [ties, task_arithmetic, model_stock]}
base_model: base
models:
  - {model: base, parameters: {weight: {search: [0, 1]}}}
  - {model: words, parameters: {weight: {search: [0, 1]}, density: {search: [0.1, 1]}}}
  - {model: sums, parameters: {weight: 0.5, density: {choose: [1, {search: [0.2, 0.8]}]}}}
parameters: {lambda: {search: [0, 2]}, filter_wise: {choose: [true, false]}}
dtype: float32
"""
WEIGHT, DENSITY = "models[words].parameters.weight", "models[words].parameters.density"
OF_BASE, OF_SUMS = "models[base].parameters.weight", "models[sums].parameters.density"
INNER, FILTER_WISE = f"{OF_SUMS}[0.2 to 0.8]", "parameters.filter_wise"


@pytest.mark.parametrize(
    ("method", "density", "inert"),
    [
        ("ties", "0.2 to 0.8", {OF_BASE, FILTER_WISE}),
        ("ties", "1", {OF_BASE, FILTER_WISE, INNER}),
        # Task arithmetic accepts densities, without an effect.
        ("task_arithmetic", "1", {OF_BASE, FILTER_WISE, DENSITY, OF_SUMS, INNER}),
        ("model_stock", "1", {OF_BASE, WEIGHT, DENSITY, OF_SUMS, INNER, "parameters.lambda"}),
    ],
)
def test_dimensions_that_a_recipe_does_not_depend_on(method, density, inert):
    template = read(TEXT)
    values = {"merge_method": method, OF_SUMS: density, WEIGHT: 0.25, DENSITY: 0.7, INNER: 0.3}
    point = {**template.at(values), OF_BASE: 0.9, "parameters.lambda": 0.4, FILTER_WISE: "true"}
    assert template.inert(point) == inert
    middle = template.space.middle()
    assert template.settle(point) == {
        name: middle[name] if name in inert else value for name, value in point.items()
    }


def test_what_the_method_does_not_read_is_left_out():
    template = read(TEXT)
    recipe = template.fill(template.at({"merge_method": "model_stock", FILTER_WISE: "true"}))
    assert plain(recipe) == {
        "models": [{"model": "zoo/base"}, {"model": "zoo/words"}, {"model": "zoo/sums"}],
        "merge_method": "model_stock",
        "base_model": "zoo/base",
        "parameters": {"filter_wise": True},
        "dtype": "float32",
    }


def test_a_base_that_is_one_of_the_models_keeps_its_weight():
    template = read("""
        merge_method: {choose: [linear, ties]}
        base_model: base
        models:
          - {model: base, parameters: {weight: {search: [0, 1]}}}
          - {model: words, parameters: {weight: 1}}
    """)
    assert template.inert(template.at({"merge_method": "linear"})) == set()
    assert template.inert(template.at({"merge_method": "ties"})) == {OF_BASE}


def test_a_slice_may_have_a_base_of_its_own():
    template = read("""
        merge_method: ties
        base_model: base
        slices:
          - base_model: {choose: [sums, words]}
            sources:
              - {model: sums, layer_range: [0, 1], parameters: {weight: {search: [0, 1]}}}
              - {model: words, layer_range: [0, 1], parameters: {weight: {search: [0, 1]}}}
              - {model: base, layer_range: [0, 1], parameters: {weight: {search: [0, 1]}}}
    """)
    for alias in ("sums", "words"):
        inert = template.inert(template.at({"slices[0].base_model": alias}))
        assert inert == {f"slices[0].sources[{alias}].parameters.weight"}


def recipe_of(weight: object, **changes: object) -> Recipe:
    """A recipe that ``two`` with holes for weight and density makes."""
    tree = {
        "merge_method": "ties",
        "base_model": "zoo/base",
        "models": [
            {"model": "zoo/sums", "parameters": {"weight": 1}},
            {"model": "zoo/words", "parameters": {"weight": weight, "density": 0.5}},
        ],
    }
    return Recipe.from_tree({**tree, **changes})


HOLES = "{weight: {search: [0, 1]}, density: {search: [0.1, 1]}}"


@pytest.mark.parametrize("weight", [0.25, "0.25", 0, 1, 0.333333])
def test_a_recipe_that_the_template_expresses_is_recognised(weight):
    found = two(HOLES).match(recipe_of(weight))
    assert found == {WEIGHT: float(weight), DENSITY: 0.5}


@pytest.mark.parametrize(
    "other",
    [
        recipe_of(1.5),
        recipe_of(1 / 3),
        recipe_of(True),
        recipe_of("half"),
        recipe_of([0.25]),
        recipe_of([{"value": 0.25}]),
        recipe_of(0.25, dtype="float32"),
        recipe_of(0.25, merge_method="dare_ties"),
        recipe_of(0.25, merge_method="a method of others"),
        recipe_of(0.25, base_model="zoo/sums"),
        recipe_of(0.25, base_model=None),
        recipe_of(0.25, parameters={"lambda": 1}),
        recipe_of(0.25, seed=1),
        recipe_of(0.25, models=[{"model": "zoo/words"}]),
        recipe_of(0.25, models=[], slices=[{"sources": [{"model": "a", "layer_range": [0, 1]}]}]),
    ],
)
def test_nothing_else_is_and_nothing_is_bent_to_fit(other):
    assert two(HOLES).match(recipe_of(0.25)) is not None
    assert two(HOLES).match(other) is None


def test_a_shared_hole_must_be_the_same_everywhere():
    template = read("""
        merge_method: linear
        models:
          - {model: sums, parameters: {weight: {search: [0, 1], name: both}}}
          - {model: words, parameters: {weight: {search: [0, 1], name: both}}}
    """)

    def match(one, other):
        entries = zip(("zoo/sums", "zoo/words"), (one, other), strict=True)
        models = [{"model": model, "parameters": {"weight": w}} for model, w in entries]
        return template.match(Recipe.from_tree({"merge_method": "linear", "models": models}))

    assert match(0.25, 0.25) == {"both": 0.25}
    assert match(0.25, 0.5) is None


def test_a_shared_choice_is_found_where_its_first_place_leaves_it_open():
    template = read("""
        merge_method: linear
        models:
          - {model: sums, parameters: {weight: {choose: [0, {search: [0, 1]}, [0]], name: it}}}
          - {model: words, parameters: {weight: {choose: [0, {search: [0, 1]}, [0]], name: it}}}
    """)
    for label in ("0", "0 to 1", "[0]"):
        point = template.at({"it": label, "models[sums].parameters.weight[0 to 1]": 0.0})
        assert template.match(template.fill(point)) == template.settle(point)


def test_of_two_points_of_one_recipe_one_stands_for_both():
    template = two("{weight: {choose: [0.5, {search: [0, 1]}]}}")
    plain_half = {WEIGHT: "0.5", f"{WEIGHT}[0 to 1]": 0.9}
    found_half = {WEIGHT: "0 to 1", f"{WEIGHT}[0 to 1]": 0.5}
    assert template.fill(plain_half) == template.fill(found_half)
    assert template.settle(plain_half) == template.settle(found_half) == found_half


def test_many_choices_that_could_be_either_are_told_apart_at_once():
    options = "{choose: [0, {search: [0, 1]}]}"
    template = two(f"{{weight: [{', '.join([options] * 200)}]}}")
    anchors = [0] * 199
    assert template.match(two(f"{{weight: {[*anchors, 0.5]}}}").fill({})) is not None
    assert template.match(two(f"{{weight: {[*anchors, 2]}}}").fill({})) is None


def test_spellings_of_a_constant_are_the_same():
    template = read("""
        merge_method: linear
        models: [{model: words, parameters: {weight: "1e-1", normalize: {value: true}}}]
        parameters: {}
        dtype: torch.float32
        out_dtype: ~
        seed: 0
        slices: []
        tokenizer: {source: union, tokens: {}}
    """)
    assert template.match(template.fill({})) == {}


@settings(max_examples=40)
@given(templates_and_points())
def test_a_dimension_counts_only_where_some_place_of_it_is_read(both):
    template, point = both
    settled, uses = template.settle(point), template.uses()
    for name in set(settled) - template.inert(point):
        assert any(
            all(settled[choice] == label for choice, label in path.items()) for path in uses[name]
        )


@settings(max_examples=40)
@given(templates_and_points(), st.integers(0, 9))
def test_another_seed_is_not_recognised(both, seed):
    template, point = both
    recipe = template.fill(point)
    other = recipe.model_copy(update={"seed": seed})
    known = template.match(other)
    assert known is None or template.fill(known).digest() == other.digest()
