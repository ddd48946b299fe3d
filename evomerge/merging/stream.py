"""Runs a plan: every output tensor is surveyed, settled and combined, block by block."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from evomerge.checkpoint.tensors import TensorInfo
from evomerge.dtypes import FLOAT64
from evomerge.errors import MergeError
from evomerge.kernels.block import Engine, NDArray
from evomerge.kernels.engine import fused_engine, reference_engine
from evomerge.merging.blocks import BLOCK, Reading, TensorBlocks
from evomerge.merging.measured import MeasuredInputs
from evomerge.merging.plan import Plan, TensorPlan
from evomerge.merging.results import copied, rounded, target
from evomerge.merging.surveys import Pool, Surveys, is_pooled, pool_key
from evomerge.noise import Key, noise_key

if TYPE_CHECKING:
    from torch import Tensor

# Receives the offset of a block's first element, and the block in the output's element type.
Sink = Callable[[TensorInfo, int, NDArray], None]
# Receives how many elements of the output are done.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Options:
    """How a merge runs; none of it changes a result on one type of device.

    Attributes:
        device: ``cpu`` or a torch device such as ``cuda``.
        threads: how many tensors are merged at a time on the CPU; 0 is one for each core.
        allow_nan: let NaN and infinity in the models through.
        kernels: use the compiled CPU kernels where they exist.
        block: elements of one model that are computed on at a time, about.
    """

    device: str = "cpu"
    threads: int = 0
    allow_nan: bool = False
    kernels: bool = True
    block: int = BLOCK


class Merger:
    """Makes the tensors of one plan, in any order and from any thread."""

    def __init__(self, plan: Plan, options: Options, surveys: Surveys | None = None) -> None:
        """Chooses the engine.

        Args:
            plan: what to make.
            options: how to run.
            surveys: what earlier merges found out about the same sources.

        Raises:
            MergeError: there is no such device.
        """
        self._plan = plan
        self._surveys = surveys or Surveys(capacity=0)
        self._options = options
        self._fused = fused_engine() if options.device == "cpu" and options.kernels else None
        check_device(options.device)
        self._stopped = Event()
        self._measured = MeasuredInputs(plan, options.device)
        self._pools: dict[str, tuple[Pool, int, object]] = {}

    @property
    def threads(self) -> int:
        """How many tensors to merge at a time: torch brings threads of its own."""
        if self._fused is None:
            return 1
        return self._options.threads or _cores()

    def prepare(self) -> None:
        """Aligns and measures models, and surveys all tensors as one vector, as far as asked."""
        for each in self._plan.models.aligned:
            each.find()
        self._measured.prepare()
        pooled: dict[Hashable, list[TensorPlan]] = {}
        for tensor in self._plan.tensors:
            if is_pooled(tensor):
                pooled.setdefault(pool_key(tensor), []).append(tensor)
        for tensors in pooled.values():
            blocks = Pool([self.blocks(tensor) for tensor in tensors])
            survey = self._surveys.of(tensors, blocks)
            for tensor, part in zip(tensors, blocks.parts, strict=True):
                self._pools[tensor.info.name] = (blocks, part.pool, survey)

    def merge(self, tensor: TensorPlan, sink: Sink, into: NDArray | None = None) -> None:
        """Makes one tensor and hands it to ``sink``, block by block.

        Args:
            tensor: which.
            sink: receives what was not put into ``into``.
            into: ``(rows, columns)`` of the tensor's element type; where the compiled kernels run
                they write there, and ``sink`` is not called.
        """
        if tensor.parameters is None:
            sink(tensor.info, 0, copied(tensor, allow_nan=self._lets_through(tensor)))
            return
        if not tensor.info.size:
            return
        blocks = self.blocks(tensor)
        steps = tensor.method.steps
        settled = steps.settle(self._survey(tensor, blocks), blocks, tensor.parameters)
        out: NDArray | None = None
        for block in blocks.last():
            row = block.where.row
            if block.engine is self._fused and into is not None:
                steps.combine(replace(block, out=into[row : row + block.rows]), settled)
                continue
            if block.engine is self._fused:
                out = target(out, block, tensor.info.dtype)
                block = replace(block, out=out[: block.rows])  # noqa: PLW2901 - with a place to go
            result = steps.combine(block, settled)
            done = rounded(result, tensor.info, allow_nan=self._options.allow_nan)
            sink(tensor.info, block.where.offset, done)
        self._surveys.found_finite(tensor)

    def check(self, tensor: TensorPlan) -> None:
        """Refuses inputs that `merge` would refuse, each only once; for what needs no merging.

        Raises:
            MergeError: a model holds NaN or infinity, or models disagree in whole numbers.
        """
        if self._surveys.are_finite(tensor):
            return
        if tensor.parameters is None:
            copied(tensor, allow_nan=self._lets_through(tensor))
        elif not self._options.allow_nan:
            for _ in self.blocks(tensor).last():
                pass
        self._surveys.found_finite(tensor)

    def blocks(self, tensor: TensorPlan) -> TensorBlocks:
        """The inputs of a tensor, as its method sees them."""
        engine = self._engine(tensor)
        device = None if engine is self._fused else self._options.device
        allow_nan = self._options.allow_nan or self._surveys.are_finite(tensor)
        reading = Reading(engine, device, allow_nan, self._stopped, self._options.block)
        keys = self._keys(tensor)
        blocks = TensorBlocks(tensor.inputs, tensor.base, tensor.work, keys, reading)
        blocks.measure(self._measured.of(tensor))
        return blocks

    def stop(self) -> None:
        """Ends the threads that still merge something: within a block each, not a tensor."""
        self._stopped.set()

    def _lets_through(self, tensor: TensorPlan) -> bool:
        """Whether a copied tensor may hold NaN and infinity: a mask may anyway."""
        return self._options.allow_nan or self._plan.models.family.is_buffer(tensor.info.name)

    def _survey(self, tensor: TensorPlan, blocks: TensorBlocks) -> object:
        if tensor.info.name not in self._pools:
            return self._surveys.of([tensor], blocks)
        pool, start, survey = self._pools[tensor.info.name]
        blocks.join(pool, start)
        return survey

    def _engine(self, tensor: TensorPlan) -> Engine:
        if self._fused is None or tensor.work == FLOAT64:
            return reference_engine()
        return self._fused

    def _keys(self, tensor: TensorPlan) -> tuple[Key, ...]:
        """Of the noise; without a declared draw, neither the seed nor a model's place matters."""
        seed = self._plan.recipe.seed if tensor.draws else 0
        places = [i if not tensor.draws else each.model for i, each in enumerate(tensor.inputs)]
        return tuple(noise_key(seed, place, tensor.info.name) for place in places)


