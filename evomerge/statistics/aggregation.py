"""How a task's items become its value.

Every aggregation here is a function of one ratio of sums over the items. A mean is the sum of the
numbers over their count; bits per byte are log-likelihoods over bytes; F1 is twice the hits over
twice the hits and all misses. So each can be computed again for items that were resampled, swapped
or grouped, from what each item adds to the two sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from evomerge.statistics.arrays import Floats
from evomerge.trial import Contribution

Contributions = Sequence[Contribution]


@dataclass(frozen=True)
class Aggregation:
    """One way to make a value of contributions.

    Attributes:
        parts: ``(items, 2)``: what each contribution adds to the sum above, and to the sum below.
        of_ratio: the value of a task from the one sum over the other.
        plain: whether each item adds one to the sum below, and the ratio is the value: a mean.
    """

    parts: Callable[[Contributions], Floats]
    of_ratio: Callable[[Floats], Floats]
    plain: bool = False

    def value(self, sums: Floats) -> Floats:
        """``(..., 2)``: sums of parts -> ``(...)``: values. Nothing over nothing counts as 0."""
        above, below = sums[..., 0], sums[..., 1]
        ratio = np.divide(above, below, out=np.zeros_like(above), where=below != 0)
        return self.of_ratio(ratio)


def _numbers(contributions: Contributions, each: int) -> Floats:
    """``(items, each)``: so many numbers for an item.

    Raises:
        TypeError: an item counts something else.
    """
    shape = (len(contributions),) if each == 1 else (len(contributions), each)
    try:
        found = np.array(contributions)
    except ValueError:  # items of several lengths
        found = np.empty(0)
    if found.shape != shape or found.dtype.kind not in "biuf":
        other = next((one for one in contributions if not _fits(one, each)), contributions[0])
        what = "a number" if each == 1 else f"{each} numbers"
        raise TypeError(f"an item counts {other!r}, which is not {what}")
    return found.astype(np.float64).reshape(-1, each)


def _fits(contribution: Contribution, each: int) -> bool:
    if each == 1 or isinstance(contribution, str) or not isinstance(contribution, Sequence):
        return each == 1 and isinstance(contribution, int | float)
    return len(contribution) == each and all(_fits(part, 1) for part in contribution)


def _one(contributions: Contributions) -> Floats:
    numbers = _numbers(contributions, 1)
    return np.hstack([numbers, np.ones_like(numbers)])


def _one_unless_missing(contributions: Contributions) -> Floats:
    parts = _one(contributions)
    parts[np.isnan(parts[:, 0])] = 0.0
    return parts


def _weighted(contributions: Contributions) -> Floats:
    return _numbers(contributions, 2)


def _hits(contributions: Contributions) -> Floats:
    """Of a gold label and a prediction, 1 being the class that is looked for."""
    found = _numbers(contributions, 2) == 1.0
    return np.stack([2.0 * found.all(axis=1), found.sum(axis=1, dtype=np.float64)], axis=1)


def _squares(contributions: Contributions) -> Floats:
    """Of the index of the right class, and a probability for each class."""
    errors = []
    for one in contributions:
        if isinstance(one, str) or not isinstance(one, Sequence) or len(one) != 2:  # noqa: PLR2004
            raise TypeError(f"an item counts {one!r}, which is not a class and probabilities")
        right = int(_numbers([one[0]], 1)[0, 0])
        parts = one[1] if isinstance(one[1], Sequence) and not isinstance(one[1], str) else ()
        gold = np.arange(len(parts)) == right
        errors.append(float(np.square(_numbers(parts, 1)[:, 0] - gold).sum()))
    return _one(errors)


def _same(ratio: Floats) -> Floats:
    return ratio


def _perplexity(ratio: Floats) -> Floats:
    return np.exp(-ratio)


def _bits(ratio: Floats) -> Floats:
    return -ratio / log(2)


# By the names of lm-eval's functions, which are also those of our evaluators.
AGGREGATIONS: Mapping[str, Aggregation] = {
    "mean": Aggregation(_one, _same, plain=True),
    "nanmean": Aggregation(_one_unless_missing, _same),
    "bits_per_byte": Aggregation(_weighted, _bits),
    "perplexity": Aggregation(_one, _perplexity),
    "weighted_perplexity": Aggregation(_weighted, _perplexity),
    "f1_score": Aggregation(_hits, _same),
    "brier_score": Aggregation(_squares, _same),
}
