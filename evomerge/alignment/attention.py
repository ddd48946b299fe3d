"""The heads of one attention as matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evomerge.alignment.layout import HeadGroup

Floats = NDArray[np.floating]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Attention:
    """The weights of one attention, what stands along the heads first.

    Biases are further columns of what they are added to.

    Attributes:
        group: its shape.
        queries: ``(heads, width, numbers)``.
        keys: ``(groups, width, numbers)``.
        values: ``(groups, width, numbers)``.
        outputs: ``(heads, width, numbers)``, of the output matrix.
    """

    group: HeadGroup
    queries: Floats
    keys: Floats
    values: Floats
    outputs: Floats

    @classmethod
    def of(cls, group: HeadGroup, rows: Mapping[str, Floats]) -> Attention:
        """From ``(heads * width, numbers)`` of each kind of place, by its name."""
        blocks = {k: m.reshape(-1, group.width, m.shape[1]) for k, m in rows.items()}
        kinds = ("queries", "keys", "values", "outputs")
        return cls(group, *(blocks[kind] for kind in kinds))

    def chosen(self, order: Indices) -> Attention:
        """The same with its heads in another order."""
        groups = order[:: self.group.per_group] // self.group.per_group
        return Attention(
            self.group,
            self.queries[order],
            self.keys[groups],
            self.values[groups],
            self.outputs[order],
        )

    def single(self, head: int) -> Attention:
        """One query head, with what it reads."""
        group = replace(self.group, heads=1, groups=1)
        at = head // self.group.per_group
        mine = slice(head, head + 1), slice(at, at + 1)
        return Attention(
            group,
            self.queries[mine[0]],
            self.keys[mine[1]],
            self.values[mine[1]],
            self.outputs[mine[0]],
        )
