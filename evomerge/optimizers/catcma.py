"""CatCMA with margin: CMA-ES for floats and whole numbers, beside a distribution for choices [1].

The margin keeps whole numbers and options from dying out: each stays likely enough to come again.

[1] R. Hamano et al. CatCMA with Margin for Single- and Multi-Objective Mixed-Variable Black-Box
    Optimization. 2025. https://arxiv.org/abs/2504.07884
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np

from evomerge.optimizers.base import Setup, number_in, optimizer, whole_number_in
from evomerge.optimizers.folding import Vector, folded
from evomerge.optimizers.generational import Generational, first_sigma
from evomerge.optimizers.quiet import derived_seed
from evomerge.space import ChoiceDimension, FloatDimension, IntDimension, Space
from evomerge.trial import Point, Value

if TYPE_CHECKING:
    from cmaes import CatCMAwM

SMALLEST_POPULATION, LARGEST_POPULATION = 6, 10_000


@optimizer("catcma", objectives=1, choices=True)
class CatCma(Generational["CatCMAwM.Solution"]):
    """CatCMA with margin, in the unit cube. It starts at the best feasible warm start."""

    def __init__(
        self,
        setup: Setup,
        *,
        sigma: float | None = None,
        population: int | None = None,
        start_share: float = 0.5,
    ) -> None:
        """The keys of its YAML.

        Args:
            setup: what it searches.
            sigma: the first standard deviation of numbers, as a share of each range; in (0, 1].
                By default 0.1 around a known point, 0.2 around the middle.
            population: trials in a generation, at least the look-ahead; by default 4 + 3 ln n for
                n dimensions, and 6 at least.
            start_share: the first probability of the options of the warm start it begins at, in
                [0, 1); the others share the rest. Less than an equal share counts as equal.
        """
        if population is None:
            population = 4 + int(3 * log(max(1, len(setup.space))))
            population = max(SMALLEST_POPULATION, population)
        population = whole_number_in(
            "population", population, SMALLEST_POPULATION, LARGEST_POPULATION
        )
        super().__init__(setup, max(population, setup.lookahead))
        self.sigma = first_sigma(sigma)
        self.start_share = number_in("start_share", start_share, 0.0, 0.99)
        self._parts = parts_of(setup.space)
        self._strategy: Any = None

    def start(self, best: Point | None) -> None:
        """Around ``best``, or the middle with all options equally likely."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from cmaes import CatCMAwM

        parts, point = self._parts, best or self.setup.space.middle()
        numbers = parts.floats or parts.ints
        self._strategy = CatCMAwM(
            # Unbounded, and folded: its own repair puts weight on the edges.
            x_space=[[-np.inf, np.inf]] * len(parts.floats) or None,
            z_space=[_middles(each) for each in parts.ints] or None,
            c_space=[each.size for each in parts.choices] or None,
            population_size=self.population,
            mean=parts.encoded(point) if numbers else None,
            sigma=self.sigma(best) if numbers else None,
            cov=np.eye(len(parts.floats) + len(parts.ints)) if numbers else None,
            cat_param=self._probabilities(best) if parts.choices else None,
            seed=derived_seed(self.setup.seed),
        )

    def draw(self) -> CatCMAwM.Solution:
        """One sample of both distributions."""
        return self._strategy.ask()

    def learn(self, best_first: Sequence[CatCMAwM.Solution]) -> None:
        """One update of both distributions."""
        self._strategy.tell([(each, float(place)) for place, each in enumerate(best_first)])

    def point(self, sample: CatCMAwM.Solution) -> Point:
        """The point of a sample; floats are folded into their range."""
        values: dict[str, Value] = dict(self.setup.space.middle())
        floats = zip(self._parts.floats, folded(_or_empty(sample.x)), strict=True)
        values |= {each.name: each.decode(float(share)) for each, share in floats}
        ints = zip(self._parts.ints, _or_empty(sample.z), strict=True)
        values |= {each.name: each.decode(float(share)) for each, share in ints}
        choices = zip(self._parts.choices, _or_empty(sample.c), strict=True)
        return values | {each.name: each.options[int(np.argmax(row))] for each, row in choices}

    def sample(self, point: Point) -> CatCMAwM.Solution:
        """A sample that stands for ``point``."""
        from cmaes import CatCMAwM

        parts, vector = self._parts, self._parts.encoded(point)
        widest = max((each.size for each in parts.choices), default=0)
        rows = [np.arange(widest) == each.options.index(point[each.name]) for each in parts.choices]
        return CatCMAwM.Solution(
            x=vector[: len(parts.floats)] if parts.floats else None,
            z=vector[len(parts.floats) :] if parts.ints else None,
            c=np.array(rows) if rows else None,
            _v_raw=vector if len(vector) else None,
        )

    def _probabilities(self, best: Point | None) -> Vector:
        """Of each option at the start: ``(choices, most options)``; rows end in zeros."""
        widest = max(each.size for each in self._parts.choices)
        table = np.zeros((len(self._parts.choices), widest))
        for row, each in zip(table, self._parts.choices, strict=True):
            row[: each.size] = 1 / each.size
            if best is not None and self.start_share > 1 / each.size:
                row[: each.size] = (1 - self.start_share) / (each.size - 1)
                row[each.options.index(str(best[each.name]))] = self.start_share
        return table


@dataclass(frozen=True)
class Parts:
    """The dimensions of a space by kind; those with a single value are left out.

    Attributes:
        floats: the dimensions of floats.
        ints: those of whole numbers.
        choices: those without an order.
    """

    floats: tuple[FloatDimension, ...]
    ints: tuple[IntDimension, ...]
    choices: tuple[ChoiceDimension, ...]

    def encoded(self, point: Point) -> Vector:
        """Where the numbers of ``point`` stand, in [0, 1]: ``(floats + ints,)``."""
        numbers: tuple[FloatDimension | IntDimension, ...] = (*self.floats, *self.ints)
        return np.array([each.encode(point[each.name]) for each in numbers])


def parts_of(space: Space) -> Parts:
    """The dimensions of ``space`` that have more than one value, by kind."""
    every = space.dimensions
    return Parts(
        tuple(each for each in space.floats if each.low < each.high),
        tuple(each for each in every if isinstance(each, IntDimension) and each.size > 1),
        tuple(each for each in space.choices if each.size > 1),
    )


def _middles(dimension: IntDimension) -> list[float]:
    """Where each value stands in the unit interval, ascending."""
    return [dimension.encode(value) for value in range(dimension.low, dimension.high + 1)]


def _or_empty(part: Vector | None) -> Vector:
    return np.empty(0) if part is None else part
