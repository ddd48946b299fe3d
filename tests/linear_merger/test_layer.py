"""A LinearMerger is an nn.Linear with a part that never changes."""

from __future__ import annotations

import copy
import io
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from evomerge.linear_merger import Asymmetric, LinearMerger, Rows, Zeros
from evomerge.linear_merger.masks import MASKS
from tests.linear_merger.networks import noise

KINDS = sorted(MASKS)
SHAPES = [(8, 8), (3, 11), (11, 3), (2, 1)]


@pytest.fixture(params=product(KINDS, SHAPES, [True, False]), ids=str)
def layer(request: pytest.FixtureRequest) -> LinearMerger:
    kind, (inputs, outputs), bias = request.param
    return LinearMerger(inputs, outputs, kind, bias=bias, name="layer", seed=1)


def test_it_computes_what_a_linear_layer_with_its_weights_does(layer: LinearMerger):
    inputs = noise(0, 2, 5, layer.in_features)
    outputs = layer(inputs)
    assert outputs.shape == (2, 5, layer.out_features)
    by_hand = inputs @ layer.weight.T
    torch.testing.assert_close(outputs, by_hand if layer.bias is None else by_hand + layer.bias)


def test_only_what_is_free_is_trained(layer: LinearMerger):
    fixed = layer.weight.detach().clone()[~layer.mask]
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, weight_decay=0.5)
    before = layer.weight.detach().clone()
    for step in range(5):
        layer(noise(step, 4, layer.in_features)).square().mean().backward()
        assert not layer.free.grad[~layer.mask].any()
        optimizer.step()
        optimizer.zero_grad()
    assert torch.equal(layer.weight[~layer.mask], fixed)
    assert (layer.weight != before)[layer.mask].all()
    assert not layer.free[~layer.mask].any()


def test_without_a_bias_there_is_none(layer: LinearMerger):
    names = dict(layer.named_parameters()).keys()
    assert names == ({"free"} if layer.bias is None else {"free", "bias"})
    silent = layer(torch.zeros(1, layer.in_features))[0]
    assert torch.equal(silent, torch.zeros_like(silent) if layer.bias is None else layer.bias)


def test_its_twin_computes_the_same_and_is_all_free(layer: LinearMerger):
    twin = layer.twin()
    inputs = noise(0, 5, layer.in_features)
    assert torch.equal(twin(inputs), layer(inputs))
    twin(inputs).sum().backward()
    assert twin.weight.grad.all()
    assert type(twin) is nn.Linear


def test_the_state_dict_has_all_of_it(layer: LinearMerger):
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = LinearMerger(layer.in_features, layer.out_features, bias=layer.bias is not None)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other.weight, layer.weight)
    assert torch.equal(other.mask, layer.mask)


def test_the_global_generator_is_left_alone(layer: LinearMerger):
    before = torch.get_rng_state()
    LinearMerger(layer.in_features, layer.out_features)
    LinearMerger.of(nn.utils.skip_init(nn.Linear, 4, 4))
    layer.twin()
    copy.deepcopy(layer)(noise(0, 1, layer.in_features))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_usual_mask_is_the_asymmetric_one():
    layer = LinearMerger(32, 4)
    mask, frozen = Asymmetric().pattern(4, 32, "")
    assert torch.equal(layer.mask, mask)
    assert torch.equal(layer.weight[~mask], frozen[~mask])


@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_models_that_begin_apart_share_what_is_fixed(first: int, second: int):
    one, other = (LinearMerger(9, 5, name="up", seed=seed) for seed in (first, second))
    assert torch.equal(one.mask, other.mask)
    assert torch.equal(one.frozen, other.frozen)
    assert torch.equal(one.free, other.free) == (first == second)


def test_without_a_seed_every_layer_begins_elsewhere():
    assert not torch.equal(LinearMerger(9, 5).free, LinearMerger(9, 5).free)


def test_what_is_free_begins_as_in_a_linear_layer():
    layer = LinearMerger(100, 400, Zeros(), seed=0)
    free = layer.free[layer.mask]
    # Uniform within 1/√100: its deviation is 0.1/√3.
    assert free.abs().max() <= 0.1
    assert abs(free.std() - 0.1 / 3**0.5) < 1e-3
    assert abs(free.mean()) < 1e-3
    assert layer.bias.abs().max() <= 0.1


def test_a_layer_of_another_keeps_what_is_free():
    dense = nn.Linear(10, 6).double().requires_grad_(False).eval()
    layer = LinearMerger.of(dense, Rows(4), "gate")
    assert torch.equal(layer.weight[layer.mask], dense.weight[layer.mask])
    assert not layer.weight[~layer.mask].any()
    assert torch.equal(layer.bias, dense.bias)
    assert layer.bias is not dense.bias
    assert layer(noise(0, 1, 10).double()).dtype == torch.float64
    assert not layer.training
    assert not any(parameter.requires_grad for parameter in layer.parameters())


def test_it_shows_how_many_weights_are_fixed():
    assert repr(LinearMerger(8, 2)) == (
        "LinearMerger(in_features=8, out_features=2, bias=True, fixed=2)"
    )


@pytest.mark.parametrize("size", [0, -3, 2.5])
def test_a_size_that_is_none_is_refused(size: int):
    for what, sizes in (("in_features", (size, 4)), ("out_features", (4, size))):
        with pytest.raises(ValueError, match=f"{what}: found {size}; expected a whole number"):
            LinearMerger(*sizes)


def test_a_mask_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"mask: unknown mask 'diagonal'\n *available: asymmetric"):
        LinearMerger(4, 4, "diagonal")
