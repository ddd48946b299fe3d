"""Reinforced agent merging: what one model has changed is kept, what several have is averaged.

[1] X. Yuan et al. Behavior knowledge merge in reinforced agentic models. 2026.
    https://arxiv.org/abs/2601.13572
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evomerge.kernels.block import Block, NDArray
from evomerge.kernels.sums import Floats
from evomerge.methods.base import Blocks, Param, Parameters
from evomerge.methods.changes import Array, added, changes, numbers, quietly

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = Param("epsilon", 1e-5, "changes no larger count as none", search=(0.0, 0.001))


@dataclass(frozen=True)
class Contribution:
    """How task vectors become one.

    Attributes:
        epsilon: changes no larger count as none.
        gains: ``(models,)``: what a change is multiplied with where no other model has one.
    """

    epsilon: float
    gains: Floats


class Overlapping:
    """The three steps of both methods; they differ in what becomes of unique changes."""

    def survey(self, blocks: Blocks) -> None:
        """Nothing that holds for every epsilon."""

    def gains(self, blocks: Blocks, parameters: Parameters) -> Floats:
        """``(models,)``: the factor on what only this model has changed."""
        raise NotImplementedError

    def settle(self, survey: None, blocks: Blocks, parameters: Parameters) -> Contribution:
        """The threshold and the gains."""
        return Contribution(parameters.number("epsilon"), self.gains(blocks, parameters))

    @quietly
    def combine(self, block: Block, contribution: Contribution) -> NDArray | Tensor:
        """``(models, rows, columns)`` of task vectors -> ``(rows, columns)``."""
        vectors = changes(block)
        present = _present(vectors, contribution.epsilon)
        count = _how_many(present, vectors[0])
        alone = numbers(count == 1, count)
        total: Array = 0.0
        for vector, here, gain in zip(vectors, present, contribution.gains, strict=True):
            part = vector * numbers(here, vector)
            total = total + (part if gain == 1.0 else part * (1.0 + alone * (float(gain) - 1.0)))
        merged: NDArray | Tensor = added(block, total / count.clip(1.0, None))
        return merged


def alone_and_shared(blocks: Blocks, epsilon: float) -> tuple[Floats, Floats]:
    """``(models,)`` twice: how many elements only this model, and it and others, have changed."""
    found = np.zeros((2, blocks.models))
    for block in blocks:
        vectors = changes(block)
        present = _present(vectors, epsilon)
        alone = _how_many(present, vectors[0]) == 1
        for model, each in enumerate(present):
            found[0, model] += int((each & alone).sum())
            found[1, model] += int((each & ~alone).sum())
    return found[0], found[1]


def _present(vectors: list[Array], epsilon: float) -> list[Array]:
    """For each model, where it has changed something."""
    return [abs(vector) > epsilon for vector in vectors]


def _how_many(present: list[Array], like: Array) -> Array:
    counts = [numbers(each, like) for each in present]
    return sum(counts[1:], counts[0])
