"""Weight matching: see `evomerge.alignment.weight_matching`."""

from __future__ import annotations

from evomerge.aligners.base import Pair, Setup, aligner
from evomerge.alignment.elements import Element
from evomerge.alignment.weight_matching import weight_matching


@aligner("weight_matching")
class WeightMatching:
    """Each unit takes the place of the anchor's unit whose weights it resembles most."""

    def __init__(self, setup: Setup) -> None:
        """It has no settings of its own."""
        self._seed = setup.seed

    def find(self, pair: Pair) -> Element:
        """What brings the source to the anchor."""
        return weight_matching(pair.layout, pair.anchor, pair.source, seed=self._seed)
