"""The one model in memory, and the places in it where the tensors of a merge stand."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import numpy as np
import torch
from transformers import PreTrainedModel

from evomerge.checkpoint.tensors import TensorInfo
from evomerge.dtypes import BFLOAT16, FLOAT32, DType, dtype_name
from evomerge.evaluators.base import LoadedModel
from evomerge.kernels.block import NDArray
from evomerge.kernels.torch_arrays import to_numpy, to_torch
from evomerge.workbench.landing import Landing, Run
from evomerge.workbench.places import Place


class Live:
    """A transformers model whose weights are overwritten in place, or shared with a source.

    Its weights have no memory until they are written or shared.

    Attributes:
        loaded: the model, to be scored.
    """

    def __init__(self, loaded: LoadedModel, landing: Landing, places: Mapping[str, Place]) -> None:
        """``landing`` says where each tensor of a merge stands in ``places``, the model's own."""
        self.loaded = loaded
        self._landing = landing
        self._places = places

    @property
    def model(self) -> PreTrainedModel:
        """The model."""
        return self.loaded.model

    def can_share(self, info: TensorInfo) -> bool:
        """Whether a tensor is all of a parameter in main memory, in the same element type."""
        run = self._whole(info)
        if run is None:
            return False
        place = self._places[run.target]
        return place.size == info.size and _is_in_main_memory(place, info.dtype)

    def share(self, info: TensorInfo, array: NDArray) -> None:
        """Lets the model read a tensor that `can_share` where it is, in a source's memory."""
        self._places[self._landing[info.name][0].target].share(array)

    def whole(self, info: TensorInfo) -> NDArray | None:
        """``(rows, columns)``: the memory of a tensor, where the compiled kernels may write it.

        None where it stands in pieces, on another device, or in another element type.
        """
        run = self._whole(info)
        if run is None or info.dtype not in {BFLOAT16, FLOAT32}:
            return None
        place = self._places[run.target]
        if not _is_in_main_memory(place, info.dtype):
            return None
        columns = info.shape[-1] if info.shape else 1
        memory = place.own()[run.at : run.at + info.size]
        return to_numpy(memory, info.dtype).reshape(-1, columns)

    def write(self, info: TensorInfo, offset: int, block: NDArray) -> None:
        """Puts a block of a tensor where it belongs, rounded as transformers does on loading."""
        values = np.ascontiguousarray(block).reshape(-1)
        for run in self._landing[info.name]:
            first = max(run.first, offset)
            end = min(run.first + run.count, offset + values.size)
            if first < end:
                at = run.at + first - run.first
                part = to_torch(values[first - offset : end - offset])
                self._places[run.target].own()[at : at + end - first].copy_(part)

    def close(self) -> None:
        """Frees the memory of the weights, even if somebody still holds the model."""
        for place in self._places.values():
            place.free()
        for tensor in chain(self.model.parameters(), self.model.buffers()):
            tensor.data = tensor.data.new_empty(0)

    def _whole(self, info: TensorInfo) -> Run | None:
        """Where a tensor stands in one piece."""
        runs = self._landing[info.name]
        return runs[0] if len(runs) == 1 and runs[0].count == info.size else None


def _is_in_main_memory(place: Place, dtype: DType) -> bool:
    """Whether it is there, in this type."""
    known = getattr(torch, dtype_name(dtype), None)
    return place.device.type == "cpu" and place.dtype == known
