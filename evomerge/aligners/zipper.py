"""The zipper: one transform of the residual stream, carried from the embedding to the head.

As it was proposed, each layer's output is transformed, and that undone at the next layer's input.
But the stream runs past each layer, so what adds to it and what reads it must agree everywhere: one
transform, shared by embeddings, readers, writers, gains and head, or none.
"""

from __future__ import annotations

from evomerge.aligners.base import Pair, Setup, aligner
from evomerge.alignment.elements import Element
from evomerge.alignment.folding import STREAM, turned
from evomerge.alignment.layout import GROUPS
from evomerge.alignment.weight_matching import weight_matching
from evomerge.errors import AlignmentError, RecipeError, unknown

MODES = ("permutation", "rotation")


@aligner("zipper")
class Zipper:
    """The stream, by an assignment or by Procrustes' rotation, and all that stands in one layer.

    Attributes:
        mixes: whether the stream is rotated.
    """

    def __init__(self, setup: Setup, *, zipper: bool = True, mode: str = MODES[0]) -> None:
        """A transform of the stream, or none.

        Args:
            setup: of all aligners.
            zipper: whether the stream is moved; else only what stands in one layer.
            mode: how the stream is moved: ``permutation``, for all families, or ``rotation``.

        Raises:
            RecipeError: there is no such mode or value.
        """
        if not isinstance(zipper, bool):
            raise RecipeError(f"zipper: found {zipper!r}; expected true or false")
        if mode not in MODES:
            raise RecipeError(f"mode: {unknown('mode', mode, MODES)}")
        self._seed = setup.seed
        self._zipper = zipper
        self.mixes = zipper and mode == "rotation"

    def find(self, pair: Pair) -> Element:
        """What brings the source to the anchor."""
        layout = pair.layout
        if not self._zipper:
            layout = layout.only([group for group in GROUPS if group != STREAM])
        elif self.mixes:
            layout = turned(layout, pair.anchor)
        if not layout.groups:
            raise AlignmentError("zipper: is false, which leaves nothing of the groups to be moved")
        return weight_matching(layout, pair.anchor, pair.source, seed=self._seed)
