"""When a search ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evomerge.goals import Goals, Outcome
from evomerge.trial import Trial

# Optimizers of a small space propose what they have proposed before. So many repeats in a row say
# that there is nothing new to be found.
MOST_REPEATS = 50
SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class Budget:
    """When a search ends: as soon as one of these says so. None never does.

    Attributes:
        trials: so many trials of the search.
        hours: so many hours of recorded trials, all stages and resumes together.
        patience: so many trials without a better one.
        target: the objective has come so far, in its own units.
    """

    trials: int | None = None
    hours: float | None = None
    patience: int | None = None
    target: float | None = None


def spent(budget: Budget, trials: Sequence[Trial], study: Sequence[Trial], goals: Goals) -> str:
    """Why a search ends before its next trial; empty if it goes on."""
    if budget.trials is not None and len(trials) >= budget.trials:
        return f"the budget of {budget.trials} trials is spent"
    hours = sum(sum(trial.seconds.values()) for trial in study) / SECONDS_PER_HOUR
    if budget.hours is not None and hours >= budget.hours:
        return f"the budget of {budget.hours:g} hours is spent"
    repeats = next((i for i, t in enumerate(reversed(trials)) if t.recalled is None), len(trials))
    if repeats >= MOST_REPEATS:
        return f"the last {repeats} proposals had all been scored before"
    outcomes = [goals.outcome(trial) for trial in trials]
    if budget.patience is not None and _since_better(outcomes) >= budget.patience:
        return f"{budget.patience} trials in a row found nothing better"
    if budget.target is not None and any(_reaches(budget.target, t, goals) for t in trials):
        return f"the target of {budget.target:g} is reached"
    return ""


def _since_better(outcomes: Sequence[Outcome]) -> int:
    """How many trials have gone by since the last that none before it dominates or equals."""
    best: list[tuple[float, ...]] = []
    since = 0
    for outcome in outcomes:
        since += 1
        losses = outcome.losses
        if losses is None or not outcome.feasible:
            continue
        if not any(all(a <= b for a, b in zip(old, losses, strict=True)) for old in best):
            best = [old for old in best if any(a < b for a, b in zip(old, losses, strict=True))]
            best.append(losses)
            since = 0
    return since


def _reaches(target: float, trial: Trial, goals: Goals) -> bool:
    outcome = goals.outcome(trial)
    if not outcome.feasible:
        return False
    value = sum(weight * trial.scores[name].value for name, weight in goals.weights.items())
    higher = trial.scores[next(iter(goals.weights))].higher_is_better
    return value >= target if higher else value <= target
