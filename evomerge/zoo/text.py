"""Real text that is on every machine, and whose paragraphs belong to one split each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from evomerge.measurements.own_text import paragraphs, shuffled
from evomerge.zoo.tasks import Split, split_of

# Bytes of a paragraph that makes a document: one to four windows of a model.
SHORTEST, LONGEST = 100, 500

# How many documents a split holds.
SIZES: Mapping[Split, int] = MappingProxyType({"search": 40, "holdout": 100})


@cache
def training_text() -> str:
    """All paragraphs of the training split, in the order of the topics."""
    return "".join(_paragraphs("train"))


@cache
def documents(split: Split) -> tuple[str, ...]:
    """Paragraphs of ``split``, neither short nor long, as many as `SIZES` says."""
    fit = [part for part in _paragraphs(split) if SHORTEST <= len(part.encode()) <= LONGEST]
    return tuple(shuffled(fit)[: SIZES[split]])


@cache
def _paragraphs(split: Split) -> Sequence[str]:
    """Each paragraph once, with the empty line that ends it."""
    return tuple(f"{part}\n\n" for part in paragraphs() if split_of(part) == split)
