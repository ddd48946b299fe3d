"""Methods chosen for each filter and each slice, by hand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.errors import RecipeError
from evomerge.families import FAMILIES
from evomerge.merging.models import open_models
from evomerge.merging.plan import plan_merge
from evomerge.methods.base import merge_methods
from evomerge.recipe import ModelReference, Recipe
from evomerge.space import ChoiceDimension, rounded
from evomerge.template import Template
from evomerge.template.description import describe
from tests.merging.tiny import llama, model, tuned
from tests.template.templates import read

BY_FILTER = """
merge_method:
  - {filter: attn, value: {choose: [ties, dare_ties]}}
  - {value: {choose: [linear, ties, task_arithmetic]}}
base_model: base
models:
  - {model: base, parameters: {weight: {search: [0, 1]}}}
  - {model: sums, parameters: {weight: {search: [0, 1]}, density: {search: [0.1, 1]}}}
parameters: {trim: {choose: [tensor, global]}, normalize: true}
"""
ATTENTION, REST = "merge_method[attn]", "merge_method[rest]"
OF_BASE, WEIGHT = (f"models[{alias}].parameters.weight" for alias in ("base", "sums"))
DENSITY, TRIM = "models[sums].parameters.density", "parameters.trim"

BY_SLICE = """
merge_method: {choose: [ties, task_arithmetic]}
base_model: base
parameters: {trim: {choose: [tensor, global]}}
slices:
  - merge_method: {choose: [linear, ties]}
    sources: &both
      - {model: base, layer_range: [0, 2], parameters: {weight: 1}}
      - {model: sums, layer_range: [0, 2], parameters: {weight: 1, density: 0.5}}
  - {sources: *both}
  - {sources: *both}
