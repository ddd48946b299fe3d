"""Optuna's samplers: Gaussian processes, TPE, NSGA-II and III, quasi-random and random points.

A sampler's state is hidden, and a new one with the same seed does not go on where the old one
stopped. So each proposal has a sampler of its own, seeded by (seed, number of the trial), and all
that it knows is the history, which an in-memory study holds. To resume is to write the history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from evomerge.errors import RecipeError, unknown
from evomerge.goals import Outcome
from evomerge.optimizers.base import Setup, optimizer, whole_number_in
from evomerge.optimizers.optuna_history import History
from evomerge.optimizers.quiet import Quiet, derived_seed
from evomerge.optimizers.ranking import Stand
from evomerge.trial import Point

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

SAMPLERS = ("gp", "nsga2", "nsga3", "qmc", "random", "tpe")
GENETIC = ("nsga2", "nsga3")

# For a few hundred trials: SEARCH of merges rarely sees more generations than ten.
POPULATION = 24
SMALLEST_POPULATION, LARGEST_POPULATION = 2, 10_000


@optimizer("optuna", objectives=None, choices=True)
class Optuna:
    """One of Optuna's samplers, over the full space at every trial."""

    def __init__(
        self, setup: Setup, *, sampler: str = "tpe", population: int | None = None
    ) -> None:
        """The keys of its YAML.

        Args:
            setup: what it searches.
            sampler: ``gp``, ``tpe``, ``nsga2``, ``nsga3``, ``qmc`` or ``random``.
            population: trials in a generation; of ``nsga2`` and ``nsga3`` only.
        """
        if sampler not in SAMPLERS:
            raise RecipeError(f"optimizer.sampler: {unknown('sampler', str(sampler), SAMPLERS)}")
        if population is not None and sampler not in GENETIC:
            raise RecipeError(
                f"optimizer.population: {sampler} has none; these have: {', '.join(GENETIC)}"
            )
        self.setup = setup
        self.sampler = sampler
        self.population = whole_number_in(
            "population", population or POPULATION, SMALLEST_POPULATION, LARGEST_POPULATION
        )
        self._quiet = Quiet()
        self._pending: dict[int, Trial] = {}
        self._stand = Stand()
        self._history: History | None = None

    def warm(self, point: Point, outcome: Outcome) -> None:
        """Enters the trial into the history."""
        with self._quiet():
            self._finish(self._enter(0, point), point, outcome)

    def ask(self, number: int) -> Point:
        """What a new sampler makes of the history."""
        with self._quiet():
            history = self._open()
            trial, asked = history.ask(self._sampler(number))
            point = self.setup.settle(asked)
            history.move(trial, point)
        self._pending[number] = trial
        return point

    def tell(self, number: int, point: Point, outcome: Outcome) -> None:
        """Completes the trial, at the point that was recorded."""
        with self._quiet():
            self._finish(self._pending.pop(number), point, outcome)

    def recall(self, number: int, point: Point) -> Point | None:
        """Enters the trial as pending; only ``qmc`` is asked, which counts how often it was."""
        if self.sampler == "qmc":
            return self.ask(number)
        with self._quiet():
            self._pending[number] = self._enter(number, point)
        return None

    def _enter(self, number: int, point: Point) -> Trial:
        history = self._open()
        trial = history.enter(point)
        if self.sampler in GENETIC:
            history.into_generation(trial, self._sampler(number))
        return trial

    def _finish(self, trial: Trial, point: Point, outcome: Outcome) -> None:
        stand = self._stand.outcome(outcome)
        violation = stand.violation if stand and self.setup.constrained else None
        self._open().finish(trial, point, stand.losses if stand else None, violation)

    def _open(self) -> History:
        if self._history is None:
            self._history = History(self.setup.space, self.setup.objectives)
        return self._history

    def _sampler(self, number: int) -> BaseSampler:
        """A new sampler for one trial. Quasi-random points are one sequence, of one seed."""
        from optuna import samplers

        seed = derived_seed(self.setup.seed, number)
        makers: dict[str, Callable[[], BaseSampler]] = {
            "gp": lambda: samplers.GPSampler(seed=seed),
            "tpe": lambda: samplers.TPESampler(seed=seed, multivariate=True),
            "nsga2": lambda: samplers.NSGAIISampler(seed=seed, population_size=self.population),
            "nsga3": lambda: samplers.NSGAIIISampler(seed=seed, population_size=self.population),
            "qmc": lambda: samplers.QMCSampler(seed=derived_seed(self.setup.seed), scramble=True),
            "random": lambda: samplers.RandomSampler(seed=seed),
        }
        return makers[self.sampler]()
