"""Random elements: what tests plant, and aligners have to find."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
from numpy.random import Generator

from evomerge.alignment.actions import Floats
from evomerge.alignment.elements import Heads, Move, Units
from evomerge.alignment.layout import HeadGroup, Layout, UnitGroup
from evomerge.alignment.rotary import in_planes
from evomerge.alignment.rotations import Rotation

# Factors lie between 0.3 and 3, and a gauge has a condition number of at most 10.
LEAST, MOST = 0.3, 3.0
CONDITION = 10.0


def random_element(layout: Layout, seed: int) -> dict[str, Move]:
    """An element that moves all that a layout lets move, drawn from ``seed``.

    Where it rotates the residual stream, it is for a model whose gains are all 1.
    """
    random = np.random.default_rng(seed)
    return {name: _drawn(group, random) for name, group in layout.groups.items()}


def _drawn(group: UnitGroup | HeadGroup, random: Generator) -> Move:
    if isinstance(group, UnitGroup) and group.turned:
        return Rotation(np.linalg.qr(random.normal(size=(group.size, group.size)))[0], {})
    if isinstance(group, UnitGroup):
        scales = np.ones(group.size)
        if group.signed:
            scales = random.choice([-1.0, 1.0], group.size)
        if group.scaled:
            scales = scales * np.exp(random.uniform(log(LEAST), log(MOST), group.size))
        return Units(random.permutation(group.size), scales)
    count, each = group.groups, group.per_group
    one = np.tile(np.eye(group.width), (count, 1, 1))
    order = np.arange(group.heads)
    if "heads" in group.moving:
        inner = np.stack([random.permutation(each) for _ in range(count)])
        order = (random.permutation(count)[:, None] * each + inner).reshape(-1)
    keys = values = one
    if "keys" in group.moving:
        keys = np.stack([_keys(group, random) for _ in range(count)])
    if "values" in group.moving:
        values = np.stack([_invertible(group.width, random) for _ in range(count)])
    return Heads(order, keys, values)


def _keys(group: HeadGroup, random: Generator) -> Floats:
    half = group.rotary // 2
    if group.normed:
        return in_planes(random.choice([-1.0, 1.0], half) + 0j, group.width)
    sizes = np.exp(random.uniform(log(LEAST), log(MOST), half))
    matrix = in_planes(sizes * np.exp(2j * np.pi * random.random(half)), group.width)
    rest = group.width - group.rotary
    matrix[group.rotary :, group.rotary :] = _invertible(rest, random)
    return matrix


def _invertible(width: int, random: Generator) -> Floats:
    left, right = (np.linalg.qr(random.normal(size=(width, width)))[0] for _ in range(2))
    bound = log(sqrt(CONDITION))
    matrix: Floats = left * np.exp(random.uniform(-bound, bound, width)) @ right
    return matrix
