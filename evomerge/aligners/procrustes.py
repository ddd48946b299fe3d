"""Procrustes: the residual stream is rotated, and the rest brought after it by weight matching.

For models of a norm before each part that subtracts no mean, whose head is not tied to the
embedding: any rotation of the stream is a symmetry of theirs, once gains are folded.
"""

from __future__ import annotations

from evomerge.aligners.base import Pair, Setup, aligner
from evomerge.alignment.elements import Element
from evomerge.alignment.folding import turned
from evomerge.alignment.weight_matching import weight_matching


@aligner("procrustes")
class Procrustes:
    """The stream takes the rotation, or reflection, in which it comes nearest the anchor's.

    Attributes:
        mixes: as rotations do.
    """

    mixes = True

    def __init__(self, setup: Setup) -> None:
        """It has no settings of its own."""
        self._seed = setup.seed

    def find(self, pair: Pair) -> Element:
        """What brings the source to the anchor."""
        layout = turned(pair.layout, pair.anchor)
        return weight_matching(layout, pair.anchor, pair.source, seed=self._seed)
