"""An element acts on a tensor: axis by axis, part by part."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evomerge.alignment.elements import Action, Element
from evomerge.alignment.layout import Span, Spans

Array = NDArray[Any]


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
                tensor = _along(tensor, axis, span, element[span.group].at(span.place))
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
    blocks = rows.reshape(len(action.order), action.width, -1)[action.order]
    if action.factors is not None and action.width == 1:
        blocks = blocks * action.factors.astype(blocks.dtype)
    elif action.factors is not None:
        blocks = (action.factors @ blocks.astype(np.float64)).astype(blocks.dtype)
    return blocks.reshape(rows.shape)
