"""Templates of adapters keep every promise that templates of models keep."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.adapters.base import RANKS, adapter_methods
from evomerge.errors import RecipeError
from evomerge.evidence.neutral import defaults_of
from evomerge.recipe import ModelReference
from evomerge.recipe.adapters import AdapterRecipe, recipe_in
from evomerge.recipe.entry import plain
from evomerge.recipe.reading import load_yaml
from evomerge.template import Template
from evomerge.template.description import describe
from evomerge.template.kinds import merges_adapters
from tests.template.strategies import points, searches
from tests.template.strategies import settings as values

SKILLS = ("sums", "words", "prose")
MODELS = {"base": ModelReference("zoo/base")} | {
    skill: ModelReference(
        "zoo/base", None, f"zoo/adapters/{skill}", "v1" if skill == "prose" else None
    )
    for skill in SKILLS
}
# Values that each parameter that is no number may have.
WORDS = {
    "manifold": ("balanced", "chordal", "invariant"),
    "consensus": ("ties", "dare", "linear"),
    "rank": (*RANKS, 3),
}
CHOICE = """
merge_method: {choose: [frechet, knots, svd, linear]}
base_model: base
adapters:
  - {adapter: sums, parameters: {weight: {search: [0, 1], by: [mlp]}}}
  - {adapter: words, parameters: {weight: {search: [0, 1]}}}
parameters:
  scale: {search: [0, 3]}
  manifold: {choose: [balanced, chordal]}
  rank: {choose: [r, 2r]}
  density: {search: [0.1, 1]}
