"""Edits of a stack: skip some layers, repeat a block, swap a layer, insert a block, move a scale.

Positions count from 0. One beyond the end is the last; a block that would reach beyond it is
shorter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from evomerge.stacks.hops import Hop, Stack

Kind = Literal["skip", "repeat", "swap", "insert", "scale"]

# What an edit of each kind depends on, beside where it is.
NEEDS: Mapping[Kind, tuple[str, ...]] = {
    "skip": ("length",),
    "repeat": ("length",),
    "swap": ("model", "layer"),
    "insert": ("model", "layer", "length"),
    "scale": ("scale",),
}


@dataclass(frozen=True)
class Edit:
    """One change of a stack.

    Attributes:
        kind: which.
        at: the position of the first layer that it is about; what is inserted comes before it.
        length: how many layers are skipped, repeated or inserted.
        donor: layers of another model, of which a swap takes the first, and an insertion the first
            ``length``.
        scale: what the stream is multiplied with before that layer.
    """

    kind: Kind
    at: int
    length: int = 1
    donor: Stack = ()
    scale: float = 1.0

    def __call__(self, stack: Stack) -> Stack:
        """The stack after it."""
        if not stack:
            return self.donor[: self.length] if self.kind == "insert" else stack
        at = min(self.at, len(stack) - (self.kind != "insert"))
        end = at + self.length
        if self.kind == "skip":
            return stack[:at] + stack[end:]
        if self.kind == "repeat":
            return stack[:end] + stack[at:]
        if self.kind == "insert":
            return stack[:at] + self.donor[: self.length] + stack[at:]
        return (*stack[:at], self._changed(stack[at]), *stack[at + 1 :])

    def _changed(self, hop: Hop) -> Hop:
        if self.kind == "scale":
            return replace(hop, scale=self.scale)
        return replace(self.donor[0], scale=hop.scale)
