"""An element acts on a tensor: axis by axis, part by part."""

from __future__ import annotations

from collections.abc import Iterable
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
        if actions := _actions(spans, element):
            tensor = np.moveaxis(_along(np.moveaxis(tensor, axis, 0), actions), 0, axis)
    return tensor


def moved_shape(shape: tuple[int, ...], axes: Spans, element: Element) -> tuple[int, ...]:
    """The shape that `moved` gives a tensor: another one where a model is made wider."""
    sizes = list(shape)
    for axis, spans in enumerate(axes):
        for span, action in _actions(spans, element):
            sizes[axis] += action.size - (shape[axis] if span.where is None else len(span.where))
    return tuple(sizes)


def rows_of(tensor: Array, axis: int, span: Span) -> Array:
    """What a tensor has for each unit of a span: ``(units, numbers)``."""
    rows = np.moveaxis(tensor, axis, 0)
    rows = rows if span.where is None else rows[span.where]
    return rows.reshape(len(rows), -1)


def _actions(spans: Iterable[Span], element: Element) -> list[tuple[Span, Action]]:
    return [(span, element[span.group].at(span)) for span in spans if span.group in element]


def _along(rows: Array, actions: list[tuple[Span, Action]]) -> Array:
    """An axis, which is the first, after each of its parts was acted on."""
    parts = [(s.where, _acted(rows if s.where is None else rows[s.where], a)) for s, a in actions]
    if parts[0][0] is None:
        return parts[0][1]
    if any(where is not None and len(where) != len(part) for where, part in parts):
        # They stand one behind the other.
        return np.concatenate([part for _, part in parts])
    result = rows.copy()
    for where, part in parts:
        result[where] = part
    return result


def _acted(rows: Array, action: Action) -> Array:
    """``(blocks * width, *rest)`` in another order, each block times its factor."""
    if action.instead is not None:
        return action.instead.astype(rows.dtype).reshape(rows.shape)
    blocks = rows.reshape(len(rows) // action.width, action.width, -1)[action.order]
    if (absent := action.order < 0).any():
        blocks[absent] = 0
    if action.factors is not None and action.width == 1:
        blocks = blocks * action.factors.astype(blocks.dtype)
    elif action.factors is not None:
        blocks = _multiplied(action.factors, blocks)
    return blocks.reshape(action.size, *rows.shape[1:])


def _multiplied(factors: Floats, blocks: Array) -> Array:
    """``(blocks, width, numbers)``, in their own element type; the sums are in float64."""
    result = np.empty((*factors.shape[:2], blocks.shape[2]), blocks.dtype)
    step = max(1, NUMBERS // (blocks.shape[0] * blocks.shape[1]))
    for start in range(0, blocks.shape[2], step):
        some = slice(start, start + step)
        result[..., some] = factors @ blocks[..., some].astype(np.float64)
    return result
