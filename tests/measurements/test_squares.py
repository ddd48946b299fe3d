"""The diagonal Fisher information: example by example, and draws that have addresses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from evomerge.measurements.squares import (
    SquaredGradients,
    drawn,
    log_probability,
    not_finite,
)

EXAMPLES, INPUTS, OUTCOMES = 12, 5, 3


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(INPUTS, 7), nn.Tanh(), nn.Linear(7, OUTCOMES))


@pytest.fixture
def inputs():
    return torch.randn(EXAMPLES, INPUTS, generator=torch.Generator().manual_seed(1))


def ours(network, inputs):
    squares = SquaredGradients(dict(network.named_parameters()))
    for number, each in enumerate(inputs):
        logits = network(each[None])
        squares.add(log_probability(logits, drawn(logits, 0, number)))
    squares.close()
    return squares.mean()


def outcomes_of(network, inputs):
    return torch.cat([drawn(network(each[None]), 0, n) for n, each in enumerate(inputs)])


def test_it_is_the_mean_of_squares_of_the_gradients_of_single_examples(network, inputs):
    """By torch.func, which gives every example a gradient of its own."""
    outcomes = outcomes_of(network, inputs)
    parameters = {name: each.detach() for name, each in network.named_parameters()}

    def log_chance(values, one, outcome):
        chances = functional_call(network, values, (one,)).log_softmax(-1)
        return chances.gather(-1, outcome[None])[0]

    each = vmap(grad(log_chance), (None, 0, 0))(parameters, inputs, outcomes)
    for name, found in ours(network, inputs).items():
        torch.testing.assert_close(found, each[name].square().mean(0))


def test_squaring_the_gradient_of_a_batch_is_something_else(network, inputs):
    outcomes = outcomes_of(network, inputs)
    batch = torch.autograd.grad(
        log_probability(network(inputs), outcomes), list(network.parameters())
    )
    right = torch.cat([each.reshape(-1) for each in ours(network, inputs).values()])
    shortcut = torch.cat([each.square().reshape(-1) / EXAMPLES for each in batch])
    assert (shortcut - right).norm() > 0.3 * right.norm()


def test_many_draws_give_the_information_that_is_summed_over_all_outcomes():
    """E over y of (∂ log p(y))² for logits that are the parameters: p (1 − p)."""
    logits = nn.Parameter(torch.tensor([0.5, -1.0, 0.2, 1.3]))
    squares = SquaredGradients({"logits": logits})
    for number in range(4000):
        squares.add(log_probability(logits[None], drawn(logits[None], 0, number)))
    chances = logits.detach().softmax(0)
    torch.testing.assert_close(
        squares.mean()["logits"], chances * (1 - chances), rtol=0.1, atol=0.0
    )


def test_draws_depend_on_their_address_alone():
    logits = torch.randn(50, 11, generator=torch.Generator().manual_seed(0))
    found = drawn(logits, 3, 5)
    torch.testing.assert_close(drawn(logits[:20], 3, 5), found[:20])
    assert not torch.equal(drawn(logits, 3, 6), found)
    assert not torch.equal(drawn(logits, 4, 5), found)


def test_draws_have_the_probabilities_of_the_model():
    logits = torch.log(torch.tensor([0.5, 0.3, 0.2, 0.0])).expand(20_000, 4)
    shares = np.bincount(drawn(logits, 0, 0).numpy(), minlength=4) / 20_000
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2, 0], atol=0.02)
    assert shares[3] == 0


def test_one_gradient_is_in_memory_and_none_afterwards(network, inputs):
    ours(network, inputs)
    assert all(each.grad is None and not each.requires_grad for each in network.parameters())


def test_what_is_not_finite_is_named():
    found = {"up": torch.ones(2), "down": torch.tensor([1.0, float("nan")])}
    assert not_finite(found) == "down"
    assert not_finite({"up": torch.ones(2)}) is None
