"""Children of stacks: a random edit of one, or two crossed where a seam may be."""

from __future__ import annotations

import numpy as np

from evomerge.stacks.edits import NEEDS, Edit, Kind
from evomerge.stacks.ground import Ground
from evomerge.stacks.hops import Stack, block, seams

# How many layers are skipped, repeated or inserted at once, at most.
LONGEST = 3
# A scale moves by about this factor.
SCALE_STEP = 0.1

Generator = np.random.Generator


def mutated(middle: Stack, ground: Ground, random: Generator) -> Stack:
    """What stands between the kept ends, after one random edit.

    It may be too deep or too shallow, or the same as before.
    """
    kinds: list[Kind] = [kind for kind in NEEDS if kind != "scale" or ground.scale is not None]
    kind = kinds[int(random.integers(len(kinds)))]
    at = int(random.integers(max(len(middle), 1)))
    length = 1 + int(random.integers(LONGEST))
    if kind == "scale":
        return _rescaled(middle, at, ground, random)
    return Edit(kind, at, length, _donor(middle, at, ground, random, length))(middle)


def crossed(first: Stack, second: Stack, random: Generator) -> Stack:
    """The beginning of one stack and the end of another, cut where a seam is, or may well be.

    The second goes on at the layer that comes nearest to where the first has come.
    """
    cuts = [*seams(first), *(position for position in range(1, len(first)))]
    if not cuts or not second:
        return first
    cut = cuts[int(random.integers(len(cuts)))]
    wanted = first[cut - 1].layer + 1
    begin = min(range(len(second)), key=lambda k: (abs(second[k].layer - wanted), k))
    return first[:cut] + second[begin:]


def _donor(middle: Stack, at: int, ground: Ground, random: Generator, length: int) -> Stack:
    """Layers of some model: half the time of about the same depth as the one at ``at``."""
    aliases = list(ground.sources)
    source = ground.sources[aliases[int(random.integers(len(aliases)))]]
    if middle and random.random() < 0.5:  # noqa: PLR2004  half
        first = min(middle[at].layer, source.layers - 1)
    else:
        first = int(random.integers(source.layers))
    return block(source.reference, first, min(first + length, source.layers))


def _rescaled(middle: Stack, at: int, ground: Ground, random: Generator) -> Stack:
    if ground.scale is None or not middle:
        return middle
    low, high = ground.scale
    moved = middle[at].scale * float(np.exp(SCALE_STEP * random.standard_normal()))
    return Edit("scale", at, scale=min(max(moved, low), high))(middle)
