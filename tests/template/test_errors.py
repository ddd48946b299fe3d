"""What is no template is refused with the place and the remedy."""

from __future__ import annotations

import re

import pytest

from evomerge.errors import RecipeError
from tests.template.templates import read, two

PLACE = "recipe.models.1.parameters"

VALUES = [
    ("{search: [0, 1], knot: 3}", "", "unknown key of a hole 'knot'; did you mean 'knots'?"),
    ("{choose: [0, 1], knots: 3}", "", "unknown key of a hole 'knots'"),
    ("{serch: [0, 1]}", "", "unknown key of a hole 'serch'; did you mean 'search'?"),
    ("{search: 1}", ".search", "found 1; expected [low, high]"),
    ("{search: [0, 1, 2]}", ".search", "found [0, 1, 2]; expected [low, high]"),
    ("{search: [1, 0]}", ".search", "1 lies above 0; expected [low, high]"),
    ("{search: [0, x]}", ".search", "found 'x'; expected a finite number"),
    ("{search: [0, .inf]}", ".search", "found inf; expected a finite number"),
    ("{search: [false, true]}", ".search", "found False; expected a finite number"),
    ("{search: [0, [1]]}", ".search", "found [1]; expected a finite number"),
    ("{search: [0, 1], log: true}", ".search", "begins at 0; with log it must lie above 0"),
    ("{search: [0, 1], log: 2}", ".log", "found 2; expected true or false"),
    ("{search: [0, 1.5], int: true}", ".search", "found 1.5; with int both ends must be whole"),
    ("{search: [1, 9], int: true, log: true}", "", "both int and log; give at most one of them"),
    ("{search: [0, 1], knots: 0}", ".knots", "found 0; expected a whole number above 0"),
    ("{search: [0, 1], knots: 2.5}", ".knots", "found 2.5; expected a whole number above 0"),
    ("{search: [0, 1], by: [mlp, mlp]}", ".by", "found ['mlp', 'mlp']; expected parts of tensor"),
    ("{search: [0, 1], by: 3}", ".by", "found 3; expected parts of tensor names"),
    ("{search: [0, 1], name: 3}", ".name", "found 3; expected a word"),
    ("{choose: 1}", ".choose", "found 1; expected a list of options"),
    ("{choose: []}", ".choose", "no options; expected at least two"),
    ("{choose: [0.5]}", ".choose", "1 option; expected at least two"),
    ("{choose: [1, 0.5, 1.0]}", ".choose", "the option 1 stands twice"),
    ("{choose: [1, {search: [1, 0]}]}", ".choose.1.search", "1 lies above 0"),
    ("[0, {search: [0, 1], knots: 2}]", ".1.knots", "the hole stands inside a gradient"),
    ("[0, {search: [0, 1], by: mlp}]", ".1.by", "the hole stands inside a list"),
    ("[{value: {search: [0, 1], by: mlp}}]", ".0.value.by", "the hole stands inside a list"),
    ("[{value: [{value: 1}]}]", ".0.value.0", "found {'value': 1}; expected a value"),
    ("[{choose: [0, [1]]}]", ".0.choose.1", "found [1]; expected one value"),
    ("[{filter: mlp, value: 1}, {search: [0, 1]}]", ".1", "found {'search': [0, 1]} in a list"),
    ("[{filter: mlp, value: 1}, 0.5]", ".1", "found 0.5 in a list of {filter, value}"),
    ("[{filter: mlp, values: 1}]", ".0", "unknown key 'values'; did you mean 'value'?"),
    ("[{filter: mlp}]", ".0.value", "missing; a value is needed here"),
    ("[{filter: 3, value: 1}]", ".0.filter", "found 3; expected a part of tensor names"),
    ("[0, [1]]", ".1", "found [1]; expected a number"),
    ("~", "", "found None; expected a number"),
]


@pytest.mark.parametrize(("value", "place", "message"), VALUES)
def test_a_value_that_is_none(value, place, message):
    with pytest.raises(RecipeError, match=f"^{re.escape(f'{PLACE}.weight{place}: {message}')}"):
        two(f"{{weight: {value}}}")


BODY = "models: [{model: sums, parameters: {weight: 1}}]\n"
HOLE = "{search: [0, 1]}"
PLACES = [
    ("merge_method: ties\nseed: {search: [0, 9]}", "seed: no hole may stand here"),
    ("merge_method: ties\nseed: {choose: [0, 9]}", "seed: no hole may stand here"),
    ("merge_method: ties\nchat_template: {choose: [a, b]}", "chat_template: no hole may stand"),
    ("merge_method: ties\nslice: {choose: [a, b]}", "slice: no hole may stand here"),
    ("merge_method: ties\ntokenizer: {choose: [a, b]}", "tokenizer: no hole may stand here"),
    ("merge_method: ties\ntokenizer: {source: {choose: [a]}}", "tokenizer.source: no hole may"),
    (
        "merge_method: ties\ntokenizer: {tokens: {a: {source: {search: [0, 1]}}}}",
        "tokenizer.tokens.a.source: no hole may stand here",
    ),
    ("merge_method: {search: [0, 1]}", "merge_method: {search: ...} stands for numbers"),
    ("merge_method: ties\ndtype: {search: [0, 1]}", "dtype: {search: ...} stands for numbers"),
    ("merge_method: ties\nparameters: {search: [0, 1]}", "parameters: {search: ...} stands for"),
    ("merge_method: {choose: [ties, tais]}", "merge_method.choose.1: unknown merge method 'tais'"),
    ("merge_method: tais", "merge_method: unknown merge method 'tais'; did you mean 'ties'?"),
    ("dtype: float32", "merge_method: missing; a value is needed here"),
    ("merge_method: ties\nbase_model: bass", "base_model: unknown model 'bass'; did you mean"),
    ("merge_method: ties\nbase_model: a@b@c", "base_model: model 'a@b@c': more than one '@'"),
    ("merge_method: ties\ndtype: {choose: [float32, flota]}", "dtype.choose.1: unknown dtype"),
    ("merge_method: ties\ntokenizer_source: none", "tokenizer_source: unknown model 'none'"),
    ("merge_method: ties\nparameters: 3", "parameters: found 3; expected a mapping"),
    (
        "merge_method: {choose: [ties, slerp]}\nparameters: {wieght: 1}",
        "parameters.wieght: unknown parameter of ties, slerp 'wieght'; did you mean 'weight'?",
    ),
    ("merge_method: ties\nslices: 3", "slices: found 3; expected a list"),
    ("merge_method: ties\nslices: [3]", "slices.0: found 3; expected a mapping"),
]


