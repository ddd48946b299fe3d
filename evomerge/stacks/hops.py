"""The hops of a stack: which layer of which model comes next, and at what scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from evomerge.recipe import ModelReference


@dataclass(frozen=True)
class Hop:
    """One layer of a stack.

    Attributes:
        model: whose layer.
        layer: which, counted from 0.
        scale: what the residual stream is multiplied with before it, above 0.
    """

    model: ModelReference
    layer: int
    scale: float = 1.0


# From the first layer to the last.
Stack: TypeAlias = tuple[Hop, ...]


def intact(model: ModelReference, layers: int) -> Stack:
    """All layers of one model, in order."""
    return block(model, 0, layers)


def block(model: ModelReference, first: int, end: int) -> Stack:
    """The layers ``[first, end)`` of one model, in order."""
    return tuple(Hop(model, layer) for layer in range(first, end))


def follows(before: Hop, hop: Hop) -> bool:
    """Whether ``hop`` comes after ``before`` in its own model too."""
    return hop.model == before.model and hop.layer == before.layer + 1


def seams(stack: Stack) -> Iterator[int]:
    """The positions of the hops that do not come after the one before them in their own model."""
    for position in range(1, len(stack)):
        if not follows(stack[position - 1], stack[position]):
            yield position
