"""A normal form: copies have one and the same, and are found by it; strangers are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evomerge.aligners.base import Pair, Settings, align
from evomerge.alignment.canonical import canonical
from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import invert
from evomerge.alignment.layout import GROUPS, Layout, Span, UnitGroup
from evomerge.alignment.live import layout_of_model, move_model
from evomerge.alignment.places import Place
from evomerge.zoo.random_models import random_model
from tests.alignment.kinds import KINDS, in_memory
from tests.alignment.planting import reader


def weights(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("kind", KINDS)
def test_copies_have_one_form_and_compute_what_they_did(kind, folders):
    """Whatever was done to a model: in its normal form it is what it is in any other."""
    one, other = (in_memory(folders(kind)) for _ in range(2))
    layout = layout_of_model(one)
    move_model(other, random_element(layout, 0))
    for model in (one, other):
        assert move_model(model, canonical(layout, reader(model))) <= 1e-10
    for name, parameter in weights(one).items():
        torch.testing.assert_close(weights(other)[name], parameter, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen3"])
def test_a_form_has_itself_as_its_form(kind, folders):
    model = in_memory(folders(kind))
    layout = layout_of_model(model)
    move_model(model, canonical(layout, reader(model)))
    before = weights(model)
    move_model(model, canonical(layout, reader(model)))
    for name, parameter in weights(model).items():
        torch.testing.assert_close(parameter, before[name], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_planted_symmetries_are_recovered(kind, folders):
    anchor, source = (in_memory(folders(kind), torch.float32) for _ in range(2))
    layout = layout_of_model(anchor)
    planted = random_element(layout, 1)
    move_model(source, planted)
    pair = Pair(layout, reader(anchor), reader(source))
    found = align(pair, Settings("canonical")).element
    for name, move in invert(planted).items():
        assert (found[name].order == move.order).all()
    assert move_model(source, found) <= 1e-5
    for name, parameter in weights(anchor).items():
        torch.testing.assert_close(weights(source)[name], parameter, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("group", GROUPS)
def test_one_group_alone(group, folders):
    anchor, source = (in_memory(folders("llama")) for _ in range(2))
    layout = layout_of_model(anchor)
    move_model(source, random_element(layout.only([group]), 1))
    pair = Pair(layout, reader(anchor), reader(source))
    move_model(source, align(pair, Settings("canonical", [group])).element)
    for name, parameter in weights(anchor).items():
        torch.testing.assert_close(weights(source)[name], parameter, rtol=1e-8, atol=1e-10)


def test_a_permuted_copy_is_equal_to_the_bit(folders):
    """Without factors nothing is rounded: two files of the same numbers."""
    one, other = (in_memory(folders("gpt2"), torch.float32) for _ in range(2))
    layout = layout_of_model(one).only(["residual", "neurons"])
    move_model(other, random_element(layout, 0))
    for model in (one, other):
        move_model(model, canonical(layout, reader(model)))
    assert all(map(torch.equal, weights(one).values(), weights(other).values()))


def test_it_brings_strangers_no_nearer(session_folder):
    """Weight matching does."""
    folder = session_folder / "normal"
    models = [in_memory(random_model(folder / str(n), "llama", seed=n)) for n in range(2)]
    layout = layout_of_model(models[0])
    pair = Pair(layout, *map(reader, models))
    groups = ("residual", "neurons")
    by_form, by_weights = (
        {fit.group: fit for fit in align(pair, Settings(method, groups)).fits}
        for method in ("canonical", "weight_matching")
    )
    for group in groups:
        gain = by_form[group].after - by_form[group].before
        assert gain < 0.3 * (by_weights[group].after - by_weights[group].before)
    found = align(pair, Settings("canonical")).element
    assert move_model(models[1], found) <= 1e-10


def test_keys_by_hand():
    """The neuron that writes and reads more comes first, however its factor is shared."""
    writes, reads = (Span("neurons.0", Place("neurons", role)) for role in ("writes", "reads"))
    layout = Layout(
        {"neurons.0": UnitGroup(2, signed=True, scaled=True)},
        {"in": ((writes,), ()), "out": ((), (reads,))},
    )
    tensors = {"in": np.array([[-3.0], [0.5]]), "out": np.array([[1.0, 8.0]])}
    found = canonical(layout, tensors.__getitem__)["neurons.0"]
    assert found.order.tolist() == [1, 0]
    # 0.5 · 8 = 2 · 2, and 3 · 1 = √3 · √3, where what is written becomes positive.
    np.testing.assert_allclose(found.scales, [4.0, -1 / np.sqrt(3)])
