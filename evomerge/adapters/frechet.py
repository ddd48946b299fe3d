"""Fréchet averages of adapters: the update nearest to all, on one of three manifolds [1].

[1] J. da Silva, M. Adnan, F. Dangel, S. Oore. Generalizing the geometry of model merging through
    Fréchet averages. 2026. https://arxiv.org/abs/2604.27155
"""

from __future__ import annotations

from evomerge.adapters.balanced import Balanced, balanced_mean, without_nothing
from evomerge.adapters.base import (
    RANK,
    Merged,
    Parameter,
    Task,
    adapter_method,
    fraction,
    one_of,
)
from evomerge.adapters.chordal import chordal_mean
from evomerge.adapters.invariant import invariant_mean
from evomerge.adapters.updates import RANK_FLOOR, Stack, Update
from evomerge.errors import MergeError
from evomerge.recipe.lookup import as_whole

MANIFOLD = Parameter(
    "manifold",
    "balanced",
    one_of("balanced", "chordal", "invariant"),
    "which distance: balanced, chordal or invariant",
)
TOLERANCE = Parameter("tolerance", 1e-8, fraction, "relative pull that ends the iteration")
STEPS = Parameter("steps", 200, as_whole, "of the iteration, at most")
# The metric of `invariant` divides by singular values; smaller ones are left out.
_INVARIANT_FLOOR = 1e-6
# A smaller cosine is what rounding left of 0.
_NOTHING = 1e-9


@adapter_method("frechet", MANIFOLD, RANK, TOLERANCE, STEPS)
class Frechet:
    """The update that is nearest to all, whatever gauge they were trained in [1]."""

    def merge(self, task: Task) -> Merged:
        """The mean on the manifold that is asked for.

        Raises:
            MergeError: it is not unique, or a weight is negative.
        """
        task.positive()
        manifold = task.values["manifold"]
        if manifold == "chordal":
            return Merged(chordal_mean(task))
        rank = task.rank()
        floor = _INVARIANT_FLOOR if manifold == "invariant" else RANK_FLOOR
        stack = Stack.of(task.updates, task.weights, floor).cut(rank)
        if not stack.width:
            return Merged(Update.zero(task.shape))
        _check_unique(task.name, stack)
        return (_balanced if manifold == "balanced" else _invariant)(task, stack, rank)


def _balanced(task: Task, stack: Stack, rank: int) -> Merged:
    found = balanced_mean(
        stack, rank, tolerance=task.number("tolerance"), steps=int(task.number("steps"))
    )
    return Merged(stack.combined(found.point, found.point), found.steps, found.residual)


def _invariant(task: Task, stack: Stack, rank: int) -> Merged:
    """From the mean of balanced factors on. An update that is zero is infinitely far: left out."""
    stack = Stack(stack.updates, stack.weights / stack.weights.sum())
    tolerance, steps = task.number("tolerance"), int(task.number("steps"))
    geometry = Balanced.of(stack)
    start = without_nothing(
        geometry, balanced_mean(stack, rank, tolerance=tolerance, steps=steps).point
    )
    found = invariant_mean(
        stack,
        start,
        [geometry.turned(start)[part] for part in stack.columns],
        tolerance=tolerance,
        steps=steps,
    )
    update = stack.combined(*found.point)
    return Merged(update, found.steps, found.residual)


def _check_unique(name: str, stack: Stack) -> None:
    if Balanced.of(stack).common < _NOTHING:
        raise MergeError(
            f"{name}: the mean is not unique: an adapter has nothing in common with the others "
            "(or is the opposite of one), so no rotation of it is nearest; take manifold: chordal "
            "with rank: sum, or method linear: both are the exact average"
        )
