"""The order of outcomes, the one place where it is decided.

Feasible outcomes stand first; then those that violate constraints, by how much; then the failed.
Among feasible ones of one objective the loss decides. Of several, the one that fewer recorded
outcomes dominate comes first, which does not mind how objectives are scaled; equals are told
apart by the augmented Tchebycheff distance [1] from the best of the front.

[1] R. E. Steuer, E.-U. Choo. An interactive weighted Tchebycheff procedure for multiple objective
    programming. Mathematical Programming, 1983. https://doi.org/10.1007/BF02591870
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from evomerge.front import domination_counts, front
from evomerge.goals import Outcome

# Weighs the sum of the objectives beside the largest [1]: enough to part weakly dominated points.
AUGMENTATION = 0.05

# Where an outcome stands in the first place.
FEASIBLE, INFEASIBLE, FAILED = 0, 1, 2

Key = tuple[int, float, float]


def ranks(outcomes: Sequence[Outcome], among: Sequence[Outcome] = ()) -> list[float]:
    """``(outcomes,)``: 0 is the best; equal outcomes share a rank.

    ``among`` are recorded outcomes that only serve to compare with; they have an influence where
    there are several objectives.
    """
    keys: list[Key] = [_key_by_feasibility(each) for each in outcomes]
    feasible = [i for i, key in enumerate(keys) if key[0] == FEASIBLE]
    points = np.array([outcomes[i].losses for i in feasible], dtype=np.float64)
    others = [each.losses for each in among if _class(each) == FEASIBLE]
    if feasible:
        everything = np.array([*points, *others], dtype=np.float64)
        for i, first, second in zip(feasible, *_merits(points, everything), strict=True):
            keys[i] = (FEASIBLE, first, second)
    places = {key: float(place) for place, key in enumerate(sorted(set(keys)))}
    return [places[key] for key in keys]


def _class(outcome: Outcome) -> int:
    if outcome.losses is None or not np.isfinite(outcome.losses).all():
        return FAILED
    return INFEASIBLE if outcome.violation else FEASIBLE


def _key_by_feasibility(outcome: Outcome) -> Key:
    kind = _class(outcome)
    return kind, outcome.violation if kind == INFEASIBLE else 0.0, 0.0


def _merits(
    points: npt.NDArray[np.float64], everything: npt.NDArray[np.float64]
) -> tuple[list[float], list[float]]:
    """What decides first and second between feasible points: ``(points,)`` each, less is better."""
    if points.shape[1] == 1:
        return points[:, 0].tolist(), [0.0] * len(points)
    counts = domination_counts(points, among=(everything, np.zeros(len(everything))))
    best = everything[front(everything)]
    ideal, nadir = best.min(axis=0), best.max(axis=0)
    scaled = (points - ideal) / np.where(nadir > ideal, nadir - ideal, 1.0)
    distance = scaled.max(axis=1) + AUGMENTATION * scaled.sum(axis=1)
    return counts.astype(float).tolist(), distance.tolist()


class Stand:
    """What a surrogate is told in place of a failure: as bad as anything so far.

    A surrogate models numbers, and a failure has none.
    """

    def __init__(self) -> None:
        self._worst: list[float] | None = None
        self._violation = 0.0

    def outcome(self, outcome: Outcome) -> Outcome | None:
        """``outcome`` if it has losses; else the worst of each so far, None if there are none."""
        if _class(outcome) != FAILED:
            losses = list(outcome.losses or ())
            pairs = zip(self._worst or losses, losses, strict=True)
            self._worst = [max(pair) for pair in pairs]
            self._violation = max(self._violation, outcome.violation)
            return outcome
        return None if self._worst is None else Outcome(tuple(self._worst), self._violation)
