"""The shortest way from one stack to another, by edits.

A shortest path over pairs of positions, as in edit distances: what stands before ``before`` in the
first stack has become what stands before ``after`` in the second. Edits are made from the left, so
each is at a position of the second stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, product
from typing import TypeAlias

from evomerge.stacks.edits import Edit
from evomerge.stacks.hops import Hop, Stack, follows

Position: TypeAlias = tuple[int, int]
# Where an edit, or several, or none, leads.
Step: TypeAlias = tuple[Position, tuple[Edit, ...]]


def script(before: Stack, after: Stack, block: int, most: int) -> tuple[Edit, ...] | None:
    """Edits that make ``after`` of ``before``, few of them; None if more than ``most`` are needed.

    Blocks have up to ``block`` layers. Only pairs of positions that so many edits lead to are
    looked at: between deep stacks these are few.
    """
    best: dict[Position, tuple[Edit, ...]] = {(0, 0): ()}
    for here in product(range(len(before) + 1), range(len(after) + 1)):
        for place, edits in _steps(before, after, here, block) if here in best else ():
            made = best[here] + edits
            if len(made) <= most and (place not in best or len(made) < len(best[place])):
                best[place] = made
    return best.get((len(before), len(after)))


def _steps(before: Stack, after: Stack, place: Position, block: int) -> Iterator[Step]:
    i, j = place
    if i < len(before) and j < len(after):
        yield (i + 1, j + 1), _change(before[i], after[j], j)
    for length in range(1, min(block, len(before) - i) + 1):
        yield (i + length, j), (Edit("skip", j, length),)
    for length in range(1, min(block, len(after) - j) + 1):
        made = after[j : j + length]
        if after[max(0, j - length) : j] == made:
            yield (i, j + length), (Edit("repeat", j - length, length),)
        if all(follows(*pair) for pair in pairwise(made)):
            donor = tuple(replace(hop, scale=1.0) for hop in made)
            inserted = Edit("insert", j, length, donor)
            yield (i, j + length), (inserted, *_scales(donor, made, j))


def _change(old: Hop, new: Hop, at: int) -> tuple[Edit, ...]:
    """What makes one hop another: at most a swap and a scale."""
    same = (old.model, old.layer) == (new.model, new.layer)
    swap = () if same else (Edit("swap", at, donor=(replace(new, scale=1.0),)),)
    return (*swap, *_scales((old,), (new,), at))


def _scales(old: Stack, new: Stack, at: int) -> tuple[Edit, ...]:
    pairs = enumerate(zip(old, new, strict=True), at)
    return tuple(Edit("scale", k, scale=b.scale) for k, (a, b) in pairs if a.scale != b.scale)
