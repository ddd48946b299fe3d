"""The mean under the distance ‖ΔW − ΔWᵢ‖ of matrices: the average, brought to a rank by its SVD.

Straight through the space of all matrices instead of along the curved set of those of one rank:
a chord. It minimises Σ wᵢ ‖ΔW − ΔWᵢ‖² over the matrices of the rank, and needs no iteration.
"""

from __future__ import annotations

from evomerge.adapters.base import Task
from evomerge.adapters.truncation import spectrum
from evomerge.adapters.updates import Stack, Update
from evomerge.errors import MergeError


def chordal_mean(task: Task) -> Update:
    """The mean of the rank that the task asks for.

    Raises:
        MergeError: two singular values at the cut are equal, so that it has no one answer.
    """
    rank = task.rank()
    stack = Stack.of(task.updates, task.weights)
    if not stack.width:
        return Update.zero(task.shape)
    found = spectrum(stack, stack.column_weights)
    if found.split_by(rank):
        raise MergeError(
            f"{task.name}: the mean of rank {rank} is not unique: its singular values {rank} "
            f"and {rank + 1} are equal, as happens with adapters that have nothing in common; "
            "take rank: sum"
        )
    return found.truncated(stack, rank)
