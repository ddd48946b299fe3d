"""A source whose embedding and head are rearranged to the output's vocabulary while they are read.

The rows of other models that stand in for missing tokens are read with them; nothing is kept
but the mean row of padded vocabularies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

import numpy as np

from evomerge.checkpoint.row_plan import BORROWED, MEAN, RowPlan
from evomerge.checkpoint.source import Source
from evomerge.checkpoint.tensor_file import Rows
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.dtypes import FLOAT32, FLOAT64, DType, promote

# Rows added up at a time for their mean: 32 MB at a width of 4096 in float32.
_STEP = 2048


class WithVocabulary:
    """One of the models that are merged, in the vocabulary of the output.

    Attributes:
        label: as that of the source.
        config: as that of the source: ``vocab_size`` is still the old one.
        folder: as that of the source.
    """

    def __init__(
        self,
        number: int,
        sources: Sequence[Source],
        matrices: Mapping[str, Sequence[str]],
        plan: RowPlan,
    ) -> None:
        """Reads nothing yet.

        Args:
            number: which of the sources this one is.
            sources: all models, in the order of the recipe.
            matrices: the tensors with a row for each token, by the name they have here; with the
                name of the same tensor in each of the models. For the head, that of a tied model
                is its embedding.
            plan: where the rows come from.
        """
        self._source = sources[number]
        self._number = number
        self._sources = sources
        self._matrices = matrices
        self._plan = plan
        self._types = {name: self._result_type(name) for name in matrices}
        self._means: dict[str, np.ndarray] = {}
        self._lock = Lock()
        self.label = self._source.label
        self.config = self._source.config
        self.folder: Path = self._source.folder

    def names(self) -> tuple[str, ...]:
        """The names of all tensors, sorted; a head that any of the models has is among them."""
        return tuple(sorted({*self._source.names(), *self._matrices}))

    def changed(self) -> tuple[str, ...]:
        """The names of the tensors that are rearranged, sorted."""
        return tuple(sorted(self._matrices))

    def info(self, name: str) -> TensorInfo:
        """Shape and element type of a tensor: as on disk, but for the number of rows."""
        if name not in self._matrices:
            return self._source.info(name)
        info = self._source.info(self._matrices[name][self._number])
        return TensorInfo(name, (self._plan.rows, *info.shape[1:]), info.dtype)

    def load(self, name: str, rows: Rows = None, out: np.ndarray | None = None) -> np.ndarray:
        """A tensor, or some of its rows; see `Source.load`.

        Where rows had to be computed, or borrowed from a model of another element type, all rows
        of the tensor come in float32 (or float64).
        """
        if name not in self._matrices:
            return self._source.load(name, rows, out)
        chosen = np.arange(self._plan.rows)[slice(None) if rows is None else rows]
        own = self._plan.own[chosen]
        if (own >= 0).all():
            return self._own(name, own, out).astype(self._types[name], copy=False)
        if out is None or out.dtype != self._types[name]:
            out = np.empty((len(chosen), *self.info(name).shape[1:]), self._types[name])
        out[own >= 0] = self._own(name, own[own >= 0])
        if (own == MEAN).any():
            out[own == MEAN] = self._mean(name)
        if (own == BORROWED).any():
            out[own == BORROWED] = self._borrowed(name, chosen[own == BORROWED])
        return out

    def _own(self, name: str, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        stored = self._source.info(self._matrices[name][self._number]).dtype
        fitting = out if out is not None and out.dtype == stored else None
        return self._source.load(self._matrices[name][self._number], rows, fitting)

    def _borrowed(self, name: str, rows: np.ndarray) -> np.ndarray:
        """``(rows, …)``, float32 or float64: the mean of the donors of each row."""
        donors = [self._plan.borrowed[row] for row in rows.tolist()]
        shape = (len(rows), *self.info(name).shape[1:])
        total: np.ndarray = np.zeros(shape, promote([self._types[name], FLOAT32]))
        for number, source in enumerate(self._sources):
            taken = [(at, row) for at, some in enumerate(donors) for n, row in some if n == number]
            if taken:
                places, wanted = np.array(taken).T
                total[places] += source.load(self._matrices[name][number], wanted)
        counts = np.array([max(1, len(some)) for some in donors], total.dtype)
        return total / counts.reshape(-1, *[1] * (total.ndim - 1))

    def _mean(self, name: str) -> np.ndarray:
        """The mean of the rows that have tokens, after the rearrangement; computed once."""
        with self._lock:
            if name not in self._means:
                total: np.ndarray = np.zeros(self.info(name).shape[1:], FLOAT64)
                rows = np.flatnonzero(self._plan.own != MEAN)
                for first in range(0, len(rows), _STEP):
                    total += self.load(name, rows[first : first + _STEP]).sum(axis=0, dtype=FLOAT64)
                self._means[name] = total / max(1, len(rows))
        return self._means[name]

    def _result_type(self, name: str) -> DType:
        """The type of the file if all rows are copies of rows of that type."""
        names = self._matrices[name]
        borrowed = self._plan.borrowed.values()
        lenders = {number for donors in borrowed for number, _ in donors}
        stored = self._source.info(names[self._number]).dtype
        lent = {self._sources[number].info(names[number]).dtype for number in sorted(lenders)}
        computed = (self._plan.own == MEAN).any() or any(len(donors) > 1 for donors in borrowed)
        return promote([stored, FLOAT32, *lent]) if computed or lent - {stored} else stored
