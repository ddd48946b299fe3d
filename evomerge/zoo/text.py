"""Real text that is on every machine: the language reference that Python brings with it.

Its topics repeat each other in part. So it is split by paragraphs, each of which counts once and
belongs to one split by its hash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2s
from pydoc_data.topics import topics
from types import MappingProxyType

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
    # A draw that depends on nothing but the paragraphs themselves.
    return tuple(sorted(fit, key=lambda part: blake2s(part.encode()).digest())[: SIZES[split]])


@cache
def _paragraphs(split: Split) -> Sequence[str]:
    """Each paragraph once, with the empty line that ends it."""
    whole = (text.strip("\n") for _, text in sorted(topics.items()))
    parts = (part for text in whole for part in re.split("\n{2,}", text))
    return tuple(f"{part}\n\n" for part in dict.fromkeys(parts) if split_of(part) == split)
