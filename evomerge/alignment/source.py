"""A model that is read moved: an element acts on each tensor, or on rows of it, on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import local
from types import MappingProxyType

import numpy as np

from evomerge.alignment.actions import Action, Floats, Indices
from evomerge.alignment.elements import Element, is_exact
from evomerge.alignment.layout import Layout, Span, Spans
from evomerge.alignment.moving import Array, moved, moved_shape
from evomerge.alignment.widening import widened
from evomerge.checkpoint.source import Source
from evomerge.checkpoint.tensor_file import Rows
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.dtypes import FLOAT32, is_float, promote

MATRIX = 2


class Aligned:
    """A model with its units where another has them. Any number of threads may read at once.

    What changes places or signs, or has a factor of its own, is read row by row. Where numbers are
    mixed with each other, as gauges do, a tensor is read whole, and the last one is kept, by each
    thread.

    Attributes:
        label: as that of the source.
        config: as that of the source, with the widths that it is read with.
        folder: as that of the source.
    """

    def __init__(
        self,
        source: Source,
        layout: Layout,
        find: Callable[[], Element],
        *,
        exact: bool,
        padding: Element = MappingProxyType({}),
    ) -> None:
        """Reads and finds nothing yet.

        Args:
            source: the model as it is.
            layout: of it.
            find: gives what acts on it; it may be called more than once, and by several threads.
            exact: whether numbers change places and signs at most, so that 16 bits do for them.
            padding: what of it makes the model wider, which is known before.
        """
        self._source = source
        self._layout = layout
        self._find = find
        self._exact = exact and is_exact(padding)
        self._padding = padding
        self._kept = _Last()
        self.label: str = source.label
        self.config: Mapping[str, object] = widened(source.config, layout, padding)
        self.folder: Path = source.folder

    def find(self) -> Element:
        """What acts on the model. The first time, that may have to be found out."""
        return self._find()

    def names(self) -> tuple[str, ...]:
        """The names of all tensors, sorted."""
        return self._source.names()

    def info(self, name: str) -> TensorInfo:
        """Shape and element type of a tensor: float32, where 16 bits may not do."""
        info = self._source.info(name)
        shape = moved_shape(info.shape, self._layout.tensors.get(name, ()), self._padding)
        wide = self._exact or not is_float(info.dtype) or info.dtype.itemsize >= FLOAT32.itemsize
        return TensorInfo(name, shape, info.dtype if wide else FLOAT32)

    def load(self, name: str, rows: Rows = None, out: Array | None = None) -> Array:
        """A tensor, or some of its rows; see `Source.load`."""
        axes, dtype = self._layout.tensors.get(name, ()), self.info(name).dtype
        element = self._find() if any(axes) else {}
        actions = _actions(axes, element)
        if not actions:
            fits = self._source.info(name).dtype == dtype
            return self._source.load(name, rows, out if fits else None).astype(dtype, copy=False)
        whole = rows is None or len(axes) != MATRIX or any(map(_mixes, actions))
        if whole or self._source.info(name).shape != self.info(name).shape:
            tensor = self._kept.of(name, lambda: moved(self._wide(name, actions), axes, element))
            return tensor if rows is None else tensor.reshape(self.info(name).grid)[rows]
        origins, factors = _traced(np.arange(self.info(name).shape[0]), axes[0], element)
        block = self._wide(name, actions, origins[rows])
        if factors is not None:
            block = block * factors[rows, None].astype(block.dtype)
        return moved(block, ((), axes[1]), element)

    def _wide(self, name: str, actions: Sequence[Action], rows: Rows = None) -> Array:
        """Numbers as they are, in the element type in which they will be given."""
        dtype = self.info(name).dtype
        if not all(map(_is_exact, actions)):
            dtype = promote([dtype, FLOAT32])
        return self._source.load(name, rows).astype(dtype, copy=False)


class _Last(local):
    """The last tensor that a thread has read whole."""

    def __init__(self) -> None:
        self._name = ""
        self._array: Array = np.empty(0)

    def of(self, name: str, make: Callable[[], Array]) -> Array:
        """The tensor, made if it is another one than the last."""
        if name != self._name:
            self._array, self._name = make(), name
        return self._array


def _actions(axes: Spans, element: Element) -> list[Action]:
    return [
        element[span.group].at(span) for spans in axes for span in spans if span.group in element
    ]


def _mixes(action: Action) -> bool:
    """Whether numbers that come out depend on several that went in."""
    return action.factors is not None and action.width > 1


def _is_exact(action: Action) -> bool:
    """Whether numbers only change places and signs."""
    signs = action.factors is None or (action.width == 1 and (abs(action.factors) == 1).all())
    return bool(signs and action.instead is None)


def _traced(
    rows: Indices, spans: Sequence[Span], element: Element
) -> tuple[Indices, Floats | None]:
    """For each row of a matrix the row that comes to its place, and its factor; None for 1."""
    origins, scales = rows.copy(), None
    for span in spans:
        if span.group in element:
            action = element[span.group].at(span)
            places = rows if span.where is None else span.where
            blocks = places.reshape(-1, action.width)[action.order]
            origins[places] = blocks.reshape(-1)
            if action.factors is not None:
                scales = np.ones(len(rows)) if scales is None else scales
                scales[places] = action.factors.reshape(-1)
    return origins, scales
