"""What is a symmetry of a family changes no logit, and what only looks like one does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from evomerge.alignment.checking import changed_share, logits_of
from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import Heads, Units, compose, identity, invert, nothing
from evomerge.alignment.known import SYMMETRIES
from evomerge.alignment.layout import GROUPS, HeadGroup, Layout, UnitGroup
from evomerge.alignment.live import layout_of_model, move_model
from evomerge.alignment.moving import moved
from evomerge.alignment.rotary import in_planes
from evomerge.errors import AlignmentError
from tests.alignment.kinds import DECLARED, KINDS, in_memory


def test_every_declaration_is_tested():
    assert set(DECLARED) == set(SYMMETRIES)


def change(model: PreTrainedModel, other: PreTrainedModel) -> float:
    """How much logits differ, relative to their norm."""
    before, after = logits_of(model), logits_of(other)
    return float((after - before).norm() / before.norm())


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS)
def test_planted_elements_change_no_logits(kind, seed, folders):
    single, double = (in_memory(folders(kind), t) for t in (torch.float32, torch.float64))
    layout = layout_of_model(double)
    element = random_element(layout, seed)
    before = {name: p.clone() for name, p in double.named_parameters()}
    assert move_model(single, element) <= 1e-5
    assert move_model(double, element) <= 1e-10
    for name, parameter in double.named_parameters():
        roles = {span.place.role for spans in layout.tensors[name] for span in spans}
        # Two groups of heads change places, or not.
        if roles != {"follows"}:
            assert torch.equal(before[name], parameter) == (not roles)


@pytest.mark.parametrize("kind", KINDS)
def test_each_group_is_exact_by_itself(kind, folders):
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        model = in_memory(folders(kind), dtype)
        for group in GROUPS:
            element = random_element(layout_of_model(model).only([group]), 3)
            assert element, group
            assert move_model(model, element) <= tolerance, group


@given(seed=st.integers(0, 10**6), rotary=st.sampled_from([0, 4, 8]))
def test_drawn_elements_are_as_far_from_one_as_they_say(seed, rotary):
    """Factors lie between 0.3 and 3 on either side of 0, and gauges are conditioned to 10."""
    groups = {
        "residual": UnitGroup(16, signed=True),
        "neurons.0": UnitGroup(16, signed=True, scaled=True),
        "heads.0": HeadGroup(4, 2, 8, rotary, normed=False),
    }
    drawn = random_element(Layout(groups, {}), seed)
    assert set(abs(drawn["residual"].scales)) == {1}
    assert ((abs(drawn["neurons.0"].scales) >= 0.3) & (abs(drawn["neurons.0"].scales) <= 3)).all()
    for gauges in (drawn["heads.0"].keys, drawn["heads.0"].values):
        assert (np.linalg.cond(gauges) <= 10 * (1 + 1e-9)).all()
        assert (abs(np.linalg.det(gauges)) > 1e-9).all()


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_tied_head_follows_the_embedding(kind, folders):
    model = in_memory(folders(kind, tied=True))
    assert "lm_head.weight" not in layout_of_model(model).tensors
    assert move_model(model, random_element(layout_of_model(model), 0)) <= 1e-10


def weights(model: PreTrainedModel) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "qwen3", "phi3"])
def test_an_inverse_undoes_and_elements_compose(kind, folders):
    model, twice = in_memory(folders(kind)), in_memory(folders(kind))
    layout, original = layout_of_model(model), weights(model)
    first, second = random_element(layout, 1), random_element(layout, 2)
    move_model(model, first)
    move_model(model, second)
    move_model(twice, compose(second, first))
    torch.testing.assert_close(weights(model), weights(twice), atol=1e-12, rtol=0)
    move_model(twice, invert(compose(second, first)))
    torch.testing.assert_close(weights(twice), original, atol=1e-12, rtol=0)


def test_the_identity_leaves_every_bit(folders):
    model = in_memory(folders("qwen2"))
    original = weights(model)
    assert move_model(model, identity(layout_of_model(model))) == 0
    assert torch.equal(weights(model), original)


def test_a_move_by_hand():
    units = Units(np.array([2, 0, 1]), np.array([1.0, -2.0, 4.0]))
    again = units.after(units)
    assert again.order.tolist() == [1, 2, 0]
    # The unit that came to place 0 was multiplied by 4 when it came to 2, and by 1 now.
    assert again.scales.tolist() == [4.0, -2.0, -8.0]
    assert units.moved() == 3


def test_a_share_of_nothing_is_what_changed():
    none = torch.zeros(2, 3)
    assert changed_share(none, none) == 0
    assert changed_share(none, none + 2) == pytest.approx(2 * 6**0.5)
    assert changed_share(none + 2, none) == 1


def scaled_gate(model, layout):
    with torch.no_grad():
        model.model.layers[0].mlp.gate_proj.weight[:8] *= 2


def query_to_another_group(model, layout):
    heads = nothing(layout.groups["heads.0"])
    order = heads.order.copy()
    order[[0, -1]] = order[[-1, 0]]
    act(model, layout, {"heads.0": replace(heads, order=order)})


def with_keys(matrix):
    def plant(model, layout):
        heads = nothing(layout.groups["heads.0"])
        act(model, layout, {"heads.0": replace(heads, keys=heads.keys * 0 + matrix)})

    return plant


def planes_in_another_order(width: int = 8):
    order = [1, 0, 2, 3]
    return np.eye(width)[[*order, *(4 + place for place in order)]]


def rotation(width: int = 8):
    return np.linalg.qr(np.random.default_rng(0).normal(size=(width, width)))[0]


def phase(width: int = 8):
    return in_planes(np.exp(1j * np.arange(1, width // 2 + 1)), width)


def per_layer_permutations(model, layout):
    """The zipper as it was first told: undone where the next layer reads."""
    random = np.random.default_rng(0)
    one = np.ones(layout.groups["residual"].size)
    orders = [random.permutation(len(one)) for _ in range(len(model.model.layers) + 1)]
    for layer, order in zip(model.model.layers, orders, strict=False):
        with torch.no_grad():
            for writer in (layer.self_attn.o_proj, layer.mlp.down_proj):
                writer.weight.copy_(writer.weight[order])
    for layer, order in zip(model.model.layers[1:], orders, strict=False):
        with torch.no_grad():
            for name in ("q_proj", "k_proj", "v_proj"):
                reader = getattr(layer.self_attn, name)
                reader.weight.copy_(reader.weight[:, order])
            for reader in (layer.mlp.gate_proj, layer.mlp.up_proj):
                reader.weight.copy_(reader.weight[:, order])


def signs(model, layout):
    size = layout.groups["residual"].size
    flipped = np.where(np.arange(size) % 2, -1.0, 1.0)
    act(model, layout, {"residual": Units(np.arange(size), flipped)})


def key_bias(model, layout):
    with torch.no_grad():
        model.model.layers[0].self_attn.k_proj.bias.zero_()


def act(model: PreTrainedModel, layout: Layout, element) -> None:
    """What `move_model` would not let through."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            tensor = moved(parameter.numpy(), layout.tensors[name], element)
            parameter.copy_(torch.from_numpy(tensor.copy()))


