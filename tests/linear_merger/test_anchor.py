"""Networks without masks, brought to an anchor: what they compute stays, where it is done moves."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from evomerge.linear_merger import (
    Training,
    align_by_activations,
    align_to_anchor,
    average,
    train,
    with_masks,
)
from evomerge.linear_merger.units import hidden_units
from tests.linear_merger.networks import classes, network, noise


def shuffled(model: nn.Sequential, seed: int) -> nn.Sequential:
    """A copy whose hidden units stand in another order: written out for ``network``'s layers."""
    copied = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for at in range(0, len(copied) - 1, 3):
        before, norm, after = copied[at], copied[at + 1], copied[at + 3]
        order = torch.randperm(before.out_features, generator=generator)
        for tensor in (before.weight, before.bias, norm.weight, norm.bias):
            tensor.data = tensor.data[order]
        after.weight.data = after.weight.data[:, order]
    return copied


def learned(seed: int, *sizes: int) -> nn.Sequential:
    model = network(seed, *sizes)
    train(model, classes(1, 100, sizes[0], sizes[-1]), Training(epochs=3, batch=20, seed=seed))
    return model


def distance(first: nn.Module, second: nn.Module) -> float:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return sum(float((a - b).detach().square().sum()) for a, b in pairs) ** 0.5


@settings(max_examples=20)
@given(st.integers(0, 1000), st.lists(st.integers(1, 24), min_size=1, max_size=4))
def test_a_shuffled_copy_becomes_the_anchor_again(seed: int, hidden: list[int]):
    anchor = network(seed, 5, *hidden, 3)
    (back,) = align_to_anchor([shuffled(anchor, seed)], anchor, seed=seed)
    assert all(map(torch.equal, back.parameters(), anchor.parameters()))


@settings(max_examples=10)
@given(
    st.integers(0, 1000),
    st.lists(st.integers(3, 24), min_size=1, max_size=4),
    st.sampled_from(["raw", "centred", "correlation"]),
)
def test_what_units_do_tells_the_same(seed: int, hidden: list[int], statistic: str):
    anchor = network(seed, 5, *hidden, 3)
    moved, inputs = shuffled(anchor, seed), noise(seed, 40, 5)
    (back,) = align_by_activations([moved], anchor, inputs, statistic=statistic)
    assert all(map(torch.equal, back.parameters(), anchor.parameters()))


def test_strangers_brought_together_by_activations_compute_what_they_did():
    anchor, other = learned(0, 6, 24, 24, 3), learned(10, 6, 24, 24, 3)
    (aligned,) = align_by_activations([other], anchor, noise(1, 99, 6))
    probes = noise(0, 50, 6)
    torch.testing.assert_close(aligned(probes), other(probes))
    assert distance(aligned, anchor) < distance(other, anchor)


@pytest.mark.parametrize("seed", range(4))
def test_what_a_network_computes_stays_and_it_comes_nearer(seed: int):
    anchor, other = learned(seed, 6, 24, 24, 3), learned(seed + 10, 6, 24, 24, 3)
    (aligned,) = align_to_anchor([other], anchor)
    probes = noise(0, 50, 6)
    torch.testing.assert_close(aligned(probes), other(probes))
    assert distance(aligned, anchor) < distance(other, anchor)
    assert all(map(torch.equal, other.parameters(), learned(seed + 10, 6, 24, 24, 3).parameters()))


def test_the_anchor_itself_stays_as_it_is():
    anchor = learned(0, 6, 24, 3)
    (same, moved) = align_to_anchor([anchor, shuffled(anchor, 1)], anchor)
    assert all(map(torch.equal, same.parameters(), anchor.parameters()))
    assert all(map(torch.equal, moved.parameters(), anchor.parameters()))
    assert same is not anchor


