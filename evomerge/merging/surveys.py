"""What is known of the inputs, whatever the parameters: found once, used by every candidate."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from threading import Lock
from typing import TYPE_CHECKING

from evomerge.kernels.block import Block
from evomerge.merging.blocks import TensorBlocks
from evomerge.methods.base import Blocks
from evomerge.methods.measured import Measured
from evomerge.methods.recent import Recent
from evomerge.noise import Key

if TYPE_CHECKING:
    from evomerge.merging.plan import TensorPlan

# Surveys kept: of every tensor of a large model of experts, for a few methods.
SURVEYS = 1 << 16


class Surveys:
    """Surveys by what was surveyed. Any number of threads may ask at once.

    For one merge they are of no use; a search asks for the same ones at every candidate. Sources
    are told apart as objects: those of one search must be the same ones throughout.
    """

    def __init__(self, capacity: int = SURVEYS) -> None:
        """``capacity`` surveys are kept; with none, each lasts as long as its tensor is merged."""
        self._kept: Recent[object] = Recent(capacity)
        self._finite: set[Hashable] = set()
        self._lock = Lock()

    def of(self, tensors: Sequence[TensorPlan], blocks: Blocks) -> object:
        """What the one method of all ``tensors`` finds in ``blocks``, which are theirs."""
        steps = tensors[0].method.steps
        # Methods of one family share a survey.
        key = (type(steps).survey, *(inputs_key(tensor) for tensor in tensors))
        return self._kept.get(key, lambda: steps.survey(blocks))

    def are_finite(self, tensor: TensorPlan) -> bool:
        """Whether the inputs of a tensor have all been read, and held neither NaN nor infinity."""
        with self._lock:
            return inputs_key(tensor) in self._finite

    def found_finite(self, tensor: TensorPlan) -> None:
        """Remembers that they have."""
        with self._lock:
            self._finite.add(inputs_key(tensor))

    def clear(self) -> None:
        """Forgets everything."""
        self._kept.clear()
        self._finite.clear()


def inputs_key(tensor: TensorPlan) -> Hashable:
    """What a survey of a tensor depends on, besides the method."""
    inputs = tuple(each.content for each in tensor.inputs)
    base = None if tensor.base is None else tensor.base.content
    return inputs, base, tensor.work


def is_pooled(tensor: TensorPlan) -> bool:
    """Whether a tensor is surveyed together with others, as one vector."""
    return tensor.parameters is not None and tensor.method.pools(tensor.parameters)


def pool_key(tensor: TensorPlan) -> tuple[Hashable, ...]:
    """Equal for tensors that are surveyed together: those of the same method and models."""
    return tensor.method.name, *(each.model for each in tensor.inputs)


class Pool:
    """Several tensors as one long vector, as ``evomerge.methods.base.Blocks``."""

    keys: tuple[Key, ...] = ()  # noise is addressed tensor by tensor

    def __init__(self, parts: Sequence[TensorBlocks]) -> None:
        """Makes ``parts`` know their place in it."""
        self.parts = parts
        self.models = parts[0].models
        self.columns = parts[0].columns
        self.size = 0
        for part in parts:
            part.join(self, self.size)
            part.keeps = False
            self.size += part.size
        self.shape: tuple[int, ...] = (self.size,)

    @property
    def measured(self) -> Sequence[Measured]:
        """Measurements are of tensors."""
        return ()

    @property
    def whole(self) -> Blocks:
        """Itself."""
        return self

    def __iter__(self) -> Iterator[Block]:
        for part in self.parts:
            yield from part
