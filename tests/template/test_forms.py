"""Every form of a hole, by hand: what its dimensions are called, and what it is filled with."""

from __future__ import annotations

import pytest

from evomerge.families import FAMILIES
from evomerge.recipe.entry import plain
from evomerge.space import ChoiceDimension, FloatDimension, IntDimension
from tests.template.templates import read, two, words

WEIGHT = "models[words].parameters.weight"
FAMILY = {family.name: family for family in FAMILIES}


def names(template):
    return list(template.space.names)


def test_a_template_without_holes_is_a_recipe():
    template = two("{weight: 1}")
    assert len(template.space) == 0
    assert template.fill({}).models[1].model.path == "zoo/words"


def test_a_number():
    template = two("{weight: {search: [0, 1.5]}}")
    assert template.space.dimensions == (FloatDimension(WEIGHT, 0.0, 1.5),)
    assert words(template) == {"weight": 0.75}


def test_a_number_of_which_ratios_count():
    template = two("{weight: {search: [1e-2, 1], log: true}}")
    assert template.space.dimensions == (FloatDimension(WEIGHT, 0.01, 1.0, log=True),)
    assert words(template) == {"weight": 0.1}


def test_a_whole_number():
    template = two(
        "{weight: 1}", method="karcher", rest="parameters: {max_iter: {search: [5, 9], int: true}}"
    )
    assert template.space.dimensions == (IntDimension("parameters.max_iter", 5, 9),)
    assert template.fill(template.space.middle()).parameters == {"max_iter": 7}


def test_a_gradient():
    template = two("{weight: {search: [0, 1], knots: 3}}")
    assert names(template) == [f"{WEIGHT}[0]", f"{WEIGHT}[1]", f"{WEIGHT}[2]"]
    assert words(template, **{"weight[1]": 0.2}) == {"weight": [0.5, 0.2, 0.5]}


def test_a_value_for_each_filter_and_one_for_the_rest():
    template = two("{weight: {search: [0, 1], by: [self_attn, mlp]}}")
    assert names(template) == [f"{WEIGHT}[self_attn]", f"{WEIGHT}[mlp]", f"{WEIGHT}[rest]"]
    assert words(template, **{"weight[mlp]": 0.1, "weight[rest]": 0.9}) == {
        "weight": [
            {"filter": "self_attn", "value": 0.5},
            {"filter": "mlp", "value": 0.1},
            {"value": 0.9},
        ]
    }


def test_a_gradient_for_each_filter():
    template = two("{weight: {search: [0, 1], by: mlp, knots: 2}}")
    assert names(template) == [
        f"{WEIGHT}[mlp][0]",
        f"{WEIGHT}[mlp][1]",
        f"{WEIGHT}[rest][0]",
        f"{WEIGHT}[rest][1]",
    ]
    assert words(template, **{"weight[rest][0]": 0.0}) == {
        "weight": [{"filter": "mlp", "value": [0.5, 0.5]}, {"value": [0.0, 0.5]}]
    }


def test_holes_inside_gradients_and_conditional_lists():
    template = two(
        "{weight: [{filter: mlp, value: [0, {search: [0, 1]}]}, {value: {search: [0, 2],"
        " knots: 2}}],"
        " density: [{search: [0, 1]}, 1]}"
    )
    assert names(template) == [
        f"{WEIGHT}[mlp][1]",
        f"{WEIGHT}[rest][0]",
        f"{WEIGHT}[rest][1]",
        "models[words].parameters.density[0]",
    ]
    assert words(template) == {
        "weight": [{"filter": "mlp", "value": [0, 0.5]}, {"value": [1.0, 1.0]}],
        "density": [0.5, 1],
    }


def test_a_single_condition_needs_no_list():
    template = two("{weight: 1, density: {filter: mlp, value: {search: [0, 1]}}}")
    assert names(template) == ["models[words].parameters.density[mlp]"]
    assert words(template) == {"weight": 1, "density": [{"filter": "mlp", "value": 0.5}]}


def test_a_choice_among_values():
    template = two("{weight: 1}", rest="parameters: {trim: {choose: [tensor, global]}}")
    assert template.space.dimensions == (ChoiceDimension("parameters.trim", ("tensor", "global")),)
    assert template.fill({"parameters.trim": "tensor"}).parameters == {"trim": "tensor"}