BREAKING = {
    "a factor of gates": ("llama", scaled_gate),
    "a query head in another group": ("llama", query_to_another_group),
    "rotary planes in another order": ("llama", with_keys(planes_in_another_order())),
    "a rotation of keys under rotary embeddings": ("llama", with_keys(rotation())),
    "a permutation for each layer": ("llama", per_layer_permutations),
    "signs under LayerNorm": ("gpt2", signs),
    "signs under LayerNorm, NeoX": ("gpt_neox", signs),
    "a phase behind a norm of keys, Qwen3": ("qwen3", with_keys(phase())),
    "a phase behind a norm of keys, Gemma 3": ("gemma3", with_keys(phase())),
    "a phase behind a norm of keys, OLMo 2": ("olmo2", with_keys(phase())),
    "a turn of the unturned part and the planes": ("phi", with_keys(rotation())),
    "no bias of keys under rotary embeddings": ("qwen2", key_bias),
}


@pytest.mark.parametrize("title", BREAKING)
def test_what_breaks_breaks(title, folders):
    kind, plant = BREAKING[title]
    model, broken = in_memory(folders(kind)), in_memory(folders(kind))
    plant(broken, layout_of_model(model))
    assert change(model, broken) > 1e-4


def test_a_factor_of_neurons_without_gates_breaks(folders):
    model, broken = in_memory(folders("gpt2")), in_memory(folders("gpt2"))
    with torch.no_grad():
        broken.transformer.h[0].mlp.c_fc.weight[:, 0] *= 3
        broken.transformer.h[0].mlp.c_proj.weight[0] /= 3
    assert change(model, broken) > 1e-4


def test_a_model_that_an_element_would_break_is_left_as_it_was(folders):
    model = in_memory(folders("gpt2"))
    original = weights(model)
    flipped = {"residual": Units(np.arange(32), np.where(np.arange(32) % 2, -1.0, 1.0))}
    with pytest.raises(AlignmentError, match="GPT2LMHeadModel: its logits would change by a share"):
        move_model(model, flipped)
    assert torch.equal(weights(model), original)


def test_the_bias_of_keys_does_nothing_without_rotary_embeddings(folders):
    model, without = in_memory(folders("gpt2")), in_memory(folders("gpt2"))
    with torch.no_grad():
        without.transformer.h[0].attn.c_attn.bias[32:64] = 0
    assert change(model, without) < 1e-12


def test_heads_keep_their_groups(folders):
    """A layout gives whole groups of query heads, whatever seed."""
    layout = layout_of_model(in_memory(folders("llama")))
    for seed in range(5):
        heads = random_element(layout, seed)["heads.0"]
        assert isinstance(heads, Heads)
        groups = heads.order.reshape(len(heads.keys), -1) // 2
        assert (groups == groups[:, :1]).all()
