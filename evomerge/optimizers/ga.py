"""A steady-state genetic algorithm, which knows what a stack of layers is.

Every child enters the population as soon as it is told, and the best of all that was told are the
population: fronts are sorted without weights where there are several objectives [1]. Stacks are
changed as stacks, by edits and by crossing two of them at a seam; all other dimensions as numbers
and options. No child is proposed twice.

A child is drawn from noise that is addressed by the seed and its number, and from what was told.

[1] K. Deb et al. A fast and elitist multiobjective genetic algorithm: NSGA-II. IEEE Transactions
    on Evolutionary Computation 6, 2002. https://doi.org/10.1109/4235.996017
[2] L. J. Eshelman, J. D. Schaffer. Real-coded genetic algorithms and interval-schemata.
    Foundations of Genetic Algorithms 2, 1993.
    https://doi.org/10.1016/B978-0-08-094832-4.50018-0
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from evomerge.goals import Outcome
from evomerge.optimizers.base import Setup, number_in, optimizer, whole_number_in
from evomerge.optimizers.ranking import ranks
from evomerge.space import ChoiceDimension, Dimension, FloatDimension, IntDimension
from evomerge.stacks.code import Code
from evomerge.stacks.variation import crossed, mutated
from evomerge.trial import Point, Value

# A parent is the better of so many, drawn from the population.
TOURNAMENT = 2
# Of each range: the standard deviation of a change of a number.
STEP = 0.12
# Numbers of two parents are blended beyond both by this share of their distance [2].
BEYOND = 0.35
# So many children are drawn that were proposed before, until a random point has to do.
DRAWS = 40
MOST_EDITS = 3

Generator = np.random.Generator


@optimizer("ga", objectives=None, choices=True)
class Ga:
    """Children of the best, by crossover and mutation."""

    def __init__(self, setup: Setup, *, population: int = 16, crossover: float = 0.7) -> None:
        """Sets it up.

        Args:
            setup: what every optimizer is made from.
            population: how many of the best are parents.
            crossover: how often a child has two parents, as a share of all children.

        Raises:
            RecipeError: a value is out of range.
        """
        self._setup = setup
        self._population = whole_number_in("population", population, 2, 10_000)
        self._crossover = number_in("crossover", crossover, 0.0, 1.0)
        coded = {each.name for code in setup.codes for each in code.dimensions}
        self._plain = [each for each in setup.space.dimensions if each.name not in coded]
        self._told: list[tuple[Point, Outcome]] = []
        self._parents: list[Point] | None = None
        self._seen: set[Hashable] = set()
        self._counted = 0  # children that were told, without warm starts

    def warm(self, point: Point, outcome: Outcome) -> None:
        """A point that may be a parent."""
        self._enter(point, outcome)
        self._seen.add(self._key(point))

    def ask(self, number: int) -> Point:
        """A child of the best so far; at first, a few edits away from where a search begins."""
        random = np.random.default_rng([self._setup.seed, number])
        for draw in range(DRAWS):
            child = self._child(random, draw)
            key = self._key(child)
            if key not in self._seen:
                self._seen.add(key)
                return child
        child = self._setup.space.decode(random.random(len(self._setup.space)).tolist())
        self._seen.add(self._key(child))
        return child

    def tell(self, number: int, point: Point, outcome: Outcome) -> None:  # noqa: ARG002
        """The child may be a parent from now on."""
        self._counted += 1
        self._enter(point, outcome)

    def recall(self, number: int, point: Point) -> Point | None:  # noqa: ARG002
        """Only that it was proposed matters to later children."""
        self._seen.add(self._key(point))
        return None

    def _enter(self, point: Point, outcome: Outcome) -> None:
        self._told.append((point, outcome))
        self._parents = None

    def _key(self, point: Point) -> Hashable:
        """What two points have in common that make one recipe, as far as it can be told."""
        settled = self._setup.settle(point)
        stacks = tuple(code.decode(settled) for code in self._setup.codes)
        return stacks, tuple(settled[each.name] for each in self._plain)

    def _child(self, random: Generator, draw: int) -> Point:
        if self._counted < self._population // 2:
            return self._fresh(random)
        parents = self._best()
        first = self._parent(parents, random)
        second = self._parent(parents, random) if random.random() < self._crossover else first
        # What was proposed before is left behind by ever more changes.
        edits = 1 + int(random.integers(MOST_EDITS)) + draw // 10
        child: dict[str, Value] = dict(first)
        for code in self._setup.codes:
            child |= self._stack_of(code, first, second, edits, random)
        return child | self._numbers(first, second, random)

    def _fresh(self, random: Generator) -> Point:
        """Not far from a point that a search begins at, where there are stacks; else anywhere."""
        start: dict[str, Value] = dict(
            self._told[int(random.integers(len(self._told)))][0]
            if self._told
            else self._setup.space.middle()
        )
        edits = 1 + int(random.integers(MOST_EDITS))
        for code in self._setup.codes:
            start |= self._stack_of(code, start, start, edits, random)
        anywhere = {each.name: each.decode(float(random.random())) for each in self._plain}
        return start | anywhere

    def _best(self) -> list[Point]:
        if self._parents is None:
            places = ranks([outcome for _, outcome in self._told])
            order = np.argsort(places, kind="stable")[: self._population]
            self._parents = [self._told[i][0] for i in order]
        return self._parents

    def _parent(self, parents: list[Point], random: Generator) -> Point:
        return parents[min(int(random.integers(len(parents))) for _ in range(TOURNAMENT))]

    def _stack_of(
        self, code: Code, first: Point, second: Point, edits: int, random: Generator
    ) -> Point:
        """The stack of a child; if what was drawn is no point, one near the first parent's."""
        one, other = (code.ground.cut(code.decode(each)) or () for each in (first, second))
        middle = crossed(one, other, random) if second is not first else one
        for _ in range(edits):
            middle = mutated(middle, code.ground, random)
        found = code.encode(code.ground.whole(middle)) if code.ground.fits(middle) else None
        if found is None:
            return _varied(code, first, random)
        middles = self._setup.space.middle()
        return {each.name: middles[each.name] for each in code.dimensions} | dict(found)

    def _numbers(self, first: Point, second: Point, random: Generator) -> dict[str, Value]:
        """What is no stack: between the parents or a little beyond, and about one value changed."""
        found: dict[str, Value] = {}
        for each in self._plain:
            value = _blended(each, first[each.name], second[each.name], random)
            if random.random() < 1 / len(self._plain):
                value = _changed(each, value, random)
            found[each.name] = value
        return found


