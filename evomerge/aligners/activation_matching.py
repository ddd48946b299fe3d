"""Activation matching of two models on disk: see `evomerge.alignment.activation_matching`.

Both are in memory, in float32; of what their units do, one layer at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from evomerge.aligners.base import Pair, Setup, aligner
from evomerge.alignment.activation_matching import STATISTICS, STREAM, Shown, activation_matching
from evomerge.alignment.elements import Element
from evomerge.alignment.layout import HeadGroup, Layout, UnitGroup
from evomerge.alignment.on_disk import layout_of_source
from evomerge.checkpoint.source import Source
from evomerge.errors import AlignmentError, MergeError, RecipeError, unknown
from evomerge.measurements.probe import LENGTH, TOKENS, probe_tokens
from evomerge.measurements.units import unit_activations
from evomerge.recipe.data import Data

# Unless said: so many tokens for each unit of the residual stream.
TOKENS_PER_UNIT = 2


@aligner("activation_matching")
class ActivationMatching:
    """Each unit takes the place of the anchor's unit that does most like it on a text."""

    def __init__(
        self,
        setup: Setup,  # noqa: ARG002  nothing is drawn
        *,
        statistic: str = "correlation",
        data: str | None = None,
        tokens: int | None = None,
    ) -> None:
        """Shows both models a text.

        Args:
            setup: what every aligner is made from.
            statistic: of two units: ``raw`` inner products, ``centred`` ones, or ``correlation``.
            data: the text, or JSON Lines; by default the text that comes with Python.
            tokens: so many of it; by default 2048, or twice as many as the stream has units.

        Raises:
            RecipeError: there is no such statistic, or no such number.
        """
        if statistic not in STATISTICS:
            raise RecipeError(f"statistic: {unknown('statistic', str(statistic), STATISTICS)}")
        if data is not None and not isinstance(data, str):
            raise RecipeError(f"data: found {data!r}; expected the name of a file")
        if tokens is not None and (not isinstance(tokens, int) or tokens < 1):
            raise RecipeError(f"tokens: found {tokens!r}; expected a whole number from 1")
        self._statistic = statistic
        self._data = data
        self._tokens = tokens

    def find(self, pair: Pair) -> Element:
        """What brings the source to the anchor."""
        shown: Iterator[Shown] = iter(())
        if pair.models is None:
            raise AlignmentError(
                "activation_matching: found weights alone; expected models that can be run"
            )
        if _seen(pair.layout):
            shown = self._shown(pair.layout, *pair.models)
        try:
            return activation_matching(
                pair.layout, pair.anchor, pair.source, shown, self._statistic
            )
        except MergeError as error:
            raise AlignmentError(str(error)) from error

    def _shown(self, layout: Layout, anchor: Source, source: Source) -> Iterator[Shown]:
        """What units of the groups of a layout do in both models."""
        own = layout_of_source(anchor)
        stream = own.groups[STREAM]
        units = stream.size if isinstance(stream, UnitGroup) else 0
        tokens = self._probe(units, anchor, source)
        readers = [
            {group: name for group, name in each.readers().items() if group in _seen(layout)}
            for each in (own, layout)
        ]
        both = (
            unit_activations(model, tokens, named)
            for model, named in zip((anchor, source), readers, strict=True)
        )
        for (group, first), (_, other) in zip(*both, strict=True):
            yield Shown(group, first, other)

    def _probe(self, units: int, anchor: Source, source: Source) -> Tensor:
        """``(texts, length)``: tokens that mean the same to both models."""
        count = self._tokens or max(TOKENS, TOKENS_PER_UNIT * units)
        if count < units:
            raise AlignmentError(
                f"tokens: found {count}; expected {units} or more, as many as the residual stream "
                "has units"
            )
        length = min(LENGTH, count)
        texts = -(-count // length)
        data = Data(file=self._data, items=texts, length=length) if self._data else None
        mine, theirs = (probe_tokens(model, data, count) for model in (source, anchor))
        if not torch.equal(mine, theirs):
            raise AlignmentError(
                f"{source.label}: its tokenizer makes other tokens of the text than that of "
                f"{anchor.label}; activations are compared token by token: give one model the "
                "other's tokenizer first"
            )
        return mine


def _seen(layout: Layout) -> set[str]:
    """The groups whose order is asked for."""
    return {
        name
        for name, group in layout.groups.items()
        if not isinstance(group, HeadGroup) or "heads" in group.moving
    }
