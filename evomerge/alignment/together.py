"""Several models brought to each other, with none of them as the anchor.

Each in turn is brought to the mean of the others, until none comes nearer ([1], algorithm 3). They
are balanced first, so that nothing changes its size, and what is maximised, the sum of the inner
products of all pairs, can only grow. It begins with all of them brought to the first.

A mean is read tensor by tensor: of all models together, no more than one tensor is held of each.

[1] S. K. Ainsworth, J. Hayase, S. Srinivasa. Git Re-Basin: merging models modulo permutation
    symmetries. ICLR 2023. https://arxiv.org/abs/2209.04836
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from evomerge.alignment.balancing import balanced
from evomerge.alignment.elements import Element, compose, identity, invert
from evomerge.alignment.layout import Layout
from evomerge.alignment.matching import Floats, Read, Side
from evomerge.alignment.moving import moved
from evomerge.alignment.weight_matching import improved, matched


def align_together(layout: Layout, reads: Sequence[Read], *, seed: int = 0) -> list[Element]:
    """The elements that bring models to each other. The first stays as it is.

    Args:
        layout: of all; what it lets move is moved.
        reads: for each model, what reads its tensors by the names of the layout.
        seed: of the order in which models and their groups are visited.
    """
    random = Random(seed)
    models = [Side(layout, read, balanced(layout, read)) for read in reads]
    found: list[Element] = [identity(layout)]
    found += [matched((models[0], model), random) for model in models[1:]]
    moving = len(models) > 2  # noqa: PLR2004  two have nothing but each other
    while moving:
        moving = False
        for number in random.sample(range(len(models)), len(models)):
            mean = mean_of(layout, [*zip(models, found, strict=True)], without=number)
            sides = Side(layout, mean, {}), models[number]
            better = improved(sides, found[number], layout.groups, random)
            moving |= any(move is not found[number][name] for name, move in better.items())
            found[number] = better
    # What all of them have in common is undone, so that the first is where it was.
    back = invert(compose(found[0], models[0].done))
    wholes = (compose(back, compose(f, m.done)) for f, m in zip(found, models, strict=True))
    return [{name: move.tidied() for name, move in whole.items()} for whole in wholes]


def mean_of(layout: Layout, models: Sequence[tuple[Side, Element]], *, without: int) -> Read:
    """Reads the mean of all models but one, each after an element has acted on it."""
    others = [*models[:without], *models[without + 1 :]]
    elements = [(side.read, compose(element, side.done)) for side, element in others]

    def read(name: str) -> Floats:
        axes = layout.tensors[name]
        first, *rest = (moved(read(name), axes, element) for read, element in elements)
        total = np.array(first, np.float64)
        for each in rest:
            total += each
        mean: Floats = (total / len(elements)).astype(first.dtype)
        return mean

    return read