def _varied(code: Code, point: Point, random: Generator) -> Point:
    """Another value for one of the dimensions that decide the stack; none if there is none."""
    read = code.read(point)
    able = [each for each in code.dimensions if each.name in read]
    if not able:
        return {}
    each = able[int(random.integers(len(able)))]
    return {each.name: _changed(each, point[each.name], random)}


def _blended(dimension: Dimension, first: Value, second: Value, random: Generator) -> Value:
    """A number from the stretch between two [2]; one of two options."""
    share = (1 + 2 * BEYOND) * float(random.random()) - BEYOND
    if first == second:
        return first
    if isinstance(dimension, ChoiceDimension):
        return first if share < 0.5 else second  # noqa: PLR2004  half
    one, other = dimension.encode(first), dimension.encode(second)
    return dimension.decode(one + share * (other - one))


def _changed(dimension: Dimension, value: Value, random: Generator) -> Value:
    if isinstance(dimension, ChoiceDimension):
        return dimension.decode(float(random.random()))
    place = dimension.encode(value) + STEP * float(random.standard_normal())
    moved = dimension.decode(1 - abs(1 - abs(place)))  # reflected at the ends
    if isinstance(dimension, IntDimension) and moved == value:
        moved = dimension.nearest(int(value) + (1 if random.random() < 0.5 else -1))  # noqa: PLR2004
    return moved if isinstance(dimension, IntDimension | FloatDimension) else value
