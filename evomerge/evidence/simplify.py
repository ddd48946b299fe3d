"""Sets the genes of a winner back to neutral values, as long as nothing is lost.

Every step is compared with the *original* winner, on the items of the search. If each were only
held against the one before it, many losses too small to see would add up: that walks back to the
base.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from evomerge.evidence.gain import coefficients, gauge_of
from evomerge.evidence.ledger import Ledger, baselines
from evomerge.evidence.neutral import Gene, defaults_of, genes
from evomerge.evidence.paired import Scored, UntestableError, sample_of
from evomerge.evidence.verdicts import FEWEST
from evomerge.recipe import AnyRecipe
from evomerge.statistics.bootstrap import interval, resampled
from evomerge.template.filling import Filling
from evomerge.trial import SIMPLIFICATION, Point, Trial

# The chance that a step is kept although it loses more than the tolerance.
RISK = 0.05
# There are many steps, and 5 % is no far tail.
DRAWS = 2000
# A stream of the run's seed of its own.
STEPS = 3

Run = Callable[[Trial, AnyRecipe], Trial]


@dataclass(frozen=True)
class Limits:
    """How far simplification goes.

    Attributes:
        tolerance: a simpler recipe may lose so much of the objective.
        steps: the most trials it takes.
    """

    tolerance: float = 0.01
    steps: int = 40


def simplify(
    study: Ledger, winner: Trial, template: Filling, run: Run, limits: Limits | None = None
) -> Trial:
    """Makes a winner simpler, one gene at a time.

    A gene stays neutral if all constraints are met and, with 95 % confidence, the loss against
    ``winner`` is below the tolerance. Steps that the ledger has are not run again.

    Args:
        study: what is read.
        winner: a trial of it.
        template: what its point fills.
        run: scores a recipe and appends it to the study, as the trial it is given.
        limits: how far to go.

    Returns:
        The last step that was kept; ``winner`` if none was, or if it has no point in the space, or
        too few items, or such that its loss cannot be bounded.
    """
    limits = limits or Limits()
    judge = _Judge(study, winner, limits.tolerance)
    if winner.point is None or not judge.able:
        return winner
    known = {_key(step): step for step in _steps(study, winner)}
    walk = _Walk(template, winner)
    kept = winner
    for _ in range(limits.steps):
        found = walk.next()
        if found is None:
            break
        change, point = found
        recipe = template.fill(point)
        trial = Trial(
            len(study.trials),
            SIMPLIFICATION,
            recipe.tree(),
            label=f"simpler: {change}",
            point=point,
            subject=winner.number,
        )
        step = known.get(_key(trial)) or run(trial, recipe)
        if judge.keeps(step):
            kept = step
            walk.keep(point)
    return kept


def simplified(study: Ledger, winner: Trial, tolerance: float = Limits.tolerance) -> Trial:
    """The last step that was kept, from the ledger alone; ``winner`` if none was."""
    judge = _Judge(study, winner, tolerance)
    for step in reversed(_steps(study, winner) if judge.able else []):
        if judge.keeps(step):
            return step
    return winner


class _Walk:
    """Over the genes: a part of one is looked at only if the whole could not be set back."""

    def __init__(self, template: Filling, winner: Trial) -> None:
        self._template = template
        self._neutral = defaults_of(winner.recipe, template.methods)
        self._point = dict(winner.point or {})
        self._ahead = deque(genes(template.space, template.codes))
        self._options: Iterator[tuple[str, Point]] = iter(())
        self._gene: Gene | None = None

    def next(self) -> tuple[str, Point] | None:
        """What to try now; None if there is nothing left."""
        while True:
            for label, point in self._options:
                settled = self._template.settle(point)
                if settled == self._point:
                    self.keep(settled)
                    break
                return label, settled
            else:
                self._ahead.extendleft(reversed(list(self._gene.parts() if self._gene else ())))
            if not self._ahead:
                return None
            self._gene = self._ahead.popleft()
            self._options = self._gene.neutral(self._point, self._neutral)

    def keep(self, point: Point) -> None:
        """The last one was kept: its gene is neutral now."""
        self._point = dict(point)
        self._options, self._gene = iter(()), None


class _Judge:
    """Holds steps against the winner."""

    def __init__(self, study: Ledger, winner: Trial, tolerance: float) -> None:
        self._study, self._winner, self._tolerance = study, winner, tolerance
        self._scored = Scored(winner, study.tables(winner.number))
        gauge = gauge_of(study.goals, baselines(study))
        self._factors = coefficients(study.goals, gauge, winner.scores)

    @property
    def able(self) -> bool:
        """Whether a loss can be bounded."""
        bound = self._bound(self._scored)
        return bound is not None

    def keeps(self, step: Trial) -> bool:
        """Whether a step meets the constraints and loses less than the tolerance."""
        if not self._study.goals.outcome(step).feasible:
            return False
        bound = self._bound(Scored(step, self._study.tables(step.number)))
        return bound is not None and bound < self._tolerance

    def _bound(self, step: Scored) -> float | None:
        """What the loss is below with 95 % confidence; None if that cannot be said."""
        try:
            sample = sample_of([self._scored, step], self._factors)
        except UntestableError:
            return None
        if sum(sample.units) < FEWEST:
            return None
        values = resampled(sample, (self._study.header.seed, STEPS), DRAWS)
        freedom = sum(sample.units) - len(sample.units)
        return interval(values[:, 0] - values[:, 1], RISK, freedom)[1]


def _steps(study: Ledger, winner: Trial) -> list[Trial]:
    return [
        trial
        for trial in study.trials
        if trial.stage == SIMPLIFICATION and trial.subject == winner.number
    ]


def _key(step: Trial) -> frozenset[tuple[str, object]]:
    return frozenset((step.point or {}).items())
