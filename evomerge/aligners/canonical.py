"""The normal form of both models: see `evomerge.alignment.canonical`."""

from __future__ import annotations

from evomerge.aligners.base import Pair, Setup, aligner
from evomerge.alignment.canonical import canonical
from evomerge.alignment.elements import Element, compose, invert


@aligner("canonical")
class Canonical:
    """Finds copies that were moved; models that were trained apart it brings no nearer."""

    def __init__(self, setup: Setup) -> None:
        """It has no settings."""

    def find(self, pair: Pair) -> Element:
        """What brings the source to the anchor, if it is a copy."""
        anchor, source = (canonical(pair.layout, read) for read in (pair.anchor, pair.source))
        whole = compose(invert(anchor), source)
        return {name: move.tidied() for name, move in whole.items()}