def test_a_choice_between_a_value_and_a_range():
    template = two("{weight: {choose: [0, {search: [0.5, 1.5]}, [0, 1]]}}")
    assert template.space.dimensions == (
        ChoiceDimension(WEIGHT, ("0", "0.5 to 1.5", "[0, 1]")),
        FloatDimension(f"{WEIGHT}[0.5 to 1.5]", 0.5, 1.5),
    )
    assert words(template) == {"weight": 1.0}
    assert words(template, weight="0") == {"weight": 0}
    assert words(template, weight="[0, 1]") == {"weight": [0, 1]}


def test_a_choice_among_sets_of_parameters():
    template = two(
        "{choose: [{weight: 1, density: 0.5}, {weight: {search: [0, 1]}, density: 0.9}]}"
    )
    assert template.space.dimensions == (
        ChoiceDimension("models[words].parameters", ("weight 1", "density 0.9")),
        FloatDimension("models[words].parameters[density 0.9].weight", 0.0, 1.0),
    )
    point = template.at({"models[words].parameters": "weight 1"})
    assert plain(template.fill(point))["models"][1]["parameters"] == {"weight": 1, "density": 0.5}


def test_a_choice_among_whole_recipes():
    template = read("""
        choose:
          - merge_method: ties
            base_model: base
            models: [{model: words, parameters: {weight: {search: [0, 1]}}}]
          - merge_method: slerp
            base_model: base
            models: [{model: base}, {model: words}]
            parameters: {t: {search: [0, 1]}}
    """)
    assert names(template) == [
        "recipe",
        "recipe[ties].models[words].parameters.weight",
        "recipe[slerp].parameters.t",
    ]
    assert template.fill(template.at({"recipe": "ties"})).merge_method == "ties"
    slerp = template.fill(template.at({"recipe": "slerp", "recipe[slerp].parameters.t": 0.25}))
    assert plain(slerp) == {
        "models": [{"model": "zoo/base"}, {"model": "zoo/words"}],
        "merge_method": "slerp",
        "base_model": "zoo/base",
        "parameters": {"t": 0.25},
    }


def test_choices_outside_of_parameters():
    template = read("""
        merge_method: linear
        models: [{model: {choose: [sums, words]}, parameters: {weight: {search: [0, 1]}}}]
        base_model: {choose: [base, prose]}
        dtype: {choose: [bfloat16, torch.float16]}
        tokenizer_source: {choose: [union, prose]}
    """)
    assert names(template) == [
        "models[0].model",
        "models[0].parameters.weight",
        "base_model",
        "dtype",
        "tokenizer_source",
    ]
    recipe = template.fill(
        template.at(
            {
                "models[0].model": "sums",
                "base_model": "prose",
                "dtype": "torch.float16",
                "tokenizer_source": "prose",
            }
        )
    )
    assert plain(recipe) == {
        "models": [{"model": "zoo/sums", "parameters": {"weight": 0.5}}],
        "merge_method": "linear",
        "base_model": "zoo/prose",
        "dtype": "float16",
        "tokenizer_source": "zoo/prose",
    }


def test_choices_of_lists_and_entries():
    template = read("""
        merge_method: linear
        parameters: {weight: 1}
        slices:
          choose:
            - [{sources: [{model: sums, layer_range: [0, 2]}]}]
            - - choose:
                  - {sources: [{model: words, layer_range: [0, 2]}]}
                  - {sources: [{model: prose, layer_range: [0, 2]}]}
    """)
    assert template.space.dimensions == (
        ChoiceDimension("slices", ("option 1", "option 2")),
        ChoiceDimension("slices[option 2][0]", ("option 1", "option 2")),
    )
    point = {"slices": "option 2", "slices[option 2][0]": "option 1"}
    assert template.fill(point).slices[0].sources[0].model.path == "zoo/words"


def test_names_in_slices():
    template = read("""
        merge_method: slerp
        base_model: base
        slices:
          - sources: [{model: base, layer_range: [0, 2]}, {model: words, layer_range: [0, 2]}]
            parameters: {t: [0, {search: [0, 1]}]}
          - base_model: words
            sources:
              - {model: words, layer_range: [2, 4], parameters: {t: {search: [0, 1], knots: 2}}}
              - {model: sums, layer_range: [2, 4]}
    """)
    assert names(template) == [
        "slices[0].parameters.t[1]",
        "slices[1].sources[words].parameters.t[0]",
        "slices[1].sources[words].parameters.t[1]",
    ]


