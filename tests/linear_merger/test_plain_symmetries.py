"""Plain networks are declared too: their hidden units may stand in any order."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import compose, invert
from evomerge.linear_merger import align_to_anchor
from evomerge.linear_merger.aligning import applied, layout_of

ACTIVATIONS = (nn.ReLU, nn.GELU, nn.Tanh)
SIZES = st.lists(st.integers(1, 12), min_size=1, max_size=3)


def plain(seed: int, hidden: list[int], *, activation=nn.ReLU, norm: bool, bias: bool):
    """Layers with a bias or without, a LayerNorm between or none, every number drawn."""
    layers: list[nn.Module] = []
    for before, after in zip([5, *hidden], hidden, strict=False):
        layers += [nn.Linear(before, after, bias=bias), *([nn.LayerNorm(after)] if norm else [])]
        layers.append(activation())
    network = nn.Sequential(*layers, nn.Linear(hidden[-1], 3, bias=bias)).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        drawn = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        parameter.data = drawn
    return network


def outputs(network: nn.Module) -> torch.Tensor:
    dtype = next(network.parameters()).dtype
    probes = torch.randn(20, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return network(probes.to(dtype)).detach()


def changed(network: nn.Module, other: nn.Module, share: float) -> bool:
    """Whether outputs differ by more than a share of their norm, which may be 0."""
    before, after = outputs(network).double(), outputs(other).double()
    return bool((after - before).norm() > share * before.norm())


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    hidden=SIZES,
    activation=st.sampled_from(ACTIVATIONS),
    norm=st.booleans(),
    bias=st.booleans(),
)
def test_planted_elements_change_no_output_and_are_recovered(seed, hidden, activation, norm, bias):
    network = plain(seed, hidden, activation=activation, norm=norm, bias=bias)
    layout = layout_of([network])
    element = random_element(layout, seed)
    moved = applied(network, layout, element)
    assert not changed(network, moved, 1e-10)
    single = copy.deepcopy(network).float()
    assert not changed(single, applied(single, layout, element), 1e-5)
    (back,) = align_to_anchor([moved], network)
    assert all(map(torch.equal, back.parameters(), network.parameters()))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), hidden=SIZES)
def test_elements_compose_and_are_undone(seed, hidden):
    network = plain(seed, hidden, norm=True, bias=True)
    layout = layout_of([network])
    first, second = random_element(layout, seed), random_element(layout, seed + 1)
    twice = applied(applied(network, layout, first), layout, second)
    whole = compose(second, first)
    assert all(map(torch.equal, applied(network, layout, whole).parameters(), twice.parameters()))
    back = applied(twice, layout, invert(whole))
    assert all(map(torch.equal, back.parameters(), network.parameters()))


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU])
def test_signs_of_hidden_units_break(activation):
    network = plain(0, [8], activation=activation, norm=False, bias=True)
    broken = copy.deepcopy(network)
    for tensor in (broken[0].weight.data, broken[0].bias.data, broken[2].weight.data.T):
        tensor[0] *= -1
    assert changed(network, broken, 1e-3)
