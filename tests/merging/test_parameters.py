"""Promises of parameters in a merge: what they are for each tensor and model."""

from __future__ import annotations

import numpy as np
import pytest

from evomerge.errors import MergeError, RecipeError
from evomerge.noise import DRAWS, draws, noise_key
from tests.merging.tiny import (
    EMBEDDING,
    HEAD,
    NORM,
    QUERY,
    UP,
    llama,
    merged,
    model,
    of_layer,
    plan_of,
    recipe,
    sliced,
)


@pytest.fixture
def two(tmp_path):
    """Two models of three layers, one of zeros and one of ones: a merge shows its weights."""
    zeros = {name: np.zeros_like(array) for name, array in llama(layers=3).items()}
    ones = {name: array + 1 for name, array in zeros.items()}
    return model(tmp_path / "zeros", zeros), model(tmp_path / "ones", ones)


def shares(tree):
    """What part of the ones went into each tensor."""
    return {name: float(array.flat[0]) for name, array in merged(tree).items()}


def weighted(two, first, second, **rest):
    tree = recipe("linear", *two, **rest)
    for entry, weight in zip(tree["models"], (first, second), strict=True):
        if weight is not None:
            entry["parameters"] = {"weight": weight}
    return tree


def test_filters_choose_by_the_name_of_the_tensor(two):
    weight = [{"filter": "mlp", "value": 3}, {"filter": "lm_head", "value": 0}, {"value": 1}]
    found = shares(weighted(two, 1, weight))
    assert found[of_layer(1, UP)] == 0.75
    assert found[HEAD] == 0
    assert found[of_layer(1, QUERY)] == found[EMBEDDING] == found[NORM] == 0.5


def test_gradients_run_over_the_layers_and_start_outside_them(two):
    found = shares(weighted(two, None, None, normalize=False, weight=[1, 3]))
    assert [found[of_layer(i, QUERY)] for i in range(3)] == [1, 2, 3]
    assert found[EMBEDDING] == found[NORM] == found[HEAD] == 1


def test_gradients_run_over_the_layers_of_each_slice(two):
    tree = sliced(
        "linear",
        [(two[1], 0, 2)],
        [(two[1], 0, 1)],
        [(two[1], 0, 3)],
        weight=[0, 4],
        normalize=False,
    )
    found = shares(tree)
    assert [found[of_layer(i, QUERY)] for i in range(6)] == [0, 4, 4, 0, 2, 4]


def test_gradients_stand_inside_conditions(two):
    weight = [{"filter": "mlp", "value": [0, 4]}, {"value": 1}]
    found = shares(weighted(two, None, None, normalize=False, weight=weight))
    assert [found[of_layer(i, UP)] for i in range(3)] == [0, 2, 4]
    assert [found[of_layer(i, QUERY)] for i in range(3)] == [1, 1, 1]


def test_the_innermost_place_that_has_a_value_decides(two):
    only_mlp = [{"filter": "mlp", "value": 3}]
    found = shares(weighted(two, 1, only_mlp, parameters={"weight": 7}))
    assert found[of_layer(0, UP)] == 0.75
    assert found[of_layer(0, QUERY)] == 7 / 8


def test_a_slice_stands_between_a_model_and_the_recipe(two):
    tree = sliced("linear", [(two[1], 0, 1)], [(two[1], 1, 3)], weight=1, normalize=False)
    tree["slices"][0]["parameters"] = {"weight": 2}
    tree["slices"][1]["sources"][0]["parameters"] = {"weight": 3}
    found = shares(tree)
    assert [found[of_layer(i, QUERY)] for i in range(3)] == [2, 3, 3]


def test_filters_see_input_names_for_models_and_output_names_for_the_rest(two):
    # Layer 0 of the output is layer 2 of the model.
    by_input = [{"filter": "layers.2.", "value": 5}, {"value": 1}]
    by_output = [{"filter": "layers.0.", "value": False}, {"value": True}]
    tree = sliced(
        "linear", [(two[1], 2, 3)], [(two[1], 0, 1)], weight=by_input, normalize=by_output
    )
    found = shares(tree)
    assert found[of_layer(0, QUERY)] == 5  # not normalised
    assert found[of_layer(1, QUERY)] == 1


def test_numbers_may_be_spelled_as_text(two):
    assert shares(weighted(two, 1, "3e0"))[NORM] == 0.75


def test_defaults_hold_where_nothing_is_given(two):
    assert shares(recipe("karcher", two[1]))[NORM] == pytest.approx(1)


def test_a_base_needs_no_weight(two):
    assert shares(recipe("task_arithmetic", two[1], base=two[0], weight=2))[NORM] == 2


@pytest.mark.parametrize("weight", [None, [{"filter": "mlp", "value": 1}]])
def test_a_required_weight_that_is_missing_is_named(two, weight):
    tree = weighted(two, 1, weight)
    with pytest.raises((MergeError, RecipeError), match=r"model.embed_tokens.weight.*weight.*ones"):
        plan_of(tree)


def test_a_parameter_that_the_method_lacks_is_refused_with_its_place(two):
    tree = weighted(two, 1, 1)
    tree["models"][1]["parameters"]["wieght"] = 1
    message = r"(?s)^recipe.models.1.parameters.wieght: unknown parameter of linear.*'weight'"
    with pytest.raises(RecipeError, match=message):
        plan_of(tree)


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_shared_parameter_of_one_model_is_refused(two, everywhere):
    tree = recipe("slerp", *two, base=two[0], parameters={"t": 0.5} if everywhere else {})
    tree["models"][1]["parameters"] = {"t": 0.5}
    with pytest.raises(RecipeError, match=r"^recipe.models.1.parameters.t: t is one value for"):
        plan_of(tree)


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("ties", {"trim": "globl"}, "trim.*globl.*tensor, global"),
        ("ties", {"density": "half"}, "density.*found 'half'; expected a number"),
        ("ties", {"normalize": 2}, "normalize.*found 2; expected true or false"),
        ("dare_ties", {"rescale": "yes please"}, "rescale.*true, false, l1, density"),
        ("della", {"density": 0.5, "epsilon": 0.5}, r"epsilon 0.5 does not fit density 0.5"),
        ("linear", {"weight": 0}, "the weights 0, 0 sum to zero.*models: ones, zeros"),
    ],
)
def test_wrong_values_are_refused_before_any_weight_is_read(two, method, given, message):
    tree = recipe(method, two[1], base=two[0], **{"weight": 1} | given)
    with pytest.raises((RecipeError, MergeError), match=f"(?s){message}"):
        plan_of(tree)


@pytest.mark.parametrize("density", [1.5, -0.1])
def test_densities_outside_are_warned_of_once(two, density):
    with pytest.warns(UserWarning, match=rf"density {density:g} lies outside \[0, 1\]") as found:
        plan_of(recipe("ties", two[1], base=two[0], weight=1, density=density))
    assert len(found) == 1


def test_noise_has_the_address_of_the_output(two):
    tree = sliced(
        "dare_linear",
        [(two[0], 0, 1), (two[1], 0, 1)],
        [(two[0], 0, 1), (two[1], 0, 1)],
        base=two[0],
        weight=1,
        density=0.4,
        rescale=False,
    )
    found = merged(tree | {"seed": 11})
    for layer in range(2):
        name = of_layer(layer, QUERY)
        numbers = draws(noise_key(11, 1, name), 0, 36).reshape(6, 6)
        np.testing.assert_array_equal(found[name] == 1, numbers < 0.4 * DRAWS)
