"""Which stacks a search may build: from which models, how deep, what stays in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from evomerge.recipe import ModelReference
from evomerge.stacks.hops import Hop, Stack, block


@dataclass(frozen=True)
class Source:
    """A model that layers are taken from.

    Attributes:
        reference: the model.
        layers: how many it has.
    """

    reference: ModelReference
    layers: int


@dataclass(frozen=True)
class Ground:
    """The stacks that there are.

    Attributes:
        sources: the models by alias; their layers may stand anywhere but at the kept ends.
        anchor: the alias of the model that gives the ends, and all that is outside the layers.
        keep: how many of the anchor's first and of its last layers are the first and last of
            every stack.
        layers: how many layers a stack has, at least and at most.
        scale: the range of the scale of a hop; None is no scales.
    """

    sources: Mapping[str, Source]
    anchor: str
    keep: tuple[int, int]
    layers: tuple[int, int]
    scale: tuple[float, float] | None = None

    @property
    def slots(self) -> tuple[int, int]:
        """How many layers stand between the kept ends, at least and at most."""
        return self.layers[0] - sum(self.keep), self.layers[1] - sum(self.keep)

    @cached_property
    def head(self) -> Stack:
        """The kept first layers."""
        return block(self._anchor.reference, 0, self.keep[0])

    @cached_property
    def tail(self) -> Stack:
        """The kept last layers."""
        return block(
            self._anchor.reference, self._anchor.layers - self.keep[1], self._anchor.layers
        )

    @cached_property
    def middle(self) -> Stack:
        """What stands between them in the anchor."""
        return self.between(self.anchor)

    @cached_property
    def aliases(self) -> Mapping[ModelReference, str]:
        """The names of the models."""
        return {source.reference: alias for alias, source in self.sources.items()}

    def between(self, alias: str) -> Stack:
        """The layers of a model but for as many at its ends as are kept of the anchor's."""
        source = self.sources[alias]
        first, last = self.keep
        return block(source.reference, first, source.layers - last)

    def everywhere(self) -> Iterator[tuple[str, Hop]]:
        """All layers that may stand between the ends, by alias, in order."""
        for alias in self.sources:
            for hop in self.between(alias):
                yield alias, hop

    def whole(self, middle: Stack) -> Stack:
        """A stack with its kept ends."""
        return self.head + middle + self.tail

    def cut(self, stack: Stack) -> Stack | None:
        """What stands between the kept ends; None if these are not what they must be.

        None too if the stack has too few layers or too many, a layer of a model that is not here,
        or a scale out of range.
        """
        first, last = self.keep
        end = len(stack) - last
        low, high = self.layers
        if not low <= len(stack) <= high or (stack[:first], stack[end:]) != (self.head, self.tail):
            return None
        return stack[first:end] if all(map(self._has, stack)) else None

    def fits(self, middle: Stack) -> bool:
        """Whether so many layers may stand between the ends."""
        low, high = self.slots
        return low <= len(middle) <= high

    @property
    def _anchor(self) -> Source:
        return self.sources[self.anchor]

    def _has(self, hop: Hop) -> bool:
        alias = self.aliases.get(hop.model)
        if alias is None or hop.layer >= self.sources[alias].layers:
            return False
        low, high = self.scale or (1.0, 1.0)
        return hop.scale == 1.0 or low <= hop.scale <= high