"""
OWN, OTHERS = "slices[0].merge_method", "merge_method"


def test_a_hole_for_each_filter_is_named_after_it():
    template = read(BY_FILTER)
    assert template.space.dimensions[:2] == (
        ChoiceDimension(ATTENTION, ("ties", "dare_ties")),
        ChoiceDimension(REST, ("linear", "ties", "task_arithmetic")),
    )
    found = template.fill(template.at({ATTENTION: "ties", REST: "linear"})).tree()
    assert found["merge_method"] == [{"filter": "attn", "value": "ties"}, {"value": "linear"}]
    assert template.filters == (("attn", "recipe.merge_method.0"),)


def test_the_same_method_for_all_filters_is_one_word():
    template = read(BY_FILTER)
    point = template.at({ATTENTION: "ties", REST: "ties"})
    assert template.fill(point).tree()["merge_method"] == "ties"
    assert template.match(template.fill(point)) == template.settle(point)


@pytest.mark.parametrize(
    ("attention", "rest", "inert"),
    [
        ("ties", "linear", set()),
        ("dare_ties", "linear", {TRIM}),
        ("ties", "task_arithmetic", {OF_BASE}),
        ("dare_ties", "task_arithmetic", {OF_BASE, TRIM}),
        ("dare_ties", "ties", {OF_BASE}),
    ],
)
def test_a_parameter_counts_if_one_of_the_chosen_methods_reads_it(attention, rest, inert):
    template = read(BY_FILTER)
    point = template.at({ATTENTION: attention, REST: rest, DENSITY: 0.3, OF_BASE: 0.9})
    assert template.inert(point) == inert
    tree = template.fill(point).tree()
    assert ("trim" in tree["parameters"]) == (TRIM not in inert)
    assert tree["models"][1]["parameters"]["density"] == 0.3
    assert ("parameters" in tree["models"][0]) == (OF_BASE not in inert)


def test_a_value_for_some_tensors_counts_if_one_of_their_methods_reads_it():
    template = read("""
        merge_method:
          - {filter: attn, value: {choose: [ties, task_arithmetic]}}
          - {value: {choose: [ties, task_arithmetic]}}
        base_model: base
        models:
          - model: sums
            parameters: {weight: 1, density: {search: [0.1, 1], by: [q_proj, attn]}}
    """)
    density = "models[sums].parameters.density"
    of = {label: f"{density}[{label}]" for label in ("q_proj", "attn", "rest")}
    mixed = {ATTENTION: "ties", REST: "task_arithmetic"}
    # A tensor with q_proj in its name may have attn in it, or not.
    assert template.inert(template.at(mixed)) == {of["rest"]}
    kept = template.fill(template.at(mixed)).tree()["models"][0]["parameters"]["density"]
    assert [entry["filter"] for entry in kept] == ["q_proj", "attn"]
    mixed = {ATTENTION: "task_arithmetic", REST: "ties"}
    assert template.inert(template.at(mixed)) == {of["attn"]}
    both = {ATTENTION: "task_arithmetic", REST: "task_arithmetic"}
    assert template.inert(template.at(both)) == set(of.values())


def test_the_numbers_of_layers_are_not_those_of_the_output():
    """In slices, ``layers.1`` of a model is another layer than ``layers.1`` of the output."""
    density = "[{filter: layers.1, value: 0.2}, {value: 0.7}]"
    template = read(f"""
        merge_method: [{{filter: layers.1, value: ties}}, {{value: task_arithmetic}}]
        base_model: base
        slices:
          - sources:
              - {{model: base, layer_range: [1, 3]}}
              - model: sums
                layer_range: [1, 3]
                parameters: {{weight: 1, density: {density}}}
    """)
    kept = template.fill({}).tree()["slices"][0]["sources"][1]["parameters"]["density"]
    assert [entry["value"] for entry in kept] == [0.2, 0.7]


PARTS = ["attn", "self_attn", "q_proj", "mlp", "layers.0", "layers.1", "norm", "lm_head", "a"]
MANY = ["linear", "ties", "task_arithmetic", "dare_ties", "model_stock"]


@st.composite
def lists(draw, values, *before):
    """A conditional list; its last entry is for all other tensors."""
    filters = draw(st.lists(st.sampled_from(PARTS), max_size=3, unique=True))
    entries = [{"filter": each, "value": draw(values)} for each in filters]
    return [*before, *entries, {"value": draw(values)}]


@st.composite
def mixtures(draw):
    """A recipe without holes, of two slices that turn the layers of the models around."""
    numbers, flags = st.floats(0.1, 1).map(rounded), st.booleans()
    # One that makes no tensor, so that its parameters may be given everywhere.
    methods = lists(st.sampled_from(MANY), {"filter": "none", "value": "ties"})
    slices = []
    for first in (1, 0):
        sources = [
            {
                "model": alias,
                "layer_range": [first, first + 1],
                "parameters": {"weight": draw(lists(numbers)), "density": draw(lists(numbers))},
            }
            for alias in ("base", "sums", "words")
        ]
        slices.append({"sources": sources, "parameters": {"lambda": draw(lists(numbers))}})
    slices[1]["merge_method"] = draw(methods)
    tree = {"merge_method": draw(methods), "base_model": "base", "slices": slices}
    shared = {"normalize": draw(lists(flags))}
    if "model_stock" in json.dumps(tree):
        shared["filter_wise"] = draw(lists(flags))
    return tree | {"parameters": shared}


@pytest.fixture(scope="module")
def folders(module_folder):
    base = llama()
    tensors = {"base": base, "sums": tuned(base, 1), "words": tuned(base, 2)}
    return {alias: str(model(module_folder / alias, each)) for alias, each in tensors.items()}


@settings(max_examples=60)
@given(mixtures())
def test_what_is_left_out_decides_nothing(folders, tree):
    """The plan of a recipe in full, and of what a template of it fills to, are the same."""
    text = json.dumps(tree)
    for alias, folder in folders.items():
        text = text.replace(f'"{alias}"', json.dumps(folder))
    references = {alias: ModelReference(folder) for alias, folder in folders.items()}
    filled = Template.read(tree, references, merge_methods).fill({})
    models = open_models(filled)
    ours, theirs = plan_merge(filled, models), plan_merge(Recipe.parse(text), models)
    assert [t.info for t in ours.tensors] == [t.info for t in theirs.tensors]
    for one, other in zip(ours.tensors, theirs.tensors, strict=True):
        assert (one.method, one.inputs, one.base) == (other.method, other.inputs, other.base)
        assert read_of(one) == read_of(other), one.info.name


def read_of(tensor):
    """The parameters that have an effect."""
    found = {**tensor.parameters.shared, **tensor.parameters.per_model}
    params = tensor.method.params
    return {name: value for name, value in found.items() if not params[name].ignored}


def test_it_is_told_when_a_parameter_is_read():
    reads = {row.name: row.read for row in describe(read(BY_FILTER)).dimensions}
    assert reads == {
        ATTENTION: "always",
        REST: "always",
        OF_BASE: "merge_method[rest]: linear",
        WEIGHT: "always",
        DENSITY: "always",
        TRIM: "merge_method[attn]: ties or merge_method[rest]: ties",
    }


def test_groups_are_what_the_family_calls_them():
    family = next(each for each in FAMILIES if each.attention == ".attention.")
    template = read(BY_FILTER, family=family)
    tree = template.fill(template.at({ATTENTION: "ties", REST: "linear"})).tree()
    assert tree["merge_method"][0]["filter"] == ".attention."


def test_a_choice_between_a_method_and_a_list():
    template = read("""
        merge_method:
          choose:
            - ties
            - [{filter: mlp, value: {choose: [ties, linear]}}, {value: ties}]
        base_model: base
        models: [{model: base, parameters: {weight: 1}}, {model: sums, parameters: {weight: 1}}]
    """)
    inner = "merge_method[option 2][mlp]"
    assert template.space.names == ("merge_method", inner)
    mixed = template.at({"merge_method": "option 2", inner: "linear"})
    assert template.fill(mixed).method_names() == ("linear", "ties")
    assert template.settle(mixed) == mixed
    # The list that says the same as the word is the same recipe.
    both = [template.at({"merge_method": "option 2", inner: "ties"})]
    both.append(template.at({"merge_method": "ties"}))
    assert template.fill(both[0]) == template.fill(both[1])
    assert template.settle(both[0]) == template.settle(both[1])


def test_slices_have_methods_of_their_own_or_those_of_the_recipe():
    template = read(BY_SLICE)
    assert template.space.names == (OTHERS, TRIM, OWN)
    tree = template.fill(template.at({OWN: "linear", OTHERS: "ties"})).tree()
    assert tree["merge_method"] == "linear"  # that of the first slice
    assert [part.get("merge_method") for part in tree["slices"]] == [None, "ties", "ties"]
    same = template.fill(template.at({OWN: "ties", OTHERS: "ties"})).tree()
    assert same["merge_method"] == "ties"
    assert all("merge_method" not in part for part in same["slices"])


@pytest.mark.parametrize("own", ["linear", "ties"])
@pytest.mark.parametrize("others", ["ties", "task_arithmetic"])
def test_sliced_recipes_are_recognised(own, others):
    template = read(BY_SLICE)
    point = template.at({OWN: own, OTHERS: others, TRIM: "global"})
    found = template.match(template.fill(point))
    inert = {TRIM} if (own, others) == ("linear", "task_arithmetic") else set()
    assert template.inert(point) == inert
    assert found == template.settle(point)
    assert {name: found[name] for name in (OWN, OTHERS)} == {OWN: own, OTHERS: others}


def test_what_a_slice_reads_is_for_its_own_methods_to_say():
    template = read(BY_SLICE)
    tree = template.fill(template.at({OWN: "linear", OTHERS: "ties"})).tree()
    first, second, _ = ([s.get("parameters") for s in part["sources"]] for part in tree["slices"])
    assert first == [{"weight": 1}, {"weight": 1}]
    assert second == [None, {"weight": 1, "density": 0.5}]


def test_a_choice_of_methods_that_no_slice_has_counts_for_nothing():
    template = read("""
        merge_method: {choose: [linear, passthrough]}
        slices:
          - merge_method: linear
            sources: [{model: sums, layer_range: [0, 2], parameters: {weight: 1}}]
    """)
    one, other = (template.at({OTHERS: label}) for label in ("linear", "passthrough"))
    assert template.fill(one) == template.fill(other)
    assert template.inert(one) == {OTHERS}
    assert [row.read for row in describe(template).dimensions] == ["never"]


def test_other_recipes_are_not_recognised():
    template = read(BY_FILTER)
    recipe = template.fill(template.at({ATTENTION: "ties", REST: "linear"}))
    for setting in ("linear", [{"filter": "mlp", "value": "ties"}, {"value": "linear"}]):
        changed = type(recipe).from_tree({**recipe.tree(), "merge_method": setting})
        assert template.match(changed) is None


def test_the_corners_of_several_methods():
    corners = {label: read(BY_FILTER).fill(point) for label, point in read(BY_FILTER).corners()}
    weights = {
        label: [entry.parameters.get("weight") for entry in recipe.models]
        for label, recipe in corners.items()
    }
    assert weights["only sums"][1] == 1
    assert weights["only base"] == [1, 0]
    assert weights["base"] == [None, 0]
    # Where only one of the methods counts the base, there is no one mean.
    assert not any("uniform" in label and "linear" in label for label in corners)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("[{filter: attn, value: tise}, {value: ties}]", ".0.value: unknown merge method 'tise'"),
        ("[{filter: attn, value: ties}]", ": the list has no method for the tensors that no"),
        ("[{value: ties}, {value: linear}]", ": entry 0 is for all tensors, and leaves none"),
        ("[]", ": the list has no method for the tensors that no filter takes"),
        ("[{filter: attn, vale: ties}]", ".0: unknown key 'vale'; did you mean 'value'?"),
        ("[ties, linear]", ".0: found 'ties' in a list of {filter, value}; write it under 'value'"),
        ("[{value: {search: [0, 1]}}]", ".0.value: {search: ...} stands for numbers under"),
        ("[{value: {choose: [ties, [ties]]}}]", ".0.value.choose.1: unknown merge method"),
        ("{search: [0, 1]}", ": {search: ...} stands for numbers under 'parameters'"),
    ],
)
def test_what_is_no_method_is_refused_with_its_place(setting, expected):
    text = BY_FILTER.partition("base_model")[2]
    with pytest.raises(RecipeError) as error:
        read(f"merge_method: {setting}\nbase_model{text}")
    assert str(error.value).startswith(f"recipe.merge_method{expected}")


def test_a_parameter_must_be_known_to_one_of_the_methods():
    with pytest.raises(RecipeError, match=r"unknown parameter of ties, dare_ties, linear, task"):
        read(BY_FILTER.replace("trim:", "trimm:"))
