"""An element acts on a model in memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from transformers import PreTrainedModel

from evomerge.alignment.checking import TOLERANCES, check_same, logits_of
from evomerge.alignment.declared import layout_of
from evomerge.alignment.elements import Element
from evomerge.alignment.layout import Layout
from evomerge.alignment.moving import moved
from evomerge.errors import AlignmentError


def layout_of_model(model: PreTrainedModel) -> Layout:
    """Where the units of each group stand in a model in memory.

    Raises:
        AlignmentError: the family has no declaration, or a tensor is not in it.
        CheckpointError: the model's config does not say enough.
    """
    name = type(model).__name__
    config = {**model.config.to_dict(), "architectures": [name]}
    shapes = {name: tuple(tensor.shape) for name, tensor in _tensors(model)}
    return layout_of(config, shapes, name)


def move_model(model: PreTrainedModel, element: Element) -> float:
    """Moves a model in place, and gives the share by which the logits of a probe batch changed.

    Args:
        model: of float32 or float64, in evaluation mode.
        element: what is done.

    Raises:
        AlignmentError: the family has no declaration, the model is of 16 bits, or it would compute
            something else; then it is left as it was.
    """
    if model.dtype not in TOLERANCES:
        raise AlignmentError(
            f"{type(model).__name__}: is of {model.dtype}; load it in float32 to move it"
        )
    layout = layout_of_model(model)
    before = logits_of(model)
    kept = {name: tensor.clone() for name, tensor in _tensors(model)}
    _fill(model, {name: _moved(kept[name], layout, name, element) for name in kept})
    try:
        return check_same(before, logits_of(model), type(model).__name__)
    except AlignmentError:
        _fill(model, kept)
        raise


def _tensors(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """The parameters by name, each once: a tied head is the embedding."""
    return ((name, each.detach()) for name, each in model.named_parameters())


def _moved(tensor: Tensor, layout: Layout, name: str, element: Element) -> Tensor:
    return torch.from_numpy(moved(tensor.cpu().numpy(), layout.tensors[name], element).copy())


def _fill(model: PreTrainedModel, tensors: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[name])
