"""What strategies share that sample a distribution and learn from whole generations.

A generation is the next ``population`` trials that are told, in the order of their numbers. A
sample is drawn from the distribution as it is when the sample is asked for: with a look-ahead, the
first samples of a generation stem from the distribution before. So ``ask`` never has to wait, and
depends on nothing but what was told.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

from evomerge.goals import Outcome
from evomerge.optimizers.base import Setup, number_in
from evomerge.optimizers.quiet import Quiet
from evomerge.optimizers.ranking import ranks
from evomerge.trial import Point

S = TypeVar("S")

# Around a point that is known to be good, and around one that is not. In 63 dimensions samples of
# a wider distribution are all worse than the point they start from (benchmarks/optimizers.py).
NARROW, WIDE = 0.1, 0.2
SMALLEST_SIGMA = 1e-6


def first_sigma(given: float | None) -> Callable[[Point | None], float]:
    """The first standard deviation, as a share of each range, for the known point to start from.

    Raises:
        RecipeError: the one ``given`` is not in (0, 1].
    """
    if given is None:
        return lambda known: WIDE if known is None else NARROW
    sigma = number_in("sigma", given, SMALLEST_SIGMA, 1.0)
    return lambda _: sigma


class Generational(ABC, Generic[S]):
    """An optimizer that samples and learns; ``S`` is what it calls a sample.

    It is told the samples it drew, not the points recorded for them: a rounded vector, or one
    whose inert values stand in the middle, would look like a stranger's.
    """

    def __init__(self, setup: Setup, population: int) -> None:
        self.setup = setup
        self.population = population
        self._quiet = Quiet()
        self._warm: list[tuple[Point, Outcome]] = []
        self._asked: dict[int, S] = {}
        self._told: list[tuple[S, Outcome]] = []
        self._outcomes: list[Outcome] = []
        self._started = False

    def warm(self, point: Point, outcome: Outcome) -> None:
        """Remembers where others have been; the best feasible point is where the search starts."""
        self._warm.append((point, outcome))
        self._outcomes.append(outcome)

    def ask(self, number: int) -> Point:
        """A point from the distribution as it is."""
        with self._quiet():
            if not self._started:
                self.start(self._best_warm())
                self._started = True
            if len(self._told) >= self.population:
                self._learn()
            sample = self.draw()
        self._asked[number] = sample
        return self.point(sample)

    def tell(self, number: int, point: Point, outcome: Outcome) -> None:  # noqa: ARG002
        """Counts towards the generation; its sample is found by number."""
        self._told.append((self._asked.pop(number), outcome))
        self._outcomes.append(outcome)

    def recall(self, number: int, point: Point) -> Point:
        """Draws again what was drawn for the trial.

        If that is not what was recorded, the recorded values take its place, so that an outcome is
        never told with the sample of another point. Values in the middle of their range may stand
        there because nothing read them, and are left as drawn.
        """
        asked = self.ask(number)
        middle = self.setup.space.middle()
        meant = {name: asked[name] if v == middle[name] else v for name, v in point.items()}
        if meant != asked:
            self._asked[number] = self.sample(meant)
        return asked

    def _best_warm(self) -> Point | None:
        feasible = [(point, outcome) for point, outcome in self._warm if outcome.feasible]
        if not feasible:
            return None
        places = ranks([outcome for _, outcome in feasible])
        return feasible[places.index(min(places))][0]

    def _learn(self) -> None:
        """Learns from the oldest generation, unless all of it is equally good or has failed."""
        generation = self._told[: self.population]
        del self._told[: self.population]
        known = self._outcomes if self.setup.objectives > 1 else ()
        places = ranks([outcome for _, outcome in generation], known)
        if min(places) < max(places):
            self.learn([generation[i][0] for i in np.argsort(places, kind="stable")])

    @abstractmethod
    def start(self, best: Point | None) -> None:
        """Sets up the distribution around ``best``, or around the middle of the space."""

    @abstractmethod
    def draw(self) -> S:
        """A sample of the distribution."""

    @abstractmethod
    def learn(self, best_first: Sequence[S]) -> None:
        """Moves the distribution towards the first of a generation."""

    @abstractmethod
    def point(self, sample: S) -> Point:
        """What the sample stands for."""

    @abstractmethod
    def sample(self, point: Point) -> S:
        """A sample that stands for ``point``."""
