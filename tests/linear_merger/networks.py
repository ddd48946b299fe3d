"""Small networks and examples for the tests of LinearMerger."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from evomerge.linear_merger import Examples


def network(seed: int, *sizes: int) -> nn.Sequential:
    """Linear layers, a norm and an activation between them; drawn from ``seed``."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers: list[nn.Module] = [nn.Linear(sizes[0], sizes[1])]
        for inputs, outputs in pairwise(sizes[1:]):
            layers += [nn.LayerNorm(inputs), nn.GELU(), nn.Linear(inputs, outputs)]
    return nn.Sequential(*layers)


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def classes(seed: int, count: int, inputs: int = 6, kinds: int = 3) -> Examples:
    """Points, and which of ``kinds`` directions each goes in most."""
    points = noise(seed, count, inputs)
    return Examples(points, (points @ noise(0, inputs, kinds)).argmax(-1))
