"""Rotations to be found again: of models whose gains are not all alike."""

from __future__ import annotations

import numpy as np
import torch
from transformers import PreTrainedModel

from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import Move, compose
from evomerge.alignment.folding import STREAM, folded, turned
from evomerge.alignment.layout import Layout
from evomerge.alignment.rotations import Gains, Rotation


def reader(model: PreTrainedModel):
    return {name: p.detach().numpy() for name, p in model.named_parameters()}.__getitem__


def with_gains(model: PreTrainedModel, layout: Layout) -> PreTrainedModel:
    """The same model with other gains in every norm of the stream."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, _, span in layout.of(STREAM):
            if span.place.role == "follows":
                gains = model.get_parameter(name)
                gains.add_(torch.rand(gains.shape, generator=generator, dtype=gains.dtype))
    return model


def random_rotation(layout: Layout, model: PreTrainedModel, seed: int) -> dict[str, Move]:
    """An element that turns a model's stream, gives it other gains, and moves all else too."""
    turning = turned(layout, reader(model))
    fold = folded(turning, reader(model))
    random = np.random.default_rng(seed)
    one = np.ones(len(fold.matrix))
    gains = {name: Gains(one, random.uniform(0.5, 2, len(one)), layout.base) for name in fold.gains}
    unfolded = {STREAM: Rotation(np.eye(len(one)), gains)}
    return compose(unfolded, compose(random_element(turning, seed), {STREAM: fold}))
