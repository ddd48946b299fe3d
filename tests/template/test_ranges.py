"""Ranges with illegal recipes in them are refused before a search begins."""

from __future__ import annotations

import pytest

from evomerge.errors import RecipeError
from evomerge.merging.plan import plan_merge
from evomerge.methods.base import merge_methods
from evomerge.recipe import ModelReference
from evomerge.recipe.reading import load_yaml
from evomerge.template import Template
from tests.merging.tiny import llama, model, tuned


@pytest.fixture(scope="module")
def models(module_folder):
    tensors = llama()
    aliases = ("base", "sums", "words")
    folders = [model(module_folder / a, tuned(tensors, i)) for i, a in enumerate(aliases)]
    return {a: ModelReference(str(f)) for a, f in zip(aliases, folders, strict=True)}


def check(models, text):
    """Reads a template and checks it with the merge core itself."""
    template = Template.read(load_yaml(text, "recipe"), models, merge_methods)
    template.check(lambda recipe: plan_merge(recipe) and None)
    return template


def della(density, epsilon):
    return f"""
        merge_method: della
        base_model: base
        models:
          - {{model: sums, parameters: {{weight: {{search: [0, 1]}}, density: 0.5}}}}
          - model: words
            parameters: {{weight: 1, density: {density}, epsilon: {epsilon}}}
    """


def test_densities_and_epsilons_that_fit(models):
    check(models, della("{search: [0.3, 0.7]}", "{search: [0.01, 0.3]}"))
    check(models, della("{search: [0.2, 0.4], knots: 2}", "0.15"))


@pytest.mark.parametrize(
    ("density", "epsilon", "culprits"),
    [
        ("{search: [0.1, 0.5]}", "0.15", ["density"]),
        ("{search: [0.3, 1]}", "0.15", ["density"]),
        ("0.2", "{search: [0.1, 0.4]}", ["epsilon"]),
        ("{search: [0.2, 0.8]}", "{search: [0.01, 0.35]}", ["density", "epsilon"]),
        ("{search: [0.2, 0.8], knots: 3}", "{search: [0.1, 0.3]}", ["density[", "epsilon"]),
        ("{choose: [0.5, 0.9]}", "0.2", ["density = 0.9"]),
    ],
)
def test_those_that_do_not_are_named(models, density, epsilon, culprits):
    with pytest.raises(RecipeError) as error:
        check(models, della(density, epsilon))
    first, second = str(error.value).splitlines()
    assert first.startswith("recipe: with models[words].parameters.")
    assert first.endswith("there is no legal recipe; narrow the range, or the options")
    assert all(culprit in first for culprit in culprits)
    assert "weight" not in first
    assert "does not fit density" in second
    assert "epsilon below" in second


LINEAR = """
merge_method: linear
models:
  - {{model: sums, parameters: {{weight: {0}}}}}
  - {{model: words, parameters: {{weight: {0}}}}}
"""


def test_weights_that_are_all_zero_in_a_corner_are_a_failed_trial(models):
    check(models, LINEAR.format("{search: [0, 1]}"))
    check(models, LINEAR.format("{search: [-1, 1]}"))


def test_weights_that_are_zero_throughout_are_refused(models):
    with pytest.raises(RecipeError, match="the weights 0, 0 sum to zero"):
        check(models, LINEAR.format("{search: [0, 0]}"))
    with pytest.raises(RecipeError, match="sum to zero"):
        check(models, LINEAR.format("{choose: [0, {search: [0.5, 1]}], name: both}"))


@pytest.mark.parametrize(
    ("setting", "name", "message"),
    [
        ("normalize: {search: [0, 1]}", "parameters.normalize", "expected true or false"),
        ("trim: {choose: [tensor, pool]}", "parameters.trim = pool", "available: tensor, global"),
        ("lambda: {choose: [1, one]}", "parameters.lambda = one", "expected a number"),
    ],
)
def test_values_that_a_parameter_does_not_take(models, setting, name, message):
    with pytest.raises(RecipeError) as error:
        check(
            models,
            f"""
            merge_method: ties
            base_model: base
            models: [{{model: words, parameters: {{weight: {{search: [0, 1]}}}}}}]
            parameters: {{{setting}}}
            """,
        )
    assert message in str(error.value)
    assert name in str(error.value)


def test_a_parameter_of_all_models_given_to_one(models):
    with pytest.raises(RecipeError, match="t is one value for all models of slerp; move it"):
        check(
            models,
            """
            merge_method: {choose: [slerp, ties]}
            base_model: base
            models:
              - {model: base}
              - {model: words, parameters: {t: {search: [0, 1]}, weight: 1}}
            """,
        )


def test_options_that_do_not_go_together_are_named(models):
    with pytest.raises(RecipeError) as error:
        check(
            models,
            """
            merge_method: {choose: [slerp, ties, linear]}
            base_model: base
            models:
              - {model: base, parameters: {weight: 1}}
              - {model: words, parameters: {weight: {search: [0, 1]}}}
            parameters: {density: {search: [0.1, 1]}}
            """,
        )
    assert "merge_method = slerp" in str(error.value)
    assert "slerp needs t" in str(error.value)


def test_a_legal_template_is_checked_at_every_option_and_corner():
    text = """
        merge_method: linear
        models: [{model: words, parameters: {weight: {choose: [0, 1, {search: [5, 6]}]}}}]
        dtype: {choose: [float32, bfloat16]}
    """
    models = {"words": ModelReference("zoo/words")}
    seen = []
    Template.read(load_yaml(text, "recipe"), models, merge_methods).check(seen.append)
    weights = [recipe.models[0].parameters["weight"] for recipe in seen]
    assert {0, 1} < set(weights)
    assert min(w for w in weights if w > 1) < 5.05
    assert max(weights) > 5.95
    assert {recipe.dtype for recipe in seen} == {"float32", "bfloat16"}
