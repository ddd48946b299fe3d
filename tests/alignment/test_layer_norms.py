"""LayerNorm becomes RMSNorm exactly, and then the residual stream of GPT-2 may be rotated."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from tests.alignment.kinds import in_memory
from tests.alignment.test_symmetries import change

EXACT, BROKEN = 1e-10, 1e-2


class RootMeanSquare(nn.Module):
    """A norm that subtracts no mean and has no gains."""

    def __init__(self, epsilon: float):
        super().__init__()
        self.epsilon = epsilon

    def forward(self, stream):
        return stream / (stream.square().mean(-1, keepdim=True) + self.epsilon).sqrt()


def untied(model):
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.clone())
    model.lm_head.bias = nn.Parameter(torch.zeros(len(model.lm_head.weight)).double())
    return model


def writers(model):
    """What adds to the stream: ``(numbers, residual)``, or ``(residual,)``."""
    body = model.transformer
    yield from (body.wte.weight, body.wpe.weight)
    for layer in body.h:
        for matrix in (layer.attn.c_proj, layer.mlp.c_proj):
            yield from (matrix.weight, matrix.bias)


def readers(model):
    """Each norm, and what reads behind it: ``(residual, numbers)`` and its bias."""
    for layer in model.transformer.h:
        yield layer.ln_1, layer.attn.c_attn.weight, layer.attn.c_attn.bias
        yield layer.ln_2, layer.mlp.c_fc.weight, layer.mlp.c_fc.bias
    yield model.transformer.ln_f, model.lm_head.weight.T, model.lm_head.bias


@torch.no_grad()
def without_layer_norms(model):
    for weights in writers(model):
        weights.sub_(weights.mean(-1, keepdim=True))
    for norm, matrix, bias in readers(model):
        bias.add_(norm.bias @ matrix)
        matrix.mul_(norm.weight[:, None])
    for parent in (model.transformer, *model.transformer.h):
        for name in [name for name, _ in parent.named_children() if name.startswith("ln_")]:
            setattr(parent, name, RootMeanSquare(getattr(parent, name).eps))
    return model


@torch.no_grad()
def rotated(model):
    size = model.config.n_embd
    random = np.random.default_rng(0).normal(size=(size, size))
    rotation = torch.from_numpy(np.linalg.qr(random)[0])
    for weights in writers(model):
        weights.copy_(weights @ rotation)
    for _, matrix, _ in readers(model):
        matrix.copy_(rotation.T @ matrix)
    return model


def test_layer_norm_becomes_root_mean_square_exactly(folders):
    folder = folders("gpt2")
    converted = without_layer_norms(untied(in_memory(folder)))
    assert change(in_memory(folder), converted) < EXACT


def test_then_any_rotation_of_the_stream_is_exact(folders):
    folder = folders("gpt2")
    converted = rotated(without_layer_norms(untied(in_memory(folder))))
    assert change(in_memory(folder), converted) < EXACT


def test_before_it_is_not(folders):
    folder = folders("gpt2")
    assert change(in_memory(folder), rotated(untied(in_memory(folder)))) > BROKEN
