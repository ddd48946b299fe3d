"""Real text that is on every machine: the language reference that Python brings with it.

A topic belongs to one split by the hash of its title, so no held-out text was trained on, even
where two versions of Python word a topic differently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import blake2s
from pydoc_data.topics import topics
from types import MappingProxyType

from evomerge.zoo.tasks import Split, split_of

# Bytes of a document: two windows of a model.
DOCUMENT = 256

# How many documents a split holds.
SIZES: Mapping[Split, int] = MappingProxyType({"search": 40, "holdout": 100})


@cache
def training_text() -> str:
    """All topics of the training split, one after the other."""
    return "\n".join(_texts("train"))


@cache
def documents(split: Split) -> tuple[str, ...]:
    """Whole lines of the topics of ``split``, at most `DOCUMENT` bytes in each document."""
    found = {part for text in _texts(split) for part in _parts(text)}
    # A draw that depends on nothing but the documents themselves.
    return tuple(sorted(found, key=lambda part: blake2s(part.encode()).digest())[: SIZES[split]])


def _texts(split: Split) -> Iterator[str]:
    return (text for title, text in sorted(topics.items()) if split_of(title) == split)


def _parts(text: str) -> Iterator[str]:
    """The full documents of ``text``; what is left over at its end is too short to count."""
    part = ""
    for line in text.splitlines(keepends=True):
        if len((part + line).encode()) > DOCUMENT:
            yield part
            part = ""
        part += line
