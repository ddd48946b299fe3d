"""An element acts on a tensor: axis by axis, part by part."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evomerge.alignment.actions import Action, Floats
from evomerge.alignment.elements import Element
from evomerge.alignment.layout import Span, Spans

Array = NDArray[Any]

# Numbers that are multiplied by a matrix at a time, in float64: an embedding may be large.
NUMBERS = 2**22


def moved(tensor: Array, axes: Spans, element: Element) -> Array:
    """A tensor of any shape after an element has acted on it, in its own element type.

    Args:
        tensor: as it is; it is not changed.
        axes: what stands along each of its axes.
        element: what is done; groups that it does not name stay.
    """
    for axis, spans in enumerate(axes):
        for span in spans:
            if span.group in element:
                tensor = _along(tensor, axis, span, element[span.group].at(span))
    return tensor


def rows_of(tensor: Array, axis: int, span: Span) -> Array:
    """What a tensor has for each unit of a span: ``(units, numbers)``."""
    rows = np.moveaxis(tensor, axis, 0)
    rows = rows if span.where is None else rows[span.where]
    return rows.reshape(len(rows), -1)


def _along(tensor: Array, axis: int, span: Span, action: Action) -> Array:
    rows = np.moveaxis(tensor, axis, 0)
    if span.where is None:
        return np.moveaxis(_acted(rows, action), 0, axis)
    result = rows.copy()
    result[span.where] = _acted(rows[span.where], action)
    return np.moveaxis(result, 0, axis)


def _acted(rows: Array, action: Action) -> Array:
    """``(blocks * width, *rest)`` in another order, each block times its factor."""
    if action.instead is not None:
        return action.instead.astype(rows.dtype).reshape(rows.shape)
    blocks = rows.reshape(len(action.order), action.width, -1)[action.order]
    if action.factors is not None and action.width == 1:
        blocks = blocks * action.factors.astype(blocks.dtype)
    elif action.factors is not None:
        blocks = _multiplied(action.factors, blocks)
    return blocks.reshape(rows.shape)


def _multiplied(factors: Floats, blocks: Array) -> Array:
    """``(blocks, width, numbers)``, in their own element type; the sums are in float64."""
    result = np.empty_like(blocks)
    step = max(1, NUMBERS // (blocks.shape[0] * blocks.shape[1]))
    for start in range(0, blocks.shape[2], step):
        some = slice(start, start + step)
        result[..., some] = factors @ blocks[..., some].astype(np.float64)
    return result
