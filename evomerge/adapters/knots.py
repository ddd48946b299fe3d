"""KnOTS [1]: updates are brought to one basis, and merged there element by element.

[ΔW₁ | ΔW₂ | …] = U Σ [V₁ᵀ | V₂ᵀ | …]: U Σ is common to all, and the Vᵢ are aligned, so that a
method for task vectors may compare them element by element. What merges them is TIES [2], DARE [3]
or the average.

[1] G. Stoica et al. Model merging with SVD to tie the Knots. ICLR 2025.
    https://arxiv.org/abs/2410.19735
[2] P. Yadav et al. TIES-Merging: resolving interference when merging models. NeurIPS 2023.
    https://arxiv.org/abs/2306.01708
[3] L. Yu et al. Language models are Super Mario: absorbing abilities from homologous models as a
    free lunch. ICML 2024. https://arxiv.org/abs/2311.03099
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evomerge.adapters.base import (
    RANK,
    Merged,
    Parameter,
    Task,
    adapter_method,
    fraction,
    one_of,
)
from evomerge.adapters.truncation import spectrum
from evomerge.adapters.updates import Floats, Stack, Update
from evomerge.noise import DRAWS, draws, noise_key

CONSENSUS = Parameter(
    "consensus",
    "ties",
    one_of("ties", "dare", "linear"),
    "what merges the aligned parts: ties, dare or linear",
)
DENSITY = Parameter("density", 1.0, fraction, "share of the elements that ties or dare keeps")


@adapter_method("knots", CONSENSUS, DENSITY, RANK)
class Knots:
    """The parts of a joint SVD, merged by TIES, DARE or their average [1]."""

    def merge(self, task: Task) -> Merged:
        """``U Σ`` and the merged ``V``, cut to the rank asked for."""
        rank = task.rank()
        labels = [
            label
            for label, weight, update in zip(task.labels, task.weights, task.updates, strict=True)
            if weight and update.balanced().rank
        ]
        stack = Stack.of(task.updates, task.weights)
        if not stack.width:
            return Merged(Update.zero(task.shape))
        joint = spectrum(stack, np.ones(stack.width), _apart(stack))
        basis = stack.left @ (joint.left * joint.values)
        aligned = [stack.right[:, part] @ joint.right[part] for part in stack.columns]
        merged = _consensus(task, stack.weights, aligned, labels)
        update = Update(basis, merged)
        return Merged(update if task.values["rank"] == "sum" else update.balanced().cut(rank))


def _apart(stack: Stack) -> Floats:
    """The inner products of right factors that stand in blocks of their own."""
    gram = np.zeros_like(stack.right_gram)
    for part in stack.columns:
        gram[part, part] = stack.right_gram[part, part]
    return gram


def _consensus(
    task: Task, weights: Floats, aligned: Sequence[Floats], labels: Sequence[str]
) -> Floats:
    """``(inputs, Σ ranks)`` of each update -> the same of the merge."""
    density = task.number("density")
    if task.values["consensus"] == "ties":
        return _elected(weights, [_trimmed(part, density) for part in aligned])
    if task.values["consensus"] == "dare" and density < 1:
        keys = [noise_key(task.seed, 0, f"{task.name}\n{label}") for label in labels]
        masks = [draws(key, 0, part.size) for key, part in zip(keys, aligned, strict=True)]
        limit = int(density * DRAWS)
        aligned = [
            part * (mask < limit).reshape(part.shape) / density
            for part, mask in zip(aligned, masks, strict=True)
        ]
    return np.tensordot(weights, np.stack(aligned), 1)


def _trimmed(part: Floats, density: float) -> Floats:
    """The largest elements; of equal ones, all or none."""
    kept = max(1, int(density * part.size))
    if kept >= part.size:
        return part
    sizes = np.abs(part)
    threshold = np.partition(sizes, part.size - kept, axis=None)[part.size - kept]
    return np.where(sizes >= threshold, part, 0.0)


def _elected(weights: Floats, parts: Sequence[Floats]) -> Floats:
    """At each element the mean of those that agree with the sign of the sum (Eq. 2-4 of [2])."""
    weighted = np.stack([weight * part for weight, part in zip(weights, parts, strict=True)])
    sign = np.where(weighted.sum(axis=0) >= 0, 1.0, -1.0)
    agrees = np.sign(weighted) == sign
    divisor = np.tensordot(weights, agrees.astype(np.float64), 1)
    total = np.where(agrees, weighted, 0.0).sum(axis=0)
    return total / np.where(divisor == 0.0, 1.0, divisor)
