"""Optimal transport: see `evomerge.alignment.optimal_transport`."""

from __future__ import annotations

from evomerge.aligners.base import Pair, Setup, aligner
from evomerge.alignment.elements import Element, Units
from evomerge.alignment.optimal_transport import optimal_transport
from evomerge.alignment.transporting import check_soft


@aligner("optimal_transport")
class OptimalTransport:
    """Units are carried to the anchor's places layer by layer; the anchor may be wider.

    Attributes:
        widens: narrower models too.
        mixes: whether units are mixed, and the model computes something else.
    """

    widens = True

    def __init__(
        self,
        setup: Setup,  # noqa: ARG002  nothing is drawn
        *,
        soft: bool = False,
        temperature: float = 0.05,
    ) -> None:
        """Whether to mix, and how much.

        Args:
            setup: of all aligners.
            soft: a mean of several units comes to each place, in place of one.
            temperature: of soft plans, above 0, as a share of what a place gains at most.

        Raises:
            RecipeError: they are of another type, or out of range.
        """
        check_soft(soft, temperature)
        self.mixes = soft
        self._temperature = temperature

    def find(self, pair: Pair) -> Element:
        """What brings the source to the anchor."""
        padded = {n: move.order for n, move in pair.padding.items() if isinstance(move, Units)}
        return optimal_transport(
            pair.layout,
            pair.anchor,
            pair.source,
            temperature=self._temperature if self.mixes else None,
            units={name: int((order >= 0).sum()) for name, order in padded.items()},
        )
