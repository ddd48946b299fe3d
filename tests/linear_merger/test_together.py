"""Several networks brought to each other: each computes what it did, and their mean gets better."""

from __future__ import annotations

import pytest
import torch

from evomerge.linear_merger import (
    Training,
    accuracy,
    align_to_anchor,
    align_together,
    average,
    mean_loss,
    train,
)
from tests.linear_merger.networks import classes, network, noise
from tests.linear_merger.test_anchor import distance, shuffled


@pytest.fixture(scope="module")
def trained():
    networks = [network(seed, 6, 48, 48, 3) for seed in range(4)]
    for seed, each in enumerate(networks):
        train(each, classes(1, 300), Training(epochs=12, batch=20, seed=seed))
    return networks


def test_copies_in_any_order_become_one():
    original = network(0, 6, 20, 20, 3)
    together = align_together([shuffled(original, seed) for seed in range(3)])
    for other in together[1:]:
        assert all(map(torch.equal, together[0].parameters(), other.parameters()))


def test_each_computes_what_it_did_and_all_come_nearer(trained):
    together = align_together(trained)
    for before, after in zip(trained, together, strict=True):
        torch.testing.assert_close(after(noise(0, 40, 6)), before(noise(0, 40, 6)))

    def spread(networks):
        mean = average(networks)
        return sum(distance(each, mean) ** 2 for each in networks)

    to_the_first = align_to_anchor(trained, trained[0])
    assert spread(together) <= spread(to_the_first) < spread(trained)


def test_the_mean_of_many_is_better_for_it(trained):
    asked = classes(2, 300)
    losses = [mean_loss(average(n), asked) for n in (trained, align_together(trained))]
    assert losses[1] < 0.8 * losses[0]
    assert accuracy(average(align_together(trained)), asked) > accuracy(average(trained), asked)


def test_a_seed_gives_the_same_bits(trained):
    one, other = (align_together(trained, seed=5) for _ in range(2))
    for mine, theirs in zip(one, other, strict=True):
        assert all(map(torch.equal, mine.parameters(), theirs.parameters()))


def test_one_network_is_refused():
    with pytest.raises(ValueError, match="networks: found 1; expected two or more"):
        align_together([network(0, 6, 8, 3)])
