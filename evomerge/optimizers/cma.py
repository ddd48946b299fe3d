"""CMA-ES: samples a normal distribution whose mean, scale and shape follow the better half [1].

Several objectives are searched as one: trials are ranked by how many others dominate them.

[1] N. Hansen. The CMA Evolution Strategy: A Tutorial. 2016. https://arxiv.org/abs/1604.00772
[2] R. Ros, N. Hansen. A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity.
    PPSN 2008. https://doi.org/10.1007/978-3-540-87700-4_30
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import numpy as np

from evomerge.optimizers.base import Setup, optimizer, starting_point, whole_number_in
from evomerge.optimizers.folding import Vector, folded
from evomerge.optimizers.generational import Generational, first_sigma
from evomerge.optimizers.quiet import derived_seed
from evomerge.trial import Point, Value

SMALLEST_POPULATION, LARGEST_POPULATION = 4, 10_000

# pycma's own randomness is replaced by ours, and everything that it would print, write, read or
# seed is off. Mirrored sampling needs samples in pairs; ours are drawn one at a time.
OPTIONS: dict[str, Any] = {
    "seed": np.nan,
    "verbose": -9,
    "verb_log": 0,
    "signals_filename": "",
    "CMA_mirrors": 0,
}


@optimizer("cma", objectives=None, choices=False)
class Cma(Generational[Vector]):
    """CMA-ES in the unit cube; whole numbers by rounding.

    Where it starts: at ``x0``, else at the best feasible warm start, else in the middle.
    """

    def __init__(
        self,
        setup: Setup,
        *,
        sigma: float | None = None,
        population: int | None = None,
        x0: Mapping[str, Value] | None = None,
        diagonal_above: int = 20,
    ) -> None:
        """The keys of its YAML.

        Args:
            setup: what it searches.
            sigma: the first standard deviation, as a share of each range; in (0, 1]. By default
                0.1 around a known point, 0.2 around the middle.
            population: trials in a generation, at least the look-ahead; by default 4 + 3 ln n for
                n dimensions [1].
            x0: where it starts, by dimension; those left out start in the middle.
            diagonal_above: with more dimensions than this it learns a scale for each, but no
                correlations [2]: n numbers take fewer trials to learn than n².
        """
        dimensions = max(1, len(setup.space))
        if population is None:
            population = SMALLEST_POPULATION + int(3 * log(dimensions))
        else:
            population = whole_number_in(
                "population", population, SMALLEST_POPULATION, LARGEST_POPULATION
            )
        super().__init__(setup, max(population, setup.lookahead))
        self.sigma = first_sigma(sigma)
        self.x0 = starting_point(setup.space, x0)
        self.diagonal = dimensions > whole_number_in("diagonal_above", diagonal_above, 0, 10**9)
        self._strategy: Any = None

    def start(self, best: Point | None) -> None:
        """Around ``x0``, ``best``, or the middle."""
        with warnings.catch_warnings():  # that it cannot plot
            warnings.simplefilter("ignore")
            import cma

        known = self.x0 or best
        mean = self.sample(known or self.setup.space.middle())
        generator = np.random.RandomState(derived_seed(self.setup.seed))
        options = {
            **OPTIONS,
            "randn": generator.randn,
            "popsize": self.population,
            "CMA_diagonal": self.diagonal,
        }
        self._strategy = cma.CMAEvolutionStrategy(mean, self.sigma(known), options)

    def draw(self) -> Vector:
        """A vector ``(dimensions,)``, anywhere on the line: see ``folded``."""
        return self._strategy.ask(1)[0]

    def learn(self, best_first: Sequence[Vector]) -> None:
        """One update of the distribution."""
        self._strategy.tell(list(best_first), list(range(len(best_first))))

    def point(self, sample: Vector) -> Point:
        """The point at the folded vector."""
        return self.setup.space.decode(folded(sample).tolist())

    def sample(self, point: Point) -> Vector:
        """The vector of ``point`` in the unit cube."""
        return np.array(self.setup.space.encode(point))
