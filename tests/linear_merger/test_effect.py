"""What the masks are for: numbers that stay make averaging work, and zeros do not.

Two networks begin apart, see the examples in different orders, and are not aligned. Over six pairs
the barrier with frozen numbers was at most 0.24 of the dense one, with the triangle at least 1.7,
with scattered zeros at least 1.02.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import torch
from torch import nn

from evomerge.linear_merger import (
    Asymmetric,
    Examples,
    Training,
    accuracy,
    average,
    barrier,
    mean_loss,
    train,
    with_masks,
)
from evomerge.linear_merger.masks import Mask
from tests.linear_merger.networks import network, noise

INPUTS, WIDTH, KINDS, CLUSTERS = 32, 64, 10, 30
ASYMMETRIC = {"0": Asymmetric(), "3": Asymmetric(scale=0.5), "6": Asymmetric(scale=0.25)}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """How many threads share a sum decides how it is rounded."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def clusters() -> tuple[Examples, Examples]:
    """Three clusters of points to each class: to learn from, and to be asked."""
    which = torch.randint(CLUSTERS, (1600,), generator=torch.Generator().manual_seed(2))
    points = noise(0, CLUSTERS, INPUTS)[which] + 0.5 * noise(1, len(which), INPUTS)
    examples = Examples(points, which % KINDS)
    return (
        Examples(examples.inputs[:1200], examples.targets[:1200]),
        Examples(examples.inputs[1200:], examples.targets[1200:]),
    )


def pair(seed: int, masks: Mapping[str, Mask] | str | None) -> list[nn.Module]:
    learned = []
    for start in (2 * seed, 2 * seed + 1):
        model: nn.Module = network(start, INPUTS, WIDTH, WIDTH, KINDS)
        if masks is not None:
            model = with_masks(model, masks)
        train(model, clusters()[0], Training(epochs=6, rate=3e-3, weight_decay=0.03, seed=start))
        learned.append(model)
    return learned


def rise(models: list[nn.Module]) -> float:
    return barrier(*models, lambda model: mean_loss(model, clusters()[1]), points=5)


@pytest.mark.parametrize("seed", range(3))
def test_frozen_numbers_take_the_barrier_away_and_zeros_do_not(seed: int):
    dense, asymmetric = pair(seed, None), pair(seed, ASYMMETRIC)
    assert rise(asymmetric) < 0.5 * rise(dense)
    assert rise(pair(seed, "upper")) > rise(dense)
    assert rise(pair(seed, "zeros")) > 0.8 * rise(dense)
    # And it is not that they have learned less.
    asked = clusters()[1]
    assert min(accuracy(model, asked) for model in asymmetric) > 0.97
    assert accuracy(average(asymmetric), asked) > 0.97
