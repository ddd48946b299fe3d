"""Pictures of digits, two networks that were trained apart: alignment takes most of the barrier."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from evomerge.linear_merger import (
    Examples,
    Training,
    align_to_anchor,
    barrier,
    mean_loss,
    train,
)

KNOWN = 1347


def learned(seed: int, width: int, known: Examples) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = (nn.Linear(64, width), nn.Linear(width, width), nn.Linear(width, 10))
    network = nn.Sequential(sizes[0], nn.ReLU(), sizes[1], nn.ReLU(), sizes[2])
    train(network, known, Training(epochs=20, seed=seed))
    return network


@pytest.mark.parametrize("width", [64, 128])
def test_of_the_barrier_between_strangers_a_third_is_left_at_most(width):
    """On the 8 x 8 pictures that come with scikit-learn."""
    data = pytest.importorskip("sklearn.datasets").load_digits()
    order = torch.randperm(len(data.data), generator=torch.Generator().manual_seed(0))
    pictures, labels = torch.tensor(data.data / 16).float()[order], torch.tensor(data.target)[order]
    known = Examples(pictures[:KNOWN], labels[:KNOWN])
    asked = Examples(pictures[KNOWN:], labels[KNOWN:])
    first, other = (learned(seed, width, known) for seed in range(2))
    (aligned,) = align_to_anchor([other], first)
    naive, after = (
        barrier(first, each, lambda network: mean_loss(network, asked)) for each in (other, aligned)
    )
    assert naive > 0.2
    assert after < 0.35 * naive