"""
fewer = settings(max_examples=30)


def read(tree) -> Template:
    return Template.read(tree, MODELS, adapter_methods)


def parsed(text: str) -> Template:
    return read(load_yaml(text, "recipe"))


@st.composite
def bodies(draw):
    methods = draw(st.lists(st.sampled_from(sorted(adapter_methods)), min_size=1, unique=True))
    names = sorted({name for method in methods for name in adapter_methods[method].params})
    chosen = draw(st.lists(st.sampled_from(names), max_size=4, unique=True))
    shared = {name: draw(_setting(name)) for name in chosen}
    skills = draw(st.lists(st.sampled_from(SKILLS), min_size=1, unique=True))
    listed = [
        {"adapter": skill, "parameters": {"weight": draw(values)}}
        if draw(st.booleans())
        else {"adapter": skill}
        for skill in skills
    ]
    if len(listed) > 2 and draw(st.booleans()):
        listed[:2] = [{"adapter": {"choose": skills[:2]}}]
    body = {"merge_method": {"choose": methods} if len(methods) > 1 else methods[0]}
    body |= {"base_model": "base", "adapters": listed, "parameters": shared}
    optional = {"output": ["adapter", "model"], "dtype": ["float32", "bfloat16"], "seed": [0, 3]}
    return body | {key: draw(st.sampled_from(each)) for key, each in optional.items()}


def _setting(name: str):
    if name in WORDS:
        some = st.lists(st.sampled_from(WORDS[name]), min_size=2, unique=True)
        return st.sampled_from(WORDS[name]) | some.map(lambda found: {"choose": found})
    return values | searches


trees = bodies() | st.lists(bodies(), min_size=2, max_size=3).map(lambda each: {"choose": each})


@st.composite
def templates_and_points(draw):
    template = read(draw(trees))
    return template, draw(points(template))


@fewer
@given(templates_and_points())
def test_every_point_fills_to_a_recipe_of_adapters(both):
    template, point = both
    recipe = template.fill(point)
    assert isinstance(recipe, AdapterRecipe)
    assert recipe_in(load_yaml(recipe.write(), "recipe")).digest() == recipe.digest()
    assert recipe.model_references() == (MODELS["base"],)
    declared = adapter_methods[recipe.merge_method].params
    assert recipe.parameters.keys() <= declared.keys()


@fewer
@given(templates_and_points())
def test_a_recipe_is_recognised_as_its_settled_point(both):
    template, point = both
    settled = template.settle(point)
    assert template.match(template.fill(point)) == settled
    assert template.fill(settled).digest() == template.fill(point).digest()


@fewer
@given(templates_and_points())
def test_points_come_back_from_the_unit_cube(both):
    template, point = both
    space = template.space
    assert space.decode(space.encode(point)) == point


@fewer
@given(templates_and_points(), st.data())
def test_points_of_different_recipes_settle_differently(both, data):
    template, point = both
    other = data.draw(points(template))
    same = template.fill(point).digest() == template.fill(other).digest()
    assert (template.settle(point) == template.settle(other)) == same


def test_a_parameter_is_read_by_the_methods_that_have_it():
    rows = {row.name: row.read for row in describe(parsed(CHOICE)).dimensions}
    assert rows["adapters[sums].parameters.weight[mlp]"] == "always"
    assert rows["parameters.manifold"] == "merge_method: frechet"
    assert rows["parameters.density"] == "merge_method: knots"
    assert rows["parameters.rank"] == "merge_method: frechet, knots, svd"


def test_a_filled_recipe_names_the_adapter_and_not_the_alias():
    template = parsed(CHOICE)
    point = template.at({"merge_method": "linear", "parameters.scale": 1.5})
    assert plain(template.fill(point)) == {
        "merge_method": "linear",
        "base_model": "zoo/base",
        "adapters": [
            {
                "adapter": "zoo/adapters/sums",
                "parameters": {"weight": [{"filter": "mlp", "value": 0.5}, {"value": 0.5}]},
            },
            {"adapter": "zoo/adapters/words", "parameters": {"weight": 0.5}},
        ],
        "parameters": {"scale": 1.5},
    }


def test_an_adapter_may_be_named_by_its_path():
    template = parsed(CHOICE.replace("adapter: words", "adapter: zoo/adapters/words"))
    assert "adapters[words].parameters.weight" in template.space.names


def test_the_base_each_adapter_alone_and_the_mean_of_each_method():
    template = parsed(CHOICE)
    found = {label: template.fill(point) for label, point in template.corners()}
    means = [f"uniform {method}" for method in ("svd", "frechet", "knots", "linear")]
    assert list(found) == ["base", "only sums", "only words", *means]
    assert found["base"].parameters["scale"] == 0
    alone = found["only words"].tree()
    assert alone["parameters"]["scale"] == 1
    assert [each["parameters"]["weight"] for each in alone["adapters"]] == [
        [{"filter": "mlp", "value": 0}, {"value": 0}],
        1,
    ]
    assert found["uniform knots"].parameters == {"scale": 1, "rank": "2r", "density": 1}


def test_what_a_recipe_need_not_say_is_neutral():
    found = defaults_of({"merge_method": "knots"}, adapter_methods)
    assert (found["scale"], found["density"], found["weight"]) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("adapter: words", "adapter: base", "adapters.1.adapter: 'base' is a model without"),
        ("adapter: words", "adapter: word", "unknown adapter 'word'; did you mean 'words'?"),
        ("svd, linear]", "svd, ties]", "choose.3: unknown merge method 'ties'"),
        ("density:", "densty:", "unknown parameter of frechet, knots, svd, linear 'densty'"),
        ("base_model: base", "base_model: words", "adapters are merged on a model alone"),
        ("base_model: base", "output: {choose: [adapter, model]}", "no hole may stand here"),
        ("adapter: words", "model: words", "adapters.1: found model; an adapter stands under"),
    ],
)
def test_what_is_no_template_is_refused(old, new, message):
    with pytest.raises(RecipeError, match=re.escape(message)):
        parsed(CHOICE.replace(old, new))


def test_a_choice_among_recipes_is_of_one_kind():
    of_adapters = {"adapters": [{"adapter": "sums"}]}
    assert merges_adapters({"choose": [of_adapters, {"choose": [of_adapters] * 2}]}, "recipe")
    assert not merges_adapters({"choose": [{"models": []}, {"slices": []}]}, "recipe")
    with pytest.raises(RecipeError, match=r"^recipe\.choose: recipes of models beside"):
        merges_adapters({"choose": [of_adapters, {"models": []}]}, "recipe")
