"""The rows of one tensor in all its models, in blocks that fit a cache, as often as asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from math import prod
from threading import Event, local
from typing import TYPE_CHECKING
from weakref import ReferenceType, ref

import numpy as np

from evomerge.dtypes import BFLOAT16, FLOAT32, FLOAT64, DType, dtype_name, promote
from evomerge.errors import MergeError
from evomerge.kernels.block import TILE, Block, Engine, NDArray, Where
from evomerge.merging.inputs import Input
from evomerge.methods.base import Blocks
from evomerge.methods.measured import Measured
from evomerge.noise import Key

if TYPE_CHECKING:
    from torch import Tensor

# Elements of one model in a block. Half as many, or twice, take a quarter more processor time for
# linear and task arithmetic, and a tenth more for TIES (base and three models, bfloat16).
BLOCK = 4 * TILE
# A tensor that is read more than once is kept in memory if its inputs take no more than this.
KEEP_BYTES = 48 << 20
# Arrays begin at whole cache lines.
ALIGNMENT = 64


@dataclass(frozen=True)
class Reading:
    """How inputs are read.

    Attributes:
        engine: what will compute on the blocks.
        device: the torch device they are moved to; None leaves them NumPy arrays.
        allow_nan: whether NaN and infinity in a model are let through.
        stopped: set when nobody waits for the result any more.
        block: elements of one model in a block, about.
    """

    engine: Engine
    device: str | None = None
    allow_nan: bool = False
    stopped: Event = field(default_factory=Event)
    block: int = BLOCK


class TensorBlocks:
    """One output tensor's inputs, as ``evomerge.methods.base.Blocks``.

    Attributes:
        models: inputs, the base excepted.
        size: elements of one model.
        columns: elements in a row; a vector is one row.
        shape: of the tensor.
        keys: of the noise, for each model.
        pool: elements that stand before this tensor in a pool of several.
        whole: the pool, or these blocks where there is none.
        keeps: whether the inputs may stay in memory from one pass to the next.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        base: Input | None,
        work: DType,
        keys: tuple[Key, ...],
        reading: Reading,
    ) -> None:
        """``work`` is the type inputs are cast to first; ``keys`` are of the inputs, in order."""
        self.keys = keys
        self.shape = inputs[0].info.shape
        self.models = len(inputs)
        self.size = prod(self.shape)
        self.columns = self.shape[-1] if self.shape else 1
        self.pool = 0
        self._pooled: Blocks | None = None
        self._measured: Callable[[], Sequence[Measured]] = tuple
        self._inputs = [*inputs, *([] if base is None else [base])]
        self._bytes = sum(each.info.nbytes for each in self._inputs)
        self.keeps = self._bytes <= KEEP_BYTES
        self._has_base = base is not None
        self._work = work
        self._reading = reading
        self._passes = 0

    @property
    def whole(self) -> Blocks:
        """The pool that these blocks belong to, or themselves."""
        return self if self._pooled is None else self._pooled

    @property
    def measured(self) -> Sequence[Measured]:
        """What the data say of the tensor in each model; none if nobody asked, or can tell."""
        return self._measured()

    def measure(self, measured: Callable[[], Sequence[Measured]]) -> None:
        """Gives these blocks their measurements, which are looked up when they are asked for."""
        self._measured = measured

    def join(self, pool: Blocks, start: int) -> None:
        """Makes these blocks part of a pool, in which ``start`` elements stand before them."""
        self._pooled, self.pool = pool, start

    def __iter__(self) -> Iterator[Block]:
        """The blocks, first to last. The arrays of a block are overwritten by the next."""
        return self._walk(keep=self.keeps)

    def last(self) -> Iterator[Block]:
        """The blocks once more, and nothing kept for another pass."""
        return self._walk(keep=False)

    def _walk(self, *, keep: bool) -> Iterator[Block]:
        self._passes += 1
        for row, rows in self._spans():
            if self._reading.stopped.is_set():
                raise CancelledError
            arrays = _memory.kept.of(self).get(row)
            if arrays is None:
                arrays = self._load(row, rows, keep=keep)
            yield self._block(row, arrays)

    def _spans(self) -> Iterator[tuple[int, slice | None]]:
        """For each block its first row, and the slice of rows to read; None for all."""
        if len(self.shape) < 2:  # noqa: PLR2004 - a vector or a scalar is one row
            yield 0, None
            return
        if not self.size:
            return
        step = self._step // self.columns
        rows = self.size // self.columns
        for start in range(0, rows, step):
            yield start, slice(start, min(start + step, rows))

    @property
    def _arrays(self) -> int:
        """How many arrays all blocks have."""
        return len(self._inputs) * (1 + self.size // max(1, self._step))

    @property
    def _tile(self) -> int:
        return max(1, TILE // max(1, self.columns)) * self.columns

    @property
    def _step(self) -> int:
        """Elements of one model in all blocks but the last."""
        return self._tile * max(1, self._reading.block // self._tile)

    def _block(self, row: int, arrays: list[NDArray | Tensor]) -> Block:
        where = Where(row, self.columns, self._tile, self.keys, self.pool)
        base = arrays[-1] if self._has_base else None
        return Block(arrays[: self.models], base, None, where, self._reading.engine)

    def _load(self, row: int, rows: slice | None, *, keep: bool) -> list[NDArray | Tensor]:
        store = _memory.kept if keep else _memory.passing
        if not keep:
            store.clear(self)
        elif store.owner is not self:
            store.clear(self, self._bytes + ALIGNMENT * self._arrays)
        loaded = [self._read(each, rows, store) for each in self._inputs]
        common = _common_type([array.dtype for array in loaded], self._work)
        # The kernels read memory, not strides.
        flat = [np.ascontiguousarray(array, common) for array in loaded]
        views = [array.reshape(-1, self.columns) for array in flat]
        arrays: list[NDArray | Tensor] = [self._moved(view) for view in views]
        if not self._reading.allow_nan and self._passes == 1:
            self._refuse_nan(self._block(row, arrays))
        if keep:
            store.of(self)[row] = arrays
        return arrays

    def _read(self, each: Input, rows: slice | None, store: Arena) -> NDArray:
        info = each.info
        shape = info.shape
        if rows is not None:
            shape = (rows.stop - rows.start, self.columns)
        array = each.source.load(each.name, rows, store.array(info.dtype, shape))
        if array.dtype == self._work or not self._narrows(info.dtype):
            return array
        with np.errstate(over="ignore"):  # what outgrows the type becomes infinity, and is refused
            return array.astype(self._work)

    def _narrows(self, dtype: DType) -> bool:
        """Whether the type that inputs are cast to loses some of their numbers."""
        return promote([dtype, self._work]) != self._work

    def _moved(self, array: NDArray) -> NDArray | Tensor:
        if self._reading.device is None:
            return array
        from evomerge.kernels.torch_arrays import to_torch

        return to_torch(array, self._reading.device)

    def _refuse_nan(self, block: Block) -> None:
        for each, finite in zip(self._inputs, block.engine.all_finite(block), strict=True):
            if not finite:
                cast = f" as {dtype_name(self._work)}" * self._narrows(each.info.dtype)
                raise MergeError(
                    f"{each.name}: {each.source.label} holds NaN or infinity{cast}; "
                    "mend the model, or let them through with --allow-nan"
                )


def _common_type(found: list[DType], work: DType) -> DType:
    """The one element type that a block's arrays are computed on: exact for all of them."""
    if work == FLOAT64:
        return FLOAT64
    return BFLOAT16 if all(dtype == BFLOAT16 for dtype in found) else FLOAT32


class Arena:
    """Memory that is used again and again, so that its pages are touched only once.

    What its owner has read stands here and not with the owner, as each thread has such memory:
    what one thread has read, another may not take for its own.
    """

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)
        self._used = 0
        self._owner: ReferenceType[object] | None = None
        self._blocks: dict[int, list[NDArray | Tensor]] = {}

    @property
    def owner(self) -> object | None:
        """Whose arrays these are, if it is still there."""
        return self._owner() if self._owner is not None else None

    def of(self, owner: object) -> dict[int, list[NDArray | Tensor]]:
        """The blocks that ``owner`` keeps here, by their first rows; none are another's."""
        return self._blocks if self.owner is owner else {}

    def clear(self, owner: object, nbytes: int = 0) -> None:
        """Takes everything back for a new owner: arrays handed out so far will be overwritten.

        ``nbytes`` is what the new owner will ask for, as far as it knows.
        """
        self._used = 0
        self._owner = ref(owner)
        self._blocks = {}
        if nbytes > len(self._memory):
            self._memory = np.empty(nbytes, np.uint8)

    def array(self, dtype: DType, shape: tuple[int, ...]) -> NDArray:
        """An array with arbitrary content."""
        nbytes = prod(shape) * dtype.itemsize
        end = self._used + nbytes
        if end > len(self._memory):
            # Arrays handed out before keep the old memory alive.
            self._memory = np.empty(max(2 * len(self._memory), 2 * nbytes, 1 << 20), np.uint8)
            self._used, end = 0, nbytes
        array = self._memory[self._used : end].view(dtype).reshape(shape)
        self._used = -(-end // ALIGNMENT) * ALIGNMENT
        return array


class _ThreadMemory(local):
    """One thread's memory: for the block at hand, and for the tensor at hand."""

    def __init__(self) -> None:
        self.passing = Arena()
        self.kept = Arena()


_memory = _ThreadMemory()
