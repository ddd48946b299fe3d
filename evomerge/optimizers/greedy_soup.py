"""Greedy soup: models join an average, best first, as long as it does not get worse [1].

[1] M. Wortsman et al. Model soups: averaging weights of multiple fine-tuned models improves
    accuracy without increasing inference time. ICML 2022. https://arxiv.org/abs/2203.05482
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from evomerge.errors import RecipeError
from evomerge.goals import Outcome
from evomerge.optimizers.base import Exhausted, Setup, optimizer
from evomerge.optimizers.ranking import ranks
from evomerge.space import ChoiceDimension, Dimension, FloatDimension, rounded
from evomerge.trial import Point

# A parameter of a recipe that is no weight of a whole model: a density, or the weight of a part.
NO_WEIGHT = re.compile(r"parameters\.(?!weight$)")

Soup = frozenset[str]


@optimizer("greedy_soup", objectives=1, choices=False)
class GreedySoup:
    """Each model alone, then soups that grow by one model at a time. It ends by itself.

    Each dimension is the weight of one model: 0 leaves it out. A member of a soup of k models has
    the weight 1/k, or 1 where weights are whole numbers and the recipe normalises them. Models
    that the warm starts have scored alone are not proposed again.

    With a look-ahead, a proposal knows only what has been told: it adds a model to the best soup so
    far, and stands in for the result that it cannot wait for.
    """

    def __init__(self, setup: Setup) -> None:
        """It has no keys.

        Raises:
            RecipeError: the space is not one weight for each model.
        """
        for dimension in setup.space.dimensions:
            _check(dimension)
        self._setup = setup
        self._names = setup.space.names
        self._scored: dict[Soup, Outcome] = {}
        self._tried: set[Soup] = set()
        self._asked: dict[int, Soup] = {}

    def warm(self, point: Point, outcome: Outcome) -> None:
        """Takes the score of a model alone, or of a soup, if that is what ``point`` is."""
        soup = frozenset(name for name in self._names if float(point[name]) > 0)
        if soup and dict(point) == self._point(soup):
            self._scored[soup] = outcome
            self._tried.add(soup)

    def ask(self, number: int) -> Point:
        """The next model alone, or the best soup and one model more.

        Raises:
            Exhausted: every model has been tried.
        """
        soup = self._next()
        self._tried.add(soup)
        self._asked[number] = soup
        return self._point(soup)

    def tell(self, number: int, point: Point, outcome: Outcome) -> None:  # noqa: ARG002
        """Keeps what came of the soup."""
        self._scored[self._asked.pop(number)] = outcome

    def recall(self, number: int, point: Point) -> Point:  # noqa: ARG002
        """Asks again: a proposal follows from what was told."""
        return self.ask(number)

    def _next(self) -> Soup:
        alone = [frozenset([name]) for name in self._names]
        for soup in alone:
            if soup not in self._tried:
                return soup
        order = self._sorted(soup for soup in alone if soup in self._scored)
        if not order:  # the look-ahead covers all models: nothing is known yet
            return frozenset(self._names)
        best = order[0]
        for model in order[1:]:
            larger = best | model
            if larger not in self._tried:
                return larger
            if larger in self._scored and self._not_worse(larger, best):
                best = larger
        if not set(self._asked.values()) <= self._scored.keys():  # of what is pending, one may join
            return best
        raise Exhausted(f"greedy_soup is done: the best soup is {' + '.join(sorted(best))}")

    def _sorted(self, soups: Iterable[Soup]) -> list[Soup]:
        """Best first; of equals, in the order of the models."""
        known = list(soups)
        places = ranks([self._scored[soup] for soup in known])
        return [known[i] for i in sorted(range(len(known)), key=places.__getitem__)]

    def _not_worse(self, one: Soup, other: Soup) -> bool:
        mine, theirs = ranks([self._scored[one], self._scored[other]])
        return mine <= theirs

    def _point(self, soup: Soup) -> Point:
        share = rounded(1 / len(soup))
        return {
            each.name: (share if isinstance(each, FloatDimension) else 1) * (each.name in soup)
            for each in self._setup.space.dimensions
        }


def _check(dimension: Dimension) -> None:
    odd = isinstance(dimension, ChoiceDimension) or NO_WEIGHT.search(dimension.name)
    if odd or not (dimension.admits(0) and dimension.admits(1)):
        raise RecipeError(
            f"optimizer: greedy_soup searches one weight for each model, from 0 to 1 at least, and "
            f"'{dimension.name}' is none; write weight: {{search: [0, 1]}} for every model, "
            "and no other hole"
        )
