"""Promises of recipes of several methods: each tensor is made as if its method made all of them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from evomerge.errors import EvomergeError, RecipeError
from evomerge.merging.stream import Options
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
    same,
    sliced,
    tuned,
)

# By method its parameters: for each of the two models, and for both.
METHODS = {
    "linear": ({"weight": 0.4}, {}),
    "ties": ({"weight": 0.7, "density": 0.5}, {"lambda": 0.9, "trim": "global"}),
    "dare_ties": ({"weight": 0.5, "density": 0.6}, {"rescale": False}),
    "task_arithmetic": ({"weight": 0.3}, {"normalize": False}),
    "model_stock": ({}, {"filter_wise": True}),
}


@pytest.fixture(scope="module")
def three(module_folder):
    """A base and two fine-tunes of it, of four layers."""
    base = llama(0, layers=4)
    tensors = {"base": base, "first": tuned(base, 1), "second": tuned(base, 2, 0.3)}
    return [model(module_folder / name, each) for name, each in tensors.items()]


@pytest.mark.parametrize("kernels", [True, False], ids=["fused", "torch"])
@pytest.mark.parametrize(
    ("one", "other"), list(permutations(["ties", "dare_ties", "task_arithmetic", "linear"], 2))
)
def test_every_tensor_is_made_as_by_its_method_alone(three, one, other, kernels):
    base, first, second = three
    tree = recipe("ties", base, first, second, base=base, seed=5)
    settings = [{"weight": 0.4}, {"weight": 0.7, "density": 0.5}, {"weight": 0.2, "density": 0.9}]
    for entry, own in zip(tree["models"], settings, strict=True):
        entry["parameters"] = own
    options = Options(kernels=kernels)

    def made(method):
        known = {"density"} if method == "linear" else set()
        models = [
            {**e, "parameters": {k: v for k, v in e["parameters"].items() if k not in known}}
            for e in tree["models"]
        ]
        return merged(tree | {"models": models, "merge_method": method}, options)

    mixed = [{"filter": "mlp", "value": one}, {"filter": NORM, "value": one}, {"value": other}]
    found = merged(tree | {"merge_method": mixed}, options)
    ones, others = made(one), made(other)
    expected = {name: (ones if "mlp" in name or name == NORM else others)[name] for name in found}
    same(found, expected)
    assert not np.array_equal(ones[EMBEDDING], others[EMBEDDING])


def test_a_slice_has_its_own_method_and_the_ends_follow_their_slices(three):
    base = three[0]
    shares = {"base": 0.2, "first": 0.5, "second": 0.3}

    def of(*methods):
        cuts = [(0, 2), (2, 4)]
        tree = sliced("ties", *([(each, *cut) for each in three] for cut in cuts), base=base)
        for part, method in zip(tree["slices"], methods, strict=True):
            part["merge_method"] = method
            for source in part["sources"]:
                source["parameters"] = {"weight": shares[source["model"].rpartition("/")[2]]}
        return merged(tree)

    found = of("ties", [{"filter": "mlp", "value": "task_arithmetic"}, {"value": "linear"}])
    ties, linear, sums = (of(name, name) for name in ("ties", "linear", "task_arithmetic"))
    for name in (EMBEDDING, of_layer(0, QUERY), of_layer(1, UP)):
        np.testing.assert_array_equal(found[name], ties[name])
    for name in (of_layer(2, QUERY), of_layer(3, QUERY), NORM, HEAD):
        np.testing.assert_array_equal(found[name], linear[name])
    np.testing.assert_array_equal(found[of_layer(3, UP)], sums[of_layer(3, UP)])
    assert not np.array_equal(ties[UP_3 := of_layer(3, UP)], sums[UP_3])


def test_a_global_trim_ranks_the_tensors_of_its_method_alone(three):
    base, first, _ = three
    tree = recipe("ties", first, base=base, density=0.25, weight=1, trim="global")
    tree["merge_method"] = [{"filter": "mlp", "value": "ties"}, {"value": "task_arithmetic"}]
    found = merged(tree)
    before, after = llama(0, layers=4), tuned(llama(0, layers=4), 1)
    names = [of_layer(i, UP) for i in range(4)]
    deltas = np.concatenate([(after[name] - before[name]).ravel() for name in names])
    kept = np.abs(deltas) >= np.sort(np.abs(deltas))[-int(0.25 * deltas.size)]
    trimmed = np.split(deltas * kept, 4)
    for name, delta in zip(names, trimmed, strict=True):
        expected = before[name] + delta.reshape(before[name].shape)
        np.testing.assert_allclose(found[name], expected, atol=1e-6)
    np.testing.assert_allclose(found[NORM], after[NORM], atol=1e-6)


@pytest.mark.parametrize(("one", "other"), list(permutations(METHODS, 2)))
def test_parameters_of_either_method_may_be_given_and_are_read_by_their_own(three, one, other):
    base, *experts = three
    own, shared = (METHODS[other][i] | METHODS[one][i] for i in (0, 1))
    listed = three if "linear" in {one, other} else experts
    tree = recipe(other, *listed, base=base, parameters=shared)
    for entry in tree["models"]:
        entry["parameters"] = own
    tree["merge_method"] = [{"filter": "mlp", "value": one}, {"value": other}]
    for tensor in plan_of(tree).tensors:
        assert tensor.method.name == (one if "mlp" in tensor.info.name else other)
        found = {**tensor.parameters.shared, **tensor.parameters.per_model}
        assert found.keys() == tensor.method.params.keys()
        for name in own.keys() & found.keys():
            assert set(found[name]) == {own[name]}
        for name in shared.keys() & found.keys():
            assert found[name] == shared[name]


def test_the_base_is_an_input_for_one_method_and_the_origin_for_the_other(three):
    base, first, second = three
    tree = recipe("ties", base, first, second, base=base, weight=1)
    tree["merge_method"] = [{"filter": "mlp", "value": "linear"}, {"value": "ties"}]
    for tensor in plan_of(tree).tensors:
        is_linear = "mlp" in tensor.info.name
        assert len(tensor.inputs) == (3 if is_linear else 2)
        assert (tensor.base is None) == is_linear


def refusal(tree) -> str:
    with pytest.raises(EvomergeError) as error:
        plan_of(tree)
    return str(error.value)


def mixed(three, *methods, **parameters):
    base, *experts = three
    tree = recipe("ties", *experts, base=base, **parameters)
    tree["merge_method"] = [
        {"filter": "self_attn", "value": methods[0]},
        {"value": methods[1]},
    ]
    return tree


def test_a_method_that_wants_other_models_is_named_with_a_tensor_and_the_other_method(three):
    said = refusal(mixed(three, "slerp", "ties", weight=1, t=0.5))
    assert said == (
        f"{of_layer(0, QUERY)}: to be merged by slerp; recipe.models: found 3 "
        f"({three[1]}, {three[2]}, {three[0]}); slerp merges exactly 2, the base counted\n"
        f"       ties merges {EMBEDDING} in the same slice"
    )


def test_a_missing_base_is_said_to_be_missed_by_one_of_the_methods(three):
    tree = mixed(three, "ties", "linear", weight=1)
    del tree["base_model"]
    said = refusal(tree)
    assert said.startswith(
        f"{of_layer(0, QUERY)}: to be merged by ties; recipe.base_model: missing"
    )
    assert f"linear merges {EMBEDDING}" in said


def test_the_models_of_a_method_that_makes_no_tensor_are_not_counted(three):
    tree = mixed(three, "slerp", "ties", weight=1)
    tree["merge_method"][0]["filter"] = "cross_attention"
    assert {tensor.method.name for tensor in plan_of(tree).tensors} == {"ties"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"merge_method": [{"filter": "a", "value": "tise"}, {"value": "ties"}]},
            "recipe.merge_method: unknown merge method 'tise'; did you mean 'ties'?",
        ),
        (
            {"parameters": {"weight": 1, "t": 0.5}},
            "recipe.parameters.t: unknown parameter of ties or linear 't'",
        ),
        (
            {"parameters": {"weight": 1, "trim": "row"}},
            "recipe.parameters.trim: found 'row'; available: tensor, global",
        ),
    ],
)
def test_what_no_method_knows_is_refused_with_its_place(three, change, expected):
    assert refusal(mixed(three, "ties", "linear") | change).startswith(expected)


def test_a_value_for_one_model_must_be_so_for_one_of_the_methods(three):
    tree = mixed(three, "ties", "linear", weight=1)
    tree["models"][0]["parameters"] = {"normalize": True}
    assert "normalize is one value for all models of ties or linear" in refusal(tree)


def test_a_value_must_be_one_to_the_method_of_its_tensors(three):
    tree = mixed(three, "dare_ties", "ties", weight=1, density=0.5, rescale="l1")
    said = refusal(tree)
    assert said == f"parameter 'rescale' of {EMBEDDING}: found 'l1'; expected true or false"
    tree["parameters"]["rescale"] = [{"filter": "self_attn", "value": "l1"}, {"value": True}]
    found = {t.info.name: t.parameters.shared["rescale"] for t in plan_of(tree).tensors}
    assert found[of_layer(0, QUERY)] == "l1"
    assert found[EMBEDDING] is True


def test_an_unknown_method_of_a_slice_is_refused_at_the_slice(three):
    tree = sliced("linear", [(three[0], 0, 2)], [(three[0], 2, 4)], weight=1)
    tree["slices"][1]["merge_method"] = "liner"
    with pytest.raises(RecipeError, match=r"recipe\.slices\.1\.merge_method: unknown merge method"):
        plan_of(tree)


def test_a_parameter_of_a_slice_must_be_one_of_its_own_methods(three):
    tree = sliced("linear", [(three[0], 0, 2)], [(three[0], 2, 4)], weight=1)
    tree["slices"][1] |= {"merge_method": "passthrough", "parameters": {"weight": 2}}
    assert "slices.1.parameters.weight: unknown parameter of passthrough" in refusal(tree)


def test_one_method_in_a_list_is_the_method(three):
    base, *experts = three
    tree = recipe("ties", *experts, base=base, weight=1, density=0.4)
    spelled = [{"filter": "mlp", "value": "ties"}, {"value": "ties"}]
    same(merged(tree | {"merge_method": spelled}), merged(tree))