def test_copies_in_any_order_average_to_what_they_were():
    anchor = learned(0, 6, 24, 24, 3)
    copies = [shuffled(anchor, seed) for seed in range(3)]
    mean = average(align_to_anchor(copies, anchor))
    torch.testing.assert_close(mean(noise(0, 20, 6)), anchor(noise(0, 20, 6)))


def test_running_statistics_move_with_their_units():
    def normed() -> nn.Sequential:
        model = nn.Sequential(nn.Linear(4, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 2))
        model(noise(0, 30, 4))
        return model

    first, second = normed(), normed()
    (aligned,) = align_to_anchor([second], first)
    torch.testing.assert_close(aligned.eval()(noise(1, 9, 4)), second.eval()(noise(1, 9, 4)))
    assert not torch.equal(aligned[1].running_mean, second[1].running_mean)


def test_where_hidden_units_stand():
    (group,) = hidden_units(nn.Sequential(nn.Linear(4, 9), nn.BatchNorm1d(9), nn.Linear(9, 2)))
    assert [(place.tensor, place.axis, place.trained) for place in group] == [
        ("0.weight", 0, True),
        ("0.bias", 0, True),
        ("1.weight", 0, True),
        ("1.bias", 0, True),
        ("1.running_mean", 0, False),
        ("1.running_var", 0, False),
        ("2.weight", 1, True),
    ]


def test_nothing_is_drawn_from_the_global_generator():
    anchor, other = learned(0, 6, 9, 3), learned(1, 6, 9, 3)
    before = torch.get_rng_state()
    align_to_anchor([other], anchor)
    assert torch.equal(torch.get_rng_state(), before)


def test_networks_of_sixteen_bits_move_too():
    anchor = network(0, 6, 12, 3).bfloat16()
    (back,) = align_to_anchor([shuffled(anchor, 1)], anchor)
    assert all(map(torch.equal, back.parameters(), anchor.parameters()))


def broken() -> nn.Sequential:
    model = network(0, 6, 8, 3)
    model[0].weight.data[0, 0] = float("nan")
    return model


def looped() -> nn.Sequential:
    middle = nn.Linear(8, 8)
    return nn.Sequential(nn.Linear(6, 8), middle, nn.ReLU(), middle, nn.Linear(8, 3))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: nn.Linear(6, 3), "network: found Linear; expected an nn.Sequential of linear"),
        (
            lambda: nn.Sequential(nn.Linear(6, 8), nn.Softmax(-1), nn.Linear(8, 3)),
            "1: Softmax may not treat all hidden units alike",
        ),
        (lambda: with_masks(network(0, 6, 8, 3)), "0: is a LinearMerger, whose units have their"),
        (broken, "0.weight: holds NaN or infinity"),
        (looped, "3: is the layer 1 again; expected each layer with weights once"),
    ],
    ids=["no sequence", "softmax", "masks", "NaN", "a loop"],
)
def test_networks_that_cannot_be_aligned_are_refused(made, message: str):
    with pytest.raises(ValueError, match=message):
        align_to_anchor([made()], made())


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (noise(0, 7, 6), {}, "inputs: found 7; expected 8 or more, as many as a hidden layer has"),
        (noise(0, 9, 6) * torch.inf, {}, "anchor: what 3 reads: holds NaN or infinity"),
        (noise(0, 9, 6), {"statistic": "rank"}, "statistic: unknown statistic 'rank'"),
    ],
)
def test_what_cannot_be_shown_is_refused(inputs, options, message: str):
    model = network(0, 6, 8, 3)
    with pytest.raises(ValueError, match=message):
        align_by_activations([model], model, inputs, **options)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (network(0, 6, 9, 3), r"networks.1: 0.weight has shape \(9, 6\), the first's \(8, 6\)"),
        (network(0, 6, 8, 8, 3), "networks.1: .* is not in both it and the first"),
    ],
)
def test_networks_of_other_sizes_are_refused(other: nn.Module, message: str):
    with pytest.raises(ValueError, match=message):
        align_to_anchor([other], network(0, 6, 8, 3))
