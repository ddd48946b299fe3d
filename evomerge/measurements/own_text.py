"""Real text that is on every machine: the language reference that Python brings with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from hashlib import blake2s
from pydoc_data.topics import topics


@cache
def paragraphs() -> tuple[str, ...]:
    """Each paragraph once, in the order of the topics, which repeat each other in part."""
    whole = (text.strip("\n") for _, text in sorted(topics.items()))
    return tuple(dict.fromkeys(part for text in whole for part in re.split("\n{2,}", text)))


def shuffled(parts: Iterable[str]) -> list[str]:
    """Texts in an order that depends on nothing but the texts themselves."""
    return sorted(parts, key=lambda part: blake2s(part.encode()).digest())
