"""Merges of the experts in digits, by methods that look at what they do with their digits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from evomerge.measurements.grams import Grams, is_linear
from evomerge.measurements.squares import SquaredGradients, drawn, log_probability
from evomerge.methods.measured import Measured
from tests.measurements.digits import Task, network
from tests.methods.in_memory import merged

# What was measured of a parameter, by its name.
Known = Callable[[str], Measured]


def grams_of(model: nn.Module, task: Task) -> Known:
    grams = Grams({name: each for name, each in model.named_modules() if is_linear(each)})
    images, _ = task.train
    with grams.watching(torch.ones(len(images), 1, dtype=torch.bool)):
        model(images)
    arrays = {name: each.detach().numpy() for name, each in model.named_parameters()}

    def known(name: str) -> Measured:
        layer, _, part = name.rpartition(".")
        other = f"{layer}.{'bias' if part == 'weight' else 'weight'}"
        found = grams.sums[grams.leaders[layer]].numpy()
        return Measured(name, lambda rows: found[rows], partner=lambda: arrays[other])

    return known


def fishers_of(model: nn.Module, task: Task, count: int = 500) -> Known:
    squares = SquaredGradients(dict(model.named_parameters()))
    for number, image in enumerate(task.train[0][:count]):
        logits = model(image[None])
        squares.add(log_probability(logits, drawn(logits, 0, number)))
    squares.close()
    found = {name: np.atleast_2d(each.numpy()) for name, each in squares.mean().items()}
    return lambda name: Measured(name, lambda rows: found[name][rows])


def merge_of(
    method: str, experts: Sequence[nn.Module], known: Sequence[Known] = (), **given: object
) -> nn.Module:
    """The network that ``method`` makes of the experts, tensor by tensor."""
    made = {}
    for name in dict(network().named_parameters()):
        arrays = [expert.state_dict()[name].numpy() for expert in experts]
        measured = [each(name) for each in known] or None
        made[name] = torch.from_numpy(merged(method, arrays, measured=measured, **given))
    model = network()
    model.load_state_dict(made)
    return model
