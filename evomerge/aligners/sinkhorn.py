"""Sinkhorn: see `evomerge.alignment.sinkhorn`."""

from __future__ import annotations

from evomerge.aligners.base import Pair, Setup, aligner
from evomerge.alignment.elements import Element
from evomerge.alignment.sinkhorn import Cooling, sinkhorn
from evomerge.alignment.transporting import check_soft
from evomerge.errors import RecipeError


@aligner("sinkhorn")
class Sinkhorn:
    """Permutations are relaxed to doubly stochastic matrices, which get colder, and are rounded.

    Attributes:
        mixes: whether they are not rounded, and the model computes something else.
    """

    def __init__(
        self, setup: Setup, *, soft: bool = False, temperature: float = 0.02, sweeps: int = 8
    ) -> None:
        """How it is cooled.

        Args:
            setup: of all aligners.
            soft: the matrices are not rounded: a mean of several units comes to each place.
            temperature: of the last sweep, above 0, as a share of what a place gains at most.
            sweeps: through all groups, from the hottest to the coldest.

        Raises:
            RecipeError: they are of another type, or out of range.
        """
        check_soft(soft, temperature)
        if not isinstance(sweeps, int) or sweeps < 1:
            raise RecipeError(f"sweeps: found {sweeps!r}; expected a whole number from 1")
        self.mixes = soft
        self._cooling = Cooling(temperature, sweeps, soft)
        self._seed = setup.seed

    def find(self, pair: Pair) -> Element:
        """What brings the source to the anchor."""
        return sinkhorn(pair.layout, pair.anchor, pair.source, self._cooling, seed=self._seed)