def test_holes_of_one_name_are_one_dimension():
    template = read("""
        merge_method: ties
        base_model: base
        models:
          - {model: sums, parameters: {weight: {search: [0, 1], knots: 2, name: both}}}
          - {model: words, parameters: {weight: {search: [0, 1], knots: 2, name: both}}}
    """)
    assert names(template) == ["both[0]", "both[1]"]
    recipe = template.fill({"both[0]": 0.25, "both[1]": 1.0})
    assert [entry.parameters["weight"] for entry in recipe.models] == [(0.25, 1.0)] * 2


def test_an_alias_of_yaml_is_one_dimension_named_by_its_first_place():
    template = read("""
        merge_method: ties
        base_model: base
        models:
          - {model: sums, parameters: &same {weight: {search: [0, 1]}, density: {search: [0, 1]}}}
          - {model: words, parameters: *same}
    """)
    assert names(template) == [
        "models[sums].parameters.weight",
        "models[sums].parameters.density",
    ]
    assert template.tree["models"][1]["parameters"]["weight"] == {
        "search": [0, 1],
        "name": "models[sums].parameters.weight",
    }


def test_a_choice_can_be_shared():
    template = read("""
        merge_method: dare_ties
        base_model: base
        models:
          - {model: sums, parameters: {weight: 1, density: {choose: [0.1, 0.9], name: thin}}}
          - {model: words, parameters: {weight: 1, density: {choose: [0.1, 0.9], name: thin}}}
    """)
    assert names(template) == ["thin"]
    recipe = template.fill({"thin": "0.1"})
    assert [entry.parameters["density"] for entry in recipe.models] == [0.1, 0.1]


def test_dimensions_stand_in_reading_order():
    template = read("""
        parameters: {lambda: {search: [0.5, 1]}}
        models:
          - parameters: {density: {search: [0, 1]}, weight: {search: [0, 1]}}
            model: words
        base_model: base
        merge_method: {choose: [ties, dare_ties]}
    """)
    assert names(template) == [
        "parameters.lambda",
        "models[words].parameters.density",
        "models[words].parameters.weight",
        "merge_method",
    ]


def test_a_model_may_be_called_by_the_path_that_an_alias_stands_for():
    template = read("""
        merge_method: linear
        models: [{model: zoo/words, parameters: {weight: {search: [0, 1]}}}]
    """)
    assert names(template) == [WEIGHT]


def test_the_models_of_a_tokenizer_are_called_by_alias_too():
    template = read("""
        merge_method: linear
        models: [{model: words, parameters: {weight: {search: [0, 1]}}}]
        tokenizer:
          source: words
          tokens:
            search: {source: prose}
            choose: {source: {kind: model_token, model: base, token: x}, force: true}
            other: {source: {kind: zero}}
    """)
    assert plain(template.fill(template.space.middle()))["tokenizer"] == {
        "source": "zoo/words",
        "tokens": {
            "search": {"source": "zoo/prose"},
            "choose": {
                "source": {"kind": "model_token", "model": "zoo/base", "token": "x"},
                "force": True,
            },
            "other": {"source": {"kind": "zero"}},
        },
    }


@pytest.mark.parametrize(
    ("family", "attention", "mlp"),
    [
        ("Llama", "self_attn", "mlp"),
        ("Mixtral", "self_attn", "block_sparse_moe"),
        ("GPT-2", "attn", "mlp"),
        ("GPT-NeoX", ".attention.", "mlp"),
        ("BLOOM", "self_attention.", "mlp"),
    ],
)
def test_attn_and_mlp_are_what_the_family_calls_them(family, attention, mlp):
    template = read(
        """
        merge_method: linear
        models:
          - {model: sums, parameters: {weight: {search: [0, 1], by: [attn, mlp]}}}
          - {model: words, parameters: {weight: [{filter: attn, value: 1}, {value: 2}]}}
        """,
        FAMILY[family],
    )
    assert names(template)[:2] == [
        "models[sums].parameters.weight[attn]",
        "models[sums].parameters.weight[mlp]",
    ]
    first, second = template.fill(template.space.middle()).models
    assert [entry.filter for entry in first.parameters["weight"]] == [attention, mlp, None]
    assert second.parameters["weight"][0].filter == attention
