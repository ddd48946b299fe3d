"""What "better" means: from scores to losses, the one place where that is decided.

A loss is to be made small: a score whose direction is up is negated. A candidate that violates a
constraint ranks behind all that violate none, by its total violation; one that failed ranks last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

from evomerge.errors import RecipeError, unknown
from evomerge.trial import Score, Trial

BOUND_KEYS = ("min", "max")
MEAN = "mean"


@dataclass(frozen=True)
class Outcome:
    """What an optimizer is told of a trial.

    Attributes:
        losses: one for each objective, to be minimised; None if the trial failed.
        violation: the total by which constraints are missed; 0 is feasible.
    """

    losses: tuple[float, ...] | None
    violation: float = 0.0

    @property
    def feasible(self) -> bool:
        """Whether it has losses, and violates nothing."""
        return self.losses is not None and self.violation == 0.0


FAILED = Outcome(None)


@dataclass(frozen=True)
class Bound:
    """A constraint: a score that must not fall below, or not rise above, a limit.

    Attributes:
        name: of the score.
        least: the lower limit, or None.
        most: the upper limit, or None.
    """

    name: str
    least: float | None = None
    most: float | None = None

    def violation(self, value: float) -> float:
        """By how much ``value`` misses the bound; 0 if it does not."""
        below = 0.0 if self.least is None else max(0.0, self.least - value)
        above = 0.0 if self.most is None else max(0.0, value - self.most)
        return below + above


@dataclass(frozen=True)
class Goals:
    """The objectives and constraints of a search.

    Attributes:
        weights: the objectives by name, each with its weight in a weighted sum.
        pareto: whether the objectives stay apart; otherwise they are summed.
        bounds: the constraints.
    """

    weights: Mapping[str, float]
    pareto: bool = False
    bounds: tuple[Bound, ...] = field(default=())

    @property
    def count(self) -> int:
        """How many losses there are."""
        return len(self.weights) if self.pareto else 1

    @property
    def names(self) -> tuple[str, ...]:
        """Every score that must be there: of the objectives, then of the constraints."""
        return tuple(dict.fromkeys([*self.weights, *(bound.name for bound in self.bounds)]))

    def check(self, available: Sequence[str]) -> None:
        """Refuses objectives and constraints without a score of that name.

        Raises:
            RecipeError: which, and what there is.
        """
        for name in self.weights:
            if name not in available:
                raise RecipeError(f"objectives: {unknown('score', name, available)}")
        for bound in self.bounds:
            if bound.name not in available:
                raise RecipeError(f"constraints: {unknown('score', bound.name, available)}")

    def losses(self, scores: Mapping[str, Score]) -> tuple[float, ...]:
        """``(count,)``: what is to be minimised."""
        each = [weight * _loss(scores[name]) for name, weight in self.weights.items()]
        return tuple(each) if self.pareto else (sum(each),)

    def violation(self, scores: Mapping[str, Score]) -> float:
        """The total by which the constraints are missed."""
        return sum(bound.violation(scores[bound.name].value) for bound in self.bounds)

    def outcome(self, trial: Trial) -> Outcome:
        """What an optimizer is told of ``trial``.

        A trial without one of the scores counts as failed: an evaluator may leave out what it
        could not measure.
        """
        if trial.failure is not None or any(name not in trial.scores for name in self.names):
            return FAILED
        return Outcome(self.losses(trial.scores), self.violation(trial.scores))


def read_goals(objectives: object, constraints: object = None) -> Goals:
    """The goals that a config writes down.

    Args:
        objectives: a name, a list of names (several stay apart), weights by name (their sum), or
            ``{mean: [names]}``.
        constraints: ``{name: {min: …, max: …}}``, or None.

    Raises:
        RecipeError: they have another form.
    """
    if isinstance(objectives, str):
        objectives = [objectives]
    if isinstance(objectives, Mapping) and isinstance(objectives.get(MEAN), list):
        names = [str(name) for name in objectives[MEAN]]
        objectives = {name: 1 / len(names) for name in names}
    if isinstance(objectives, Mapping):
        weights = {str(name): _number(f"objectives.{name}", w) for name, w in objectives.items()}
        pareto = False
    elif isinstance(objectives, Sequence) and all(isinstance(name, str) for name in objectives):
        weights = dict.fromkeys(objectives, 1.0)
        pareto = len(weights) > 1
    else:
        raise RecipeError(
            f"objectives: found {objectives!r}; expected a name, names, or weights by name"
        )
    if not weights:
        raise RecipeError("objectives: found none; name the scores to be made better")
    return Goals(weights, pareto, tuple(_bounds(constraints)))


def _bounds(constraints: object) -> Iterator[Bound]:
    if constraints is None:
        return
    if not isinstance(constraints, Mapping):
        raise RecipeError(f"constraints: found {constraints!r}; expected {{score: {{max: 3.2}}}}")
    for name, limits in constraints.items():
        where = f"constraints.{name}"
        if not isinstance(limits, Mapping) or not limits:
            raise RecipeError(f"{where}: found {limits!r}; expected {{min: …, max: …}}")
        for key in limits:
            if key not in BOUND_KEYS:
                raise RecipeError(f"{where}: {unknown('key', str(key), BOUND_KEYS)}")
        least, most = (
            _number(f"{where}.{key}", limits[key]) if key in limits else None for key in BOUND_KEYS
        )
        if least is not None and most is not None and least > most:
            raise RecipeError(f"{where}: min {least:g} lies above max {most:g}")
        yield Bound(str(name), least, most)


def _number(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise RecipeError(f"{where}: found {value!r}; expected a number")
    return float(value)


def _loss(score: Score) -> float:
    return -score.value if score.higher_is_better else score.value
