"""What "better" is, as one number: up is good.

It is the objective, or the weighted sum. Where objectives stay apart it is their mean, each in
units of the span between the best and the worst baseline on the items of the search: so no
objective counts for more because its numbers are larger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evomerge.goals import Goals
from evomerge.trial import Score, Trial


@dataclass(frozen=True)
class Gauge:
    """The units of the objectives.

    Attributes:
        spans: by objective, what counts as 1; empty where nothing is scaled.
    """

    spans: Mapping[str, float]


def gauge_of(goals: Goals, baselines: Sequence[Trial]) -> Gauge:
    """The spans of the objectives over the baselines' scores.

    An objective in which all baselines are equal counts in shares of their value: a size that they
    have in common must not outweigh everything else by being a large number.
    """
    if not goals.pareto:
        return Gauge({})
    spans: dict[str, float] = {}
    for name in goals.weights:
        found = [trial.scores[name].value for trial in baselines if name in trial.scores]
        low, high = min(found, default=0.0), max(found, default=0.0)
        spans[name] = high - low or abs(high) or 1.0
    return Gauge(spans)


def coefficients(goals: Goals, gauge: Gauge, scores: Mapping[str, Score]) -> dict[str, float]:
    """By objective, what its value is multiplied with before all are added up."""
    share = 1 / len(goals.weights) if goals.pareto else 1.0
    return {
        name: share * weight * _direction(scores[name]) / gauge.spans.get(name, 1.0)
        for name, weight in goals.weights.items()
    }


def worth(goals: Goals, gauge: Gauge, scores: Mapping[str, Score]) -> float:
    """The one number that a gain is a difference of."""
    factors = coefficients(goals, gauge, scores)
    return sum(factor * scores[name].value for name, factor in factors.items())


def describe_gain(goals: Goals) -> str:
    """What the number is, for people."""
    names = list(goals.weights)
    if goals.pareto:
        return f"the mean of {', '.join(names)}, each scaled by the span of the baselines"
    if len(names) > 1 and all(w == 1 / len(names) for w in goals.weights.values()):
        return f"the mean of {', '.join(names)}"
    return " + ".join(name if w == 1 else f"{w:g} {name}" for name, w in goals.weights.items())


def _direction(score: Score) -> float:
    return 1.0 if score.higher_is_better else -1.0
