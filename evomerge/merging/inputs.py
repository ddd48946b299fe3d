"""What the models of a recipe contribute to a tensor of the output."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

from evomerge.checkpoint.source import Source
from evomerge.checkpoint.tensors import TensorInfo


@runtime_checkable
class Telling(Protocol):
    """A source that knows which of its tensors are as those of other sources are."""

    def content(self, name: str) -> Hashable:
        """Equal where the numbers are; as ``(source, name)`` for a tensor of another source."""


@dataclass(frozen=True)
class Input:
    """One model's contribution to an output tensor.

    Attributes:
        model: index of the model in the recipe: part of the address of its noise.
        source: where it is read.
        name: what the tensor is called there.
    """

    model: int
    source: Source
    name: str

    @property
    def info(self) -> TensorInfo:
        """Its shape and element type."""
        return self.source.info(self.name)

    @cached_property
    def content(self) -> Hashable:
        """What decides its numbers. Sources are told apart as objects, unless they know better."""
        source = self.source
        return source.content(self.name) if isinstance(source, Telling) else (source, self.name)
