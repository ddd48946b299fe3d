"""Pictures of digits, networks that were trained apart: alignment takes most of what they lose.

On the 8 x 8 pictures that come with scikit-learn.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from evomerge.linear_merger import (
    Examples,
    Training,
    accuracy,
    align_by_activations,
    align_to_anchor,
    align_together,
    average,
    barrier,
    mean_loss,
    train,
)

KNOWN = 1347


@cache
def digits() -> tuple[Examples, Examples]:
    """Those that are known, and those that are asked for."""
    data = pytest.importorskip("sklearn.datasets").load_digits()
    order = torch.randperm(len(data.data), generator=torch.Generator().manual_seed(0))
    pictures, labels = torch.tensor(data.data / 16).float()[order], torch.tensor(data.target)[order]
    return (
        Examples(pictures[:KNOWN], labels[:KNOWN]),
        Examples(pictures[KNOWN:], labels[KNOWN:]),
    )


@cache
def learned(seed: int, width: int) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = (nn.Linear(64, width), nn.Linear(width, width), nn.Linear(width, 10))
    network = nn.Sequential(sizes[0], nn.ReLU(), sizes[1], nn.ReLU(), sizes[2])
    train(network, digits()[0], Training(epochs=20, seed=seed))
    return network


def loss(network: nn.Module) -> float:
    return mean_loss(network, digits()[1])


@pytest.mark.parametrize("width", [64, 128])
def test_of_the_barrier_between_strangers_a_fifth_is_left_at_most(width):
    first, other = (learned(seed, width) for seed in range(2))
    naive = barrier(first, other, loss)
    assert naive > 0.2
    (by_weights,) = align_to_anchor([other], first)
    assert barrier(first, by_weights, loss) < 0.2 * naive
    (by_activations,) = align_by_activations([other], first, digits()[0].inputs)
    assert barrier(first, by_activations, loss) < 0.2 * naive


def test_five_are_better_brought_to_each_other_than_to_one_and_than_as_they_are():
    """By the loss of their mean. By its accuracy, to one and to each other are equally good."""
    five = [learned(seed, 64) for seed in range(5)]
    ways = (five, align_to_anchor(five, five[0]), align_together(five))
    as_they_are, to_one, to_each_other = (average(networks) for networks in ways)
    assert loss(to_each_other) < loss(to_one) < 0.3 * loss(as_they_are)
    known = digits()[1]
    assert accuracy(as_they_are, known) < 0.5
    assert min(accuracy(each, known) for each in (to_one, to_each_other)) > 0.85
