"""Which trial is best, and which go to the holdout: decided on the search's own scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evomerge.errors import SearchError
from evomerge.evidence.gain import Gauge, gauge_of, worth
from evomerge.evidence.ledger import Ledger, baselines, is_rival
from evomerge.front import front
from evomerge.goals import Goals
from evomerge.statistics.arrays import Floats
from evomerge.trial import BASELINES, HOLDOUT, SIMPLIFICATION, Trial


def contenders(study: Ledger) -> list[Trial]:
    """Every trial that may win: all but the base, the parents, and what came after the search.

    A trial that repeats another one's result is that one's shadow, and no contender.
    """
    late = (SIMPLIFICATION, HOLDOUT)
    return [
        trial
        for trial in study.trials
        if trial.stage not in late and not is_rival(trial) and trial.recalled is None
    ]


def best_of(study: Ledger) -> Trial:
    """The best contender: a trial of the search, or a recipe from which it started.

    Raises:
        SearchError: no trial is feasible.
    """
    return _ranked_of(study)[0]


def best_or_none(study: Ledger) -> Trial | None:
    """As `best_of`; None if no trial is feasible."""
    try:
        return best_of(study)
    except SearchError:
        return None


def best(trials: Sequence[Trial], goals: Goals, gauge: Gauge) -> Trial:
    """The feasible trial of the greatest worth; of equals the one with the lowest number.

    Raises:
        SearchError: none is feasible.
    """
    return ranked(trials, goals, gauge)[0]


def ranked(trials: Sequence[Trial], goals: Goals, gauge: Gauge) -> list[Trial]:
    """The feasible trials, the best first.

    Raises:
        SearchError: none is feasible.
    """
    feasible = [trial for trial in trials if goals.outcome(trial).feasible]
    if not feasible:
        raise SearchError(
            f"finalists: none of {len(trials)} trials has all scores and meets all constraints; "
            "loosen the constraints, or look at the failures in the report"
        )
    return sorted(feasible, key=lambda trial: (-worth(goals, gauge, trial.scores), trial.number))


def choose_finalists(study: Ledger, count: int) -> tuple[Trial, ...]:
    """The trials to score on the holdout: the best one first.

    With one objective they are the best ones; where objectives stay apart, the best one and others
    of the front, each as far as possible from those before it. All but the first are trials of the
    search: each finalist makes it harder for all to show a gain.

    Raises:
        SearchError: no trial is feasible.
    """
    goals = study.goals
    first, *others = _ranked_of(study)
    order = [first, *(trial for trial in others if trial.stage != BASELINES)]
    if not goals.pareto:
        return tuple(order[:count])
    gauge = gauge_of(goals, baselines(study))
    losses = np.array([goals.losses(trial.scores) for trial in order])
    spans = np.array([gauge.spans[name] for name in goals.weights])
    kept = front(losses)
    return tuple(order[kept[index]] for index in _spread(losses[kept] / spans, count))


def _ranked_of(study: Ledger) -> list[Trial]:
    gauge = gauge_of(study.goals, baselines(study))
    return ranked(contenders(study), study.goals, gauge)


def _spread(places: Floats, count: int) -> list[int]:
    """Indices of up to ``count`` of ``(points, objectives)``: the first, then always the farthest.

    A point at the place of another is not chosen.
    """
    chosen = [0]
    away = np.linalg.norm(places - places[0], axis=1)
    while len(chosen) < count and away.max() > 0:
        chosen.append(int(away.argmax()))
        away = np.minimum(away, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return chosen
