"""Promises of sharing: tensors that nothing in the recipe tells apart have the same parameters."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.merging.parameters import Distinctions, resolve
from evomerge.methods.base import merge_methods
from evomerge.recipe import Recipe
from tests.merging.tiny import llama, model, plan_of, recipe

TIES = merge_methods["ties"]
NAMES = ["embed", "0.mlp.up", "0.attn.q", "1.mlp.up"]
FILTERS = st.sampled_from(["mlp", "0.", "up", "nowhere", "*"])

numbers = st.sampled_from([0.0, 0.25, 1.0])
gradients = st.lists(numbers, min_size=1, max_size=3)
entries = st.builds(
    lambda part, value: {"filter": part, "value": value}, FILTERS, numbers | gradients
)
values = numbers | gradients | st.lists(entries, min_size=1, max_size=3)


@st.composite
def settings_of(draw):
    """Parameters of TIES as a recipe reads them; weight always has a value in the end."""
    given = {name: draw(values) for name in draw(st.sets(st.sampled_from(["weight", "density"])))}
    tree = {"merge_method": "ties", "models": [{"model": "a"}], "parameters": given}
    return Recipe.from_tree(tree).parameters


@given(settings_of(), settings_of())
def test_tensors_with_equal_distinctions_have_equal_parameters(own, shared):
    scopes = [shared, {"weight": 0.5}]
    distinctions = Distinctions.among([own, *scopes])
    found = {}
    for name, t in product(NAMES, [0.0, 0.5, 1.0]):
        key = distinctions.of([name, name], t)
        parameters = resolve(TIES, [("model", name, own)], scopes, name, t)
        assert found.setdefault(key, parameters) == parameters


@pytest.mark.parametrize(
    ("weight", "kinds"),
    [(0.5, 1), ([0.2, 0.6], 2), ([{"filter": "mlp", "value": 0.2}, {"value": 0.6}], 2)],
    ids=["scalar", "gradient", "conditions"],
)
def test_a_plan_has_as_many_parameters_as_the_recipe_makes_differences(tmp_path, weight, kinds):
    folders = [model(tmp_path / str(i), llama(layers=2)) for i in range(2)]
    plan = plan_of(recipe("linear", *folders, weight=weight))
    assert len({id(tensor.parameters) for tensor in plan.tensors}) == kinds
    assert len({repr(tensor.parameters) for tensor in plan.tensors}) == kinds
