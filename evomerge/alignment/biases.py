"""Biases in one place, before models are compared.

The softmax of an attention does not see a shift, so that without rotary embeddings a bias of keys
does nothing; and as its weights sum to 1, a bias of values adds what the output matrix makes of it,
just as the output's own bias does. So two models may compute the same with other biases. In what
is compared the former are 0, and the latter stand in the output's bias. What is written keeps its
own.
"""

from __future__ import annotations

import numpy as np

from evomerge.alignment.layout import HeadGroup, Layout, Span
from evomerge.alignment.matching import Floats, Read
from evomerge.alignment.moving import rows_of

# A tensor, and where in it a kind of place stands.
Where = tuple[str, int, Span]


def comparable(layout: Layout, read: Read) -> Read:
    """Reads a model as it is compared.

    Args:
        layout: of the model, with all of its groups.
        read: reads the tensors as they are.
    """
    idle: dict[str, list[Span]] = {}
    folds: dict[str, tuple[HeadGroup, Where, Where]] = {}  # by the output's bias
    for name, group in layout.groups.items():
        if isinstance(group, HeadGroup):
            biases, matrices = (_places(layout, name, axes) for axes in (1, 2))
            into = matrices["outputs"][0].removesuffix("weight") + "bias"
            if "keys" in biases and not group.rotary and not group.normed:
                idle.setdefault(biases["keys"][0], []).append(biases["keys"][2])
            if "values" in biases and into in layout.tensors:
                idle.setdefault(biases["values"][0], []).append(biases["values"][2])
                folds[into] = group, biases["values"], matrices["outputs"]

    def compared(name: str) -> Floats:
        tensor = read(name)
        for span in idle.get(name, ()):
            tensor = tensor.copy()
            tensor[slice(None) if span.where is None else span.where] = 0
        if name in folds:
            tensor = tensor + _folded(*folds[name], read).astype(tensor.dtype)
        return tensor

    return compared


def _places(layout: Layout, group: str, axes: int) -> dict[str, Where]:
    """Where each kind of place of a group stands in tensors of so many axes."""
    return {
        span.place.kind: (tensor, axis, span)
        for tensor, axis, span in layout.of(group)
        if len(layout.tensors[tensor]) == axes and span.place.role != "follows"
    }


def _folded(group: HeadGroup, values: Where, outputs: Where, read: Read) -> Floats:
    """What the output matrix makes of a bias of values: ``(residual,)``, float64."""
    each, matrix = (rows_of(read(name), axis, span) for name, axis, span in (values, outputs))
    heads = each.reshape(group.groups, group.width).repeat(group.per_group, axis=0)
    folded: Floats = heads.reshape(-1).astype(np.float64) @ matrix
    return folded