def run(
    plan: Plan, sink: Sink, options: Options | None = None, progress: Progress | None = None
) -> None:
    """Makes every tensor of a plan, the largest first, several at a time.

    Args:
        plan: what to make.
        sink: receives every block once; called from several threads.
        options: how to run.
        progress: called from several threads with the number of finished elements.

    Raises:
        MergeError: a model holds NaN, models disagree in a buffer, or there is no such device.
    """
    merger = Merger(plan, options or Options())

    def make(tensor: TensorPlan) -> None:
        merger.merge(tensor, sink)
        if progress is not None:
            progress(tensor.info.size)

    make_all(merger, plan.tensors, make)


def make_all(
    merger: Merger, tensors: Sequence[TensorPlan], make: Callable[[TensorPlan], None]
) -> None:
    """Calls ``make`` for all tensors, the largest first, several at a time.

    Raises:
        MergeError: the first one that ``make`` raised; what was under way has been ended.
    """
    merger.prepare()
    ordered = sorted(tensors, key=lambda tensor: -tensor.info.size)
    pool = ThreadPoolExecutor(merger.threads)
    try:
        _finish([pool.submit(make, tensor) for tensor in ordered])
    finally:
        merger.stop()
        pool.shutdown(wait=True, cancel_futures=True)


def stream(plan: Plan, options: Options | None = None) -> Iterator[tuple[str, Tensor]]:
    """Every output tensor by name, in the plan's order; a few are made ahead."""
    from evomerge.kernels.torch_arrays import to_torch

    merger = Merger(plan, options or Options())
    merger.prepare()
    pool = ThreadPoolExecutor(merger.threads)

    def make(tensor: TensorPlan) -> Tensor:
        whole = np.empty(tensor.info.size, tensor.info.dtype)

        def keep(_: TensorInfo, offset: int, block: NDArray) -> None:
            whole[offset : offset + block.size] = block.reshape(-1)

        merger.merge(tensor, keep)
        return to_torch(whole.reshape(tensor.info.shape))

    waiting = iter(plan.tensors)
    try:
        ahead = [(t, pool.submit(make, t)) for t in islice(waiting, 2 * merger.threads)]
        while ahead:
            tensor, future = ahead.pop(0)
            yield tensor.info.name, future.result()
            ahead += [(t, pool.submit(make, t)) for t in islice(waiting, 1)]
    finally:
        merger.stop()
        pool.shutdown(wait=True, cancel_futures=True)


def _finish(futures: Sequence[Future[None]]) -> None:
    """Waits for all, and raises what the first failure raised."""
    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    for future in done:
        if future.exception() is not None:
            for waiting in futures:
                waiting.cancel()
            future.result()


def _cores() -> int:
    """The cores this process may use; not every system can tell."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_device(device: str) -> None:
    """Refuses a device that is not there.

    Raises:
        MergeError: torch cannot use it.
    """
    if device == "cpu":
        return
    import torch

    with suppress(RuntimeError, AssertionError):
        torch.empty(0, device=device)
        return
    raise MergeError(f"--device {device}: torch finds no such device here; use cpu")
