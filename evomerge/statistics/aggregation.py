"""How a task's items become its value.

Every aggregation here is a function of one ratio of sums over the items. A mean is the sum of the
numbers over their count; bits per byte are log-likelihoods over bytes; F1 is twice the hits over
twice the hits and all misses. So each can be computed again for items that were resampled, swapped
or grouped, from what each item adds to the two sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, log

import numpy as np

from evomerge.statistics.arrays import Floats
from evomerge.trial import Contribution

Parts = tuple[float, float]


@dataclass(frozen=True)
class Aggregation:
    """One way to make a value of contributions.

    Attributes:
        parts: what a contribution adds to the sum above and to the sum below.
        of_ratio: the value of a task from the one sum over the other.
        plain: whether each item adds one to the sum below, and the ratio is the value: a mean.
    """

    parts: Callable[[Contribution], Parts]
    of_ratio: Callable[[Floats], Floats]
    plain: bool = False

    def value(self, sums: Floats) -> Floats:
        """``(..., 2)``: sums of parts -> ``(...)``: values. Nothing over nothing counts as 0."""
        above, below = sums[..., 0], sums[..., 1]
        ratio = np.divide(above, below, out=np.zeros_like(above), where=below != 0)
        return self.of_ratio(ratio)


def _number(contribution: Contribution) -> float:
    if not isinstance(contribution, int | float):
        raise TypeError(f"an item counts {contribution!r}, which is not a number")
    return float(contribution)


def _pair(contribution: Contribution) -> tuple[Contribution, Contribution]:
    if isinstance(contribution, str) or not isinstance(contribution, Sequence):
        raise TypeError(f"an item counts {contribution!r}, which is not a pair")
    first, second = contribution
    return first, second


def _one(contribution: Contribution) -> Parts:
    return _number(contribution), 1.0


def _one_unless_missing(contribution: Contribution) -> Parts:
    number = _number(contribution)
    return (0.0, 0.0) if isnan(number) else (number, 1.0)


def _weighted(contribution: Contribution) -> Parts:
    above, below = _pair(contribution)
    return _number(above), _number(below)


def _hits(contribution: Contribution) -> Parts:
    """Of a gold label and a prediction, 1 being the class that is looked for."""
    gold, predicted = (_number(label) == 1.0 for label in _pair(contribution))
    return 2.0 * (gold and predicted), float(gold) + float(predicted)


def _squares(contribution: Contribution) -> Parts:
    """Of the index of the right class, and a probability for each class."""
    gold, predicted = _pair(contribution)
    if not isinstance(predicted, Sequence):
        raise TypeError(f"an item counts {contribution!r}, which has no probabilities")
    right = _number(gold)
    return sum((_number(p) - (k == right)) ** 2 for k, p in enumerate(predicted)), 1.0


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
