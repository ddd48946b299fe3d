"""The one model in memory, and the places in it where the tensors of a merge stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from evomerge.checkpoint.tensors import TensorInfo
from evomerge.dtypes import BFLOAT16, FLOAT32, dtype_name
from evomerge.evaluators.loading import load_model
from evomerge.kernels.block import NDArray
from evomerge.kernels.torch_arrays import to_numpy, to_torch
from evomerge.merging.folder import Documents
from evomerge.merging.plan import Plan
from evomerge.workbench.hollow import write_hollow
from evomerge.workbench.landing import find_landing, quiet
from evomerge.workbench.settings import Settings

# torch begins its tensors at whole cache lines.
ALIGNMENT = 64


class Live:
    """A transformers model whose weights are overwritten in place.

    It is what transformers makes of the folder that the merge would write, tokenizer and settings
    for generation included; its weights are arbitrary until they are written.

    Attributes:
        loaded: the model, to be scored.
    """

    def __init__(
        self, plan: Plan, documents: Documents, settings: Settings, write: Callable[[], Path]
    ) -> None:
        """Makes the model of a plan.

        Args:
            plan: the merge.
            documents: its small files.
            settings: where the model is, and whether its own code may run.
            write: gives a folder with the model as it is now, for evaluators that read one.

        Raises:
            CheckpointError: transformers cannot make a model of the output's config.json.
            EvaluationError: there is no such device.
            MergeError: the model cannot be overwritten in memory.
            OutputError: there is no space for config and tokenizer.
        """
        self._scratch = TemporaryDirectory(prefix="evomerge-")
        try:
            folder = Path(self._scratch.name)
            weights = write_hollow(plan, documents, folder)
            with quiet():
                loaded = load_model(
                    folder,
                    device=settings.chosen_device(),
                    label="the candidate",
                    trust_remote_code=settings.trust_remote_code,
                )
            self.loaded = replace(loaded, folder=write)
            weights.unlink()
            infos = [tensor.info for tensor in plan.tensors]
            self._landing = find_landing(self.model, infos, plan.models.family)
        except BaseException:
            self._scratch.cleanup()
            raise
        self._places = dict(_own(self.model))

    @property
    def model(self) -> PreTrainedModel:
        """The model."""
        return self.loaded.model

    def whole(self, info: TensorInfo) -> NDArray | None:
        """``(rows, columns)``: the memory of a tensor, where the compiled kernels may write it.

        None where it stands in pieces, on another device, or in another element type.
        """
        runs = self._landing[info.name]
        if len(runs) != 1 or runs[0].count != info.size or info.dtype not in {BFLOAT16, FLOAT32}:
            return None
        place = self._places[runs[0].target]
        if place.device.type != "cpu" or place.dtype != getattr(torch, dtype_name(info.dtype)):
            return None
        columns = info.shape[-1] if info.shape else 1
        at = runs[0].at
        return to_numpy(place[at : at + info.size], info.dtype).reshape(-1, columns)

    def write(self, info: TensorInfo, offset: int, block: NDArray) -> None:
        """Puts a block of a tensor where it belongs, rounded as transformers does on loading."""
        values = np.ascontiguousarray(block).reshape(-1)
        for run in self._landing[info.name]:
            first = max(run.first, offset)
            end = min(run.first + run.count, offset + values.size)
            if first < end:
                at = run.at + first - run.first
                part = to_torch(values[first - offset : end - offset])
                self._places[run.target][at : at + end - first].copy_(part)

    def close(self) -> None:
        """Frees the memory of the weights, even if somebody still holds the model."""
        for tensor in _stored(self.model).values():
            tensor.data = tensor.data.new_empty(0)
        self._places = {}
        self._scratch.cleanup()


def _stored(model: PreTrainedModel) -> Mapping[str, Tensor]:
    """Parameters and buffers that a checkpoint holds, by name; tied ones under several."""
    return model.state_dict(keep_vars=True)


def _own(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Gives every weight memory of its own, as transformers may have mapped the file.

    Yields names, and the weights as flat vectors that share that memory.
    """
    moved: dict[int, Tensor] = {}
    for name, tensor in _stored(model).items():
        if id(tensor) not in moved:
            if tensor.device.type == "cpu":
                tensor.data = _empty_like(tensor)
            moved[id(tensor)] = tensor.data.view(-1)
        yield name, moved[id(tensor)]


def _empty_like(tensor: Tensor) -> Tensor:
    """Allocated by NumPy, which asks the system for large pages: fewer to look up."""
    nbytes = tensor.numel() * tensor.element_size()
    memory = np.empty(nbytes + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    return torch.from_numpy(memory[begin : begin + nbytes]).view(tensor.dtype).view(tensor.shape)
