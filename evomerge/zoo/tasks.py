"""Three skills on short strings, each with exactly one right answer.

A prompt belongs to one split by its hash, so whatever is drawn, in whatever order, no prompt of
one split is ever in another. The items that count are the same on every machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import blake2s
from random import Random
from string import ascii_lowercase
from types import MappingProxyType
from typing import Literal

Split = Literal["train", "watch", "search", "holdout"]

# Where each split ends among the 256 values of a hash: 65, 5, 10 and 20 % of all there is.
# Training sees the first split and decides when to stop by the second; a search sees the third,
# and nothing sees the last.
ENDS: Mapping[Split, int] = MappingProxyType(
    {"train": 166, "watch": 179, "search": 205, "holdout": 256}
)

# How many items the lm-eval tasks hold.
SIZES: Mapping[Split, int] = MappingProxyType({"search": 250, "holdout": 1000})

SHORTEST, LONGEST = 4, 7


@dataclass(frozen=True)
class Item:
    """One question and its answer.

    The answer begins with a space and ends with a new line: to be right is also to say where it
    ends.
    """

    prompt: str
    answer: str


def _word(random: Random) -> str:
    length = random.randint(SHORTEST, LONGEST)
    return "".join(random.choice(ascii_lowercase) for _ in range(length))


def _reverse(random: Random) -> Item:
    word = _word(random)
    return Item(f"rev {word} =", f" {word[::-1]}\n")


def _upper(random: Random) -> Item:
    word = _word(random)
    return Item(f"up {word} =", f" {word.upper()}\n")


def _sums(random: Random) -> Item:
    large, small = random.randint(100, 999), random.randint(0, 9)
    return Item(f"sum {large}+{small} =", f" {large + small}\n")


SKILLS: Mapping[str, Callable[[Random], Item]] = MappingProxyType(
    {"reverse": _reverse, "upper": _upper, "sums": _sums}
)


def split_of(text: str) -> Split:
    """The split that ``text``, a prompt or a title, belongs to."""
    value = blake2s(text.encode()).digest()[0]
    return next(split for split, end in ENDS.items() if value < end)


def draw(skill: str, split: Split, random: Random) -> Item:
    """A random item of ``skill`` whose prompt is in ``split``."""
    while True:
        item = SKILLS[skill](random)
        if split_of(item.prompt) == split:
            return item


@cache
def items(skill: str, split: Split, count: int | None = None) -> tuple[Item, ...]:
    """The first ``count`` items of a split, all different; as many as `SIZES` says by default."""
    random = Random(f"{skill} {split}")
    found: dict[Item, None] = {}
    while len(found) < (SIZES[split] if count is None else count):
        found[draw(skill, split, random)] = None
    return tuple(found)


def as_lines(records: Iterable[Item | Mapping[str, str]]) -> str:
    """JSON Lines: one record a line."""
    plain = (asdict(one) if isinstance(one, Item) else dict(one) for one in records)
    return "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in plain)
