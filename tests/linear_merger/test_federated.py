"""One round of federated averaging."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from evomerge.linear_merger import Examples, Training, average, federated_round, train, with_masks
from tests.linear_merger.networks import classes, network

TRAINING = Training(epochs=3, batch=8, rate=1e-2, seed=5)
SHARDS = [classes(1, 10), classes(2, 30), classes(3, 20)]


def states_equal(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    mine, yours = first.state_dict(), second.state_dict()
    return all(torch.equal(mine[name], yours[name]) for name in mine.keys() | yours.keys())


def test_the_server_is_the_mean_of_the_clients_by_their_examples():
    model = network(0, 6, 8, 3)
    done = federated_round([model] * 3, SHARDS, TRAINING)
    assert states_equal(done.server, average(done.clients, [10, 30, 20]))
    assert states_equal(model, network(0, 6, 8, 3))


def test_a_client_is_trained_as_it_would_have_been_alone():
    starts = [with_masks(network(seed, 6, 8, 3)) for seed in range(3)]
    done = federated_round(starts, SHARDS, TRAINING)
    for number, (start, examples, client) in enumerate(
        zip(starts, SHARDS, done.clients, strict=True)
    ):
        train(start, examples, replace(TRAINING, seed=5 + number))
        assert states_equal(start, client)


def test_one_client_is_the_server():
    done = federated_round([network(0, 6, 8, 3)], SHARDS[:1], TRAINING)
    assert states_equal(done.server, done.clients[0])


def test_clients_that_take_one_step_on_the_same_examples_are_one_client():
    model = network(0, 6, 3)
    whole = Examples(
        *(torch.cat([getattr(s, key) for s in SHARDS]) for key in ("inputs", "targets"))
    )
    one = Training(epochs=1, batch=1000, rate=1e-3, weight_decay=0)
    done = federated_round([model] * 3, [whole] * 3, one)
    train(model, whole, one)
    torch.testing.assert_close(done.server[0].weight, model[0].weight)


def test_other_than_a_network_for_each_client_is_refused():
    with pytest.raises(ValueError, match="networks: found 1 for 3 clients; expected one for each"):
        federated_round([network(0, 6, 8, 3)], SHARDS, TRAINING)
