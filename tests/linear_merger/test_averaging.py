"""The mean of networks is the mean of their weights, and nothing is averaged that cannot be."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from evomerge.linear_merger import Asymmetric, LinearMerger, average, with_masks
from tests.linear_merger.networks import network, noise


def masked(seed: int) -> nn.Module:
    return with_masks(network(seed, 6, 8, 3))


def same(first: nn.Module, second: nn.Module) -> bool:
    mine, yours = first.state_dict(), second.state_dict()
    return all(torch.equal(mine[name], yours[name]) for name in mine.keys() | yours.keys())


def test_the_mean_of_two_layers_by_hand():
    one, two = nn.Linear(2, 1), nn.Linear(2, 1)
    one.load_state_dict({"weight": torch.tensor([[1.0, 2.0]]), "bias": torch.tensor([4.0])})
    two.load_state_dict({"weight": torch.tensor([[3.0, 6.0]]), "bias": torch.tensor([0.0])})
    mean, tilted = average([one, two]), average([one, two], [1, 3])
    assert (mean.weight.tolist(), mean.bias.tolist()) == ([[2.0, 4.0]], [2.0])
    assert (tilted.weight.tolist(), tilted.bias.tolist()) == ([[2.5, 5.0]], [1.0])


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=5))
def test_networks_that_agree_are_left_alone(shares: list[float]):
    model = masked(0)
    mean = average([model] * len(shares), shares)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(mean.state_dict()[name], tensor, rtol=1e-6, atol=0)
    assert torch.equal(mean.get_submodule("0").frozen, model.get_submodule("0").frozen)


def test_all_of_one_is_that_one():
    first, second = masked(0), masked(1)
    assert same(average([first, second], [1, 0]), first)
    assert same(average([first, second], [0, 5]), second)


def test_the_networks_are_left_as_they_were():
    first, second = masked(0), masked(1)
    average([first, second])
    assert same(first, masked(0))
    assert same(second, masked(1))


def test_what_is_fixed_stays_and_what_is_free_is_averaged():
    layers = [LinearMerger(32, 8, name="up", seed=seed) for seed in (0, 1)]
    mean = average(layers)
    mask = mean.mask
    assert torch.equal(mean.weight[~mask], layers[0].weight[~mask])
    torch.testing.assert_close(mean.free, (layers[0].free + layers[1].free) / 2)


def test_running_statistics_are_averaged_and_counts_are_not():
    norms = [nn.BatchNorm1d(2), nn.BatchNorm1d(2)]
    norms[0](noise(0, 9, 2))
    mean = average(norms)
    torch.testing.assert_close(mean.running_var, (norms[0].running_var + 1) / 2)
    assert mean.num_batches_tracked == 1


def test_half_precision_is_summed_in_full():
    layers = [nn.Linear(64, 64, bias=False).bfloat16() for _ in range(5)]
    exact = torch.stack([layer.weight.detach().double() for layer in layers]).mean(0)
    assert torch.equal(average(layers).weight, exact.bfloat16())


def test_tied_weights_stay_tied():
    def tied(seed: int) -> nn.Module:
        model = nn.ModuleDict({"table": nn.Embedding(10, 4), "head": nn.Linear(4, 10, bias=False)})
        model["table"].weight.data = noise(seed, 10, 4)
        model["head"].weight = model["table"].weight
        return model

    mean = average([tied(0), tied(1)])
    assert mean["head"].weight is mean["table"].weight
    torch.testing.assert_close(mean["head"].weight, (noise(0, 10, 4) + noise(1, 10, 4)) / 2)


@pytest.mark.parametrize(
    ("networks", "shares", "message"),
    [
        ([], None, "networks: found none"),
        ([masked(0)], [1, 2], "shares: found 2 for 1 networks"),
        ([masked(0), masked(1)], [1, -1], "shares: their sum is 0; expected a number other than 0"),
        ([masked(0)], [float("nan")], "shares: their sum is nan"),
        (
            [network(0, 6, 8, 3), network(0, 6, 9, 3)],
            None,
            r"networks.1: 0.weight has shape \(9, 6\), the first's \(8, 6\)",
        ),
        ([network(0, 6, 3), masked(0)], None, "networks.1: 0.free is not in both"),
        (
            [masked(0), with_masks(network(1, 6, 8, 3), Asymmetric(seed=1))],
            None,
            "networks.1: 0.mask is not the first's; make all networks with one mask, seed and",
        ),
        (
            [masked(0), with_masks(network(1, 6, 8, 3), Asymmetric(scale=2))],
            None,
            "networks.1: 0.frozen is not the first's",
        ),
    ],
)
def test_what_cannot_be_averaged_is_refused(networks, shares, message: str):
    with pytest.raises(ValueError, match=message):
        average(networks, shares)
