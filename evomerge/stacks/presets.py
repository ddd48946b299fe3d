"""Stacks that people have built by hand, and those of a study of what middle layers do.

[1] D. Kim et al. SOLAR 10.7B: scaling large language models with simple yet effective depth
    up-scaling. 2023. https://arxiv.org/abs/2312.15166
[2] Q. Sun et al. Transformer layers as painters. 2024. https://arxiv.org/abs/2407.09298
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle

from evomerge.errors import RecipeError
from evomerge.recipe import ModelReference
from evomerge.stacks.hops import Hop, Stack, block, seams

# Models in the order in which they are named, and how many layers each has.
Named = Sequence[tuple[ModelReference, int]]


def upscaled(model: ModelReference, layers: int, dropped: int) -> Stack:
    """Depth up-scaling [1]: a model twice, without its last and its first ``dropped`` layers.

    Raises:
        RecipeError: nothing would be left.
    """
    if not 0 <= dropped < layers:
        raise RecipeError(
            f"stack upscale: cannot drop {dropped} of the {layers} layers of {model}; "
            f"give a number from 0 to {layers - 1}"
        )
    return block(model, 0, layers - dropped) + block(model, dropped, layers)


def interleaved(models: Named, length: int, step: int) -> Stack:
    """Blocks of ``length`` layers of the models in turn, each ``step`` layers further in.

    The last block ends with its model's last layer, and may be shorter. Blocks of 16 and steps of 8
    of two models with 80 layers are the idea of Goliath.

    Raises:
        RecipeError: there would be gaps, or the models differ in depth.
    """
    if len({layers for _, layers in models}) > 1:
        found = ", ".join(f"{model} has {layers}" for model, layers in models)
        raise RecipeError(f"stack interleave: {found} layers; name models of one depth")
    if not 1 <= step <= length:
        raise RecipeError(
            f"stack interleave: found a step of {step}; "
            f"give a number from 1 to {length}, the length of a block"
        )
    return tuple(hop for one in _turns(models, length, step) for hop in one)


def _turns(models: Named, length: int, step: int) -> Iterator[Stack]:
    first = 0
    for model, layers in cycle(models):
        end = min(first + length, layers)
        yield block(model, first, end)
        if end == layers:
            return
        first += step


def joined(models: Named, head: int, tail: int) -> Stack:
    """The first ``head`` layers of the first model, and the last ``tail`` ones of the last.

    Raises:
        RecipeError: a model has not so many layers.
    """
    (first, before), *_, (last, after) = models
    for model, layers, asked in ((first, before, head), (last, after, tail)):
        if not 0 <= asked <= layers:
            raise RecipeError(
                f"stack join: cannot take {asked} of the {layers} layers of {model}; "
                f"give a number from 0 to {layers}"
            )
    return block(first, 0, head) + block(last, after - tail, after)


def skipped(model: ModelReference, layers: int, middle: range) -> Stack:
    """A model without the layers of ``middle`` [2]."""
    return block(model, 0, middle.start) + block(model, middle.stop, layers)


def repeated(model: ModelReference, layers: int, middle: range, times: int) -> Stack:
    """A model with the layers of ``middle`` ``times`` over.

    Raises:
        RecipeError: ``times`` is below 1.
    """
    if times < 1:
        raise RecipeError(f"stack repeat: found {times} times; give 1 or more")
    return _around(model, layers, middle, block(model, middle.start, middle.stop) * times)


def shared(model: ModelReference, layers: int, middle: range) -> Stack:
    """A model whose centre layer stands for every layer of ``middle`` [2]."""
    centre = middle[len(middle) // 2]
    return _around(model, layers, middle, block(model, centre, centre + 1) * len(middle))


def backwards(model: ModelReference, layers: int, middle: range) -> Stack:
    """A model with the layers of ``middle`` in reverse order [2]."""
    return _around(model, layers, middle, block(model, middle.start, middle.stop)[::-1])


def shuffled(model: ModelReference, layers: int, middle: range, seed: int) -> Stack:
    """A model with the layers of ``middle`` in an order drawn from ``seed`` [2]."""
    order = list(block(model, middle.start, middle.stop))
    random.Random(seed).shuffle(order)
    return _around(model, layers, middle, order)


def scaled(stack: Stack, scale: float) -> Stack:
    """The stack, with the residual stream multiplied by ``scale`` at every seam."""
    found = set(seams(stack))
    return tuple(
        replace(hop, scale=scale) if position in found else hop
        for position, hop in enumerate(stack)
    )


def _around(model: ModelReference, layers: int, middle: range, inside: Sequence[Hop]) -> Stack:
    before, after = block(model, 0, middle.start), block(model, middle.stop, layers)
    return (*before, *inside, *after)
