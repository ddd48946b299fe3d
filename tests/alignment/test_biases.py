"""Models that compute the same with other biases are compared as the same."""

from __future__ import annotations

import pytest
import torch

from evomerge.aligners.base import Pair, Settings, align
from evomerge.alignment.biases import comparable
from evomerge.alignment.checking import logits_of
from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import invert
from evomerge.alignment.live import layout_of_model, move_model
from evomerge.alignment.moving import moved
from tests.alignment.kinds import KINDS, in_memory

# The output matrix of each layer, where values and outputs have biases.
OUTPUTS = {
    "gpt2": "transformer.h.{}.attn.c_proj",
    "gpt_neox": "gpt_neox.layers.{}.attention.dense",
    "phi": "model.layers.{}.self_attn.dense",
    "llama_biases": "model.layers.{}.self_attn.o_proj",
}


def reader(model):
    return {name: p.detach().numpy() for name, p in model.named_parameters()}.__getitem__


def compared(model):
    return comparable(layout_of_model(model), reader(model))


def places(model, which):
    """Every part of a bias with a kind of place, as a view that can be written to."""
    layout = layout_of_model(model)
    parameters = dict(model.named_parameters())
    for name, axes in layout.tensors.items():
        for span in (span for span in axes[0] if len(axes) == 1 and span.place.kind == which):
            yield parameters[name].data, slice(None) if span.where is None else span.where


def with_other_key_biases(model):
    generator = torch.Generator().manual_seed(5)
    for bias, where in places(model, "keys"):
        bias[where] = torch.randn(len(bias[where]), generator=generator, dtype=bias.dtype)


def with_values_in_outputs(model, kind):
    """Moves each bias of values into the output's, by running the output matrix on it."""
    layout = layout_of_model(model)
    for layer, (bias, where) in enumerate(places(model, "values")):
        group = layout.groups[f"heads.{layer}"]
        module = model.get_submodule(OUTPUTS[kind].format(layer))
        heads = bias[where].reshape(group.groups, -1).repeat_interleave(group.per_group, 0)
        with torch.no_grad():
            module.bias.copy_(module(heads.reshape(1, -1))[0])
        bias[where] = 0


def change(one, other):
    before, after = logits_of(one), logits_of(other)
    return float((after - before).norm() / before.norm())


def aligned(anchor, source):
    return align(Pair(layout_of_model(anchor), reader(anchor), reader(source)), Settings())


def assert_same(anchor, source):
    assert change(anchor, source) < 1e-10
    found = aligned(anchor, source)
    assert found.siblings
    assert [fit.before for fit in found.fits] == pytest.approx([1.0] * len(found.fits))


def test_another_bias_of_keys_is_no_difference_without_rotary_embeddings(folders):
    anchor, source = (in_memory(folders("gpt2")) for _ in range(2))
    with_other_key_biases(source)
    assert_same(anchor, source)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_bias_of_values_may_stand_in_that_of_the_output(kind, folders):
    anchor, source = (in_memory(folders(kind)) for _ in range(2))
    with_values_in_outputs(source, kind)
    assert_same(anchor, source)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_what_was_planted_besides_is_recovered(kind, folders):
    """And what is written computes the same, with the biases that the source has."""
    anchor, source = (in_memory(folders(kind)) for _ in range(2))
    layout = layout_of_model(anchor)
    with_values_in_outputs(source, kind)
    if kind == "gpt2":
        with_other_key_biases(source)
    planted = random_element(layout, 4)
    move_model(source, planted)
    found = aligned(anchor, source)
    assert [fit.after for fit in found.fits] == pytest.approx([1.0] * len(found.fits))
    undone = invert(planted)
    for name, move in found.element.items():
        assert (move.order == undone[name].order).all()
    assert move_model(source, found.element) <= 1e-10
    for bias, where in places(source, "values"):
        assert (bias[where] == 0).all()


@pytest.mark.parametrize("kind", ["qwen2", "llama_biases"])
def test_under_rotary_embeddings_the_bias_of_keys_is_compared(kind, folders):
    model = in_memory(folders(kind))
    read = compared(model)
    keys = [name for name, _ in model.named_parameters() if name.endswith("k_proj.bias")]
    assert keys
    for name in keys:
        assert (read(name) == reader(model)(name)).all()


def test_a_bias_of_values_stays_where_the_output_has_none(folders):
    model = in_memory(folders("qwen2"))
    read = compared(model)
    for name, parameter in model.named_parameters():
        assert (read(name) == parameter.detach().numpy()).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_compared_moves_as_the_model_does(kind, folders):
    model, copy = (in_memory(folders(kind)) for _ in range(2))
    layout = layout_of_model(model)
    element = random_element(layout, 2)
    move_model(copy, element)
    before, after = compared(model), compared(copy)
    for name, axes in layout.tensors.items():
        expected = torch.from_numpy(moved(before(name), axes, element).copy())
        torch.testing.assert_close(torch.from_numpy(after(name)), expected, rtol=1e-9, atol=1e-11)
