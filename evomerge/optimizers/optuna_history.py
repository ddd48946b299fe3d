"""The trials of a run as Optuna's samplers see them: a study in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evomerge.space import ChoiceDimension, Dimension, IntDimension, Space
from evomerge.trial import Point, Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

# The name of the one constraint: the total violation.
VIOLATION = "violation"


class History:
    """Trials that are pending, complete or failed.

    Floats stand in the unit interval there, so that a value is recorded as it was rounded and
    never lies outside its range. Dimensions with a single value are left out.
    """

    def __init__(self, space: Space, objectives: int) -> None:
        import optuna

        self._space = space
        self._storage = optuna.storages.InMemoryStorage()
        self._study = optuna.create_study(
            storage=self._storage,
            directions=["minimize"] * objectives,
            sampler=optuna.samplers.RandomSampler(seed=1),  # samples nothing: see ask
        )
        self._id = self._storage.get_study_id_from_name(self._study.study_name)
        pairs = [(each, _distribution(each)) for each in space.dimensions]
        self._dimensions = {each.name: each for each, spread in pairs if not spread.single()}
        self._spreads = {each.name: spread for each, spread in pairs if not spread.single()}

    def ask(self, sampler: BaseSampler) -> tuple[Trial, Point]:
        """A pending trial where ``sampler`` put it, and the point there, rounded."""
        # The space is the same at every trial; samplers would infer it from what they see complete.
        sampler.infer_relative_search_space = lambda *_: self._spreads
        self._study.sampler = sampler
        trial = self._study.ask(self._spreads)
        return trial, self._point(trial.params)

    def enter(self, point: Point) -> Trial:
        """A pending trial at ``point``."""
        self._study.enqueue_trial(self._parameters(point))
        return self._study.ask(self._spreads)

    def into_generation(self, trial: Trial, sampler: BaseSampler) -> None:
        """Gives a trial to the generation that is being sampled.

        The first of a generation chooses its parents, for all of it, as when it is asked for.
        """
        frozen = self._study.get_trials(deepcopy=False)[trial.number]
        sampler.get_parent_population(
            self._study, sampler.get_trial_generation(self._study, frozen)
        )

    def finish(
        self, trial: Trial, point: Point, losses: tuple[float, ...] | None, violation: float | None
    ) -> None:
        """Completes a pending trial at ``point``; without ``losses`` it has failed."""
        import optuna

        self.move(trial, point)
        if violation is not None:
            trial.set_constraint(VIOLATION, violation)
        if losses is None:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, list(losses))

    def move(self, trial: Trial, point: Point) -> None:
        """Sets a pending trial to ``point``."""
        key = self._storage.get_trial_id_from_study_id_trial_number(self._id, trial.number)
        recorded = self._storage.get_trial(key).params
        for name, value in self._parameters(point).items():
            if recorded[name] != value:
                spread = self._spreads[name]
                inner = spread.to_internal_repr(value)
                self._storage.set_trial_param(key, name, inner, spread)

    def _parameters(self, point: Point) -> dict[str, Value]:
        """What Optuna calls the values of ``point``."""
        return {
            name: point[name]
            if isinstance(each, IntDimension | ChoiceDimension)
            else each.encode(point[name])
            for name, each in self._dimensions.items()
        }

    def _point(self, parameters: dict[str, Value]) -> Point:
        """The point of Optuna's values."""
        point = dict(self._space.middle())
        for name, each in self._dimensions.items():
            value = parameters[name]
            discrete = isinstance(each, IntDimension | ChoiceDimension)
            point[name] = value if discrete else each.decode(float(value))
        return point


def _distribution(dimension: Dimension) -> BaseDistribution:
    from optuna import distributions

    if isinstance(dimension, ChoiceDimension):
        return distributions.CategoricalDistribution(dimension.options)
    if isinstance(dimension, IntDimension):
        return distributions.IntDistribution(dimension.low, dimension.high)
    return distributions.FloatDistribution(0.0, 1.0 if dimension.low < dimension.high else 0.0)
