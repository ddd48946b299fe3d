"""A source whose tensors stay in memory, and are read there without being copied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from evomerge.checkpoint.source import Source
from evomerge.checkpoint.tensor_file import Rows
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.measurements.kept import content_of
from evomerge.merging.plan import TensorPlan
from evomerge.workbench.aligned import aligned, is_aligned


@runtime_checkable
class Sharing(Protocol):
    """A source of which tensors may be in memory."""

    def memory(self, name: str) -> np.ndarray | None:
        """The memory of a tensor, to be shared and never to be written to; None if it has none."""


class Resident:
    """A model, or some of its tensors, in memory; each is loaded when it is first asked for.

    Attributes:
        label: as that of the source.
        config: as that of the source.
        folder: as that of the source.
    """

    def __init__(
        self, source: Source, names: Iterable[str] | None = None, behind: Resident | None = None
    ) -> None:
        """Loads nothing yet.

        Args:
            source: of what adapters and vocabularies have made of the model.
            names: the tensors to hold; the others are read from ``source`` each time. All if None.
            behind: where ``source`` reads these others, if they are in memory too.
        """
        self._source = source
        self._behind = behind
        self._held = frozenset(source.names() if names is None else names)
        self._infos: dict[str, TensorInfo] = {}
        # Each twice: to be read, and the same memory as torch wants it, which has no locks.
        self._arrays: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.label: str = source.label
        self.config: Mapping[str, object] = source.config
        self.folder: Path = source.folder

    def fingerprint(self) -> str:
        """One hash of the weights, as that of the source, which must have one."""
        return content_of(self._source)

    def names(self) -> tuple[str, ...]:
        """The names of all tensors, sorted."""
        return self._source.names()

    def info(self, name: str) -> TensorInfo:
        """Shape and element type of a tensor: those on disk, whatever is in memory."""
        if name not in self._infos:
            self._infos[name] = self._source.info(name)
        return self._infos[name]

    def load(self, name: str, rows: Rows = None, out: np.ndarray | None = None) -> np.ndarray:
        """A tensor, or some of its rows; see `Source.load`.

        Consecutive rows of a tensor in memory are a view of it, not to be written to; ``out`` is
        left alone.
        """
        if name not in self._held:
            return self._source.load(name, rows, out)
        array, _ = self._array(name)
        return array if rows is None else array.reshape(self.info(name).grid)[rows]

    def memory(self, name: str) -> np.ndarray | None:
        """The memory of a tensor, to be shared and never to be written to; None if it has none."""
        if name in self._held:
            return self._array(name)[1]
        return None if self._behind is None else self._behind.memory(name)

    @property
    def nbytes(self) -> int:
        """What is in memory by now."""
        return sum(array.nbytes for array, _ in list(self._arrays.values()))

    def _array(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Two threads may load a tensor at once; both get the one that is kept."""
        found = self._arrays.get(name)
        if found is None:
            loaded = self._loaded(name)
            guarded = loaded.view()
            guarded.flags.writeable = False
            found = self._arrays.setdefault(name, (guarded, loaded))
        return found

    def _loaded(self, name: str) -> np.ndarray:
        info = self.info(name)
        array = self._source.load(name, None, aligned(info.shape, info.dtype))
        if is_aligned(array) and array.flags.writeable:
            return array
        moved = aligned(array.shape, array.dtype)
        moved[...] = array
        return moved


def memory_of(tensor: TensorPlan) -> np.ndarray | None:
    """The memory of a source that holds the numbers of an output tensor; None if there is none."""
    first = tensor.inputs[0]
    if not tensor.copies or not isinstance(first.source, Sharing):
        return None
    memory = first.source.memory(first.name)
    return memory if memory is not None and memory.dtype == tensor.info.dtype else None