@pytest.mark.parametrize(("text", "message"), PLACES)
def test_a_place_that_is_none(text, message):
    with pytest.raises(RecipeError, match=f"^{re.escape(f'recipe.{message}')}"):
        read(BODY + text)


def test_the_whole_is_no_recipe():
    with pytest.raises(RecipeError, match=r"^recipe: found 3; expected a recipe with holes"):
        read("3")
    with pytest.raises(RecipeError, match=r"^recipe.choose.1: found 'b'; expected a recipe"):
        read(f"choose: [{{merge_method: ties, {BODY.strip()}}}, b]")


def test_holes_of_a_forbidden_place_learn_where_they_may_stand():
    with pytest.raises(RecipeError, match=r"merge_method, base_model, dtype, .* under parameters"):
        read("merge_method: ties\nmodels: [{model: words, revision: {choose: [a, b]}}]")
    with pytest.raises(RecipeError, match=r"^recipe.slices.0.sources.0.layer_range.1: no hole"):
        read(
            "merge_method: ties\nslices: [{sources: [{model: words,"
            " layer_range: [0, {search: [1, 2]}]}]}]"
        )


def test_what_a_recipe_refuses_a_template_refuses():
    with pytest.raises(RecipeError, match=r"^recipe: unknown key 'modle'; did you mean 'models'"):
        read("merge_method: ties\nmodle: 3")
    with pytest.raises(RecipeError, match=r"^recipe: the same model twice in models: zoo/words"):
        read("merge_method: ties\nmodels: [{model: words}, {model: zoo/words}]")
    with pytest.raises(RecipeError, match=r"^recipe.models.0: unknown key 'params'"):
        read("merge_method: ties\nmodels: [{model: words, params: 3}]")


def test_a_combination_of_options_that_is_no_recipe_is_refused():
    with pytest.raises(RecipeError, match=r"the same model twice in models: zoo/words"):
        read("merge_method: ties\nmodels: [{model: words}, {model: {choose: [sums, words]}}]")


def test_a_name_for_two_ranges():
    message = (
        "recipe.models.1.parameters.density: 'both' is [0, 1] at "
        "recipe.models.1.parameters.weight, and [0, 2] here; holes of one name are one dimension"
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        two("{weight: {search: [0, 1], name: both}, density: {search: [0, 2], name: both}}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{search: [0, 1], name: x}", "{search: [0, 1], knots: 2, name: x}"),
        ("{search: [1, 2], name: x}", "{search: [1, 2], log: true, name: x}"),
        ("{search: [0, 1], name: x}", "{search: [0, 1], int: true, name: x}"),
        ("{search: [0, 1], name: x}", "{choose: [0, 1], name: x}"),
        ("{choose: [0, 1], name: x}", "{choose: [1, 0], name: x}"),
    ],
)
def test_holes_of_one_name_must_agree(one, other):
    with pytest.raises(RecipeError, match="holes of one name are one dimension"):
        two(f"{{weight: {one}, density: {other}}}")


def test_a_name_that_another_hole_has_by_its_place():
    with pytest.raises(RecipeError, match=r"called 'models\[words\].parameters.weight' too"):
        two(
            "{density: {search: [0, 1], name: 'models[words].parameters.weight'},"
            " weight: {search: [0, 1]}}"
        )
    with pytest.raises(RecipeError, match=r"there is a dimension 'x\[0\]' already"):
        two(
            "{weight: {search: [0, 1], name: x, knots: 2}, density: {search: [0, 1], name: 'x[0]'}}"
        )


def test_the_same_filter_twice_would_be_one_name_for_two_holes():
    with pytest.raises(RecipeError, match=r"the hole at .*\.weight\.0\.value is called"):
        two(
            "{weight: [{filter: mlp, value: {search: [0, 1]}},"
            " {filter: mlp, value: {search: [0, 1]}}]}"
        )


def test_points_outside_of_the_space():
    template = two("{weight: {search: [0, 1]}, density: {choose: [0.5, 1]}}")
    with pytest.raises(RecipeError, match=r"the point has no value of 'models.words..parameters.w"):
        template.fill({})
    with pytest.raises(RecipeError, match=r"1.5 lies outside the range of 'models\[words\]"):
        template.fill({**template.space.middle(), "models[words].parameters.weight": 1.5})
    with pytest.raises(RecipeError, match="'2' lies outside the range"):
        template.fill({**template.space.middle(), "models[words].parameters.density": "2"})
