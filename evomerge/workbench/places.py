"""Where the parameters of a live model have their numbers: in their own memory or a source's."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from threading import Lock

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from evomerge.kernels.torch_arrays import to_torch
from evomerge.workbench.aligned import aligned


class Place:
    """One parameter or buffer. Without memory until it is asked for.

    Attributes:
        size: elements.
        dtype: their type.
        device: where they are.
    """

    def __init__(self, tensor: Tensor, shape: torch.Size) -> None:
        """``tensor`` is the model's; what it holds is given up, but for its type and device."""
        self._tensor = tensor
        self._shape = shape
        self._own: Tensor | None = None
        self._lock = Lock()
        self.size = prod(shape)
        self.dtype = tensor.dtype
        self.device = tensor.device
        self.free()

    def own(self) -> Tensor:
        """``(elements,)``: memory that is nobody else's, with arbitrary content at first."""
        with self._lock:
            if self._own is None:
                memory = self._allocated()
                self._tensor.data = memory
                self._own = memory.view(-1)
            return self._own

    def share(self, array: np.ndarray) -> None:
        """Takes numbers where they are; what was its own is freed.

        Args:
            array: in main memory, as this place is, and of its type and size. Nobody writes to it
                through the place: `own` gives other memory.
        """
        with self._lock:
            self._tensor.data = to_torch(array).view(self._shape)
            self._own = None

    def free(self) -> None:
        """Without memory again."""
        with self._lock:
            self._tensor.data = self._tensor.data.new_empty(0)
            self._own = None

    def _allocated(self) -> Tensor:
        if self.device.type != "cpu":
            return torch.empty(self._shape, dtype=self.dtype, device=self.device)
        nbytes = self.size * self.dtype.itemsize
        memory = torch.from_numpy(aligned((nbytes,), np.dtype(np.uint8)))
        return memory.view(self.dtype).view(self._shape)


def places_of(
    model: PreTrainedModel, shapes: Mapping[str, torch.Size] | None = None
) -> Mapping[str, Place]:
    """A place for every name that a checkpoint may hold; tied parameters share theirs.

    Args:
        model: gives up its weights.
        shapes: of the weights, where the model has none; its own if None.
    """
    known: dict[int, Place] = {}
    places = {}
    for name, tensor in stored(model).items():
        if id(tensor) not in known:
            shape = tensor.shape if shapes is None else shapes[name]
            known[id(tensor)] = Place(tensor, shape)
        places[name] = known[id(tensor)]
    return places


def stored(model: PreTrainedModel) -> Mapping[str, Tensor]:
    """Parameters and buffers that a checkpoint holds, by name; tied ones under several."""
    found: Mapping[str, Tensor] = model.state_dict(keep_vars=True)
    return found
