"""The gauges inside heads: a balanced one, and the one in which heads come nearest to others.

Keys may take any factor that commutes with rotary embeddings if queries take its inverse transpose,
values any invertible one if the output matrix does.
"""

from __future__ import annotations

import numpy as np

from evomerge.alignment.attention import Attention, Floats, Indices
from evomerge.alignment.elements import Heads
from evomerge.alignment.layout import HeadGroup
from evomerge.alignment.rotary import in_planes

# Of rank as good as lacking, a head is not balanced: its gauge would be noise.
RANK = 1e-9


def balancing(one: Attention) -> Heads:
    """The gauge in which keys weigh as much as their queries, and values as their outputs.

    Products stay. What is left open is orthogonal, so that distances mean something.
    """
    group = one.group
    keys = np.tile(np.eye(group.width), (group.groups, 1, 1))
    values = keys.copy()
    turned = slice(0, group.rotary)
    rest = slice(group.rotary, group.width)
    for at in range(group.groups):
        queries, outputs = (_of_group(heads, at, group) for heads in (one.queries, one.outputs))
        if "values" in group.moving:
            values[at] = _balanced(one.values[at], outputs)
        if "keys" in group.moving and not group.normed:
            sizes = _plane_sizes(one.keys[at][turned]), _plane_sizes(queries[turned])
            both = (sizes[0] > 0) & (sizes[1] > 0)
            ratio = np.sqrt(np.divide(sizes[1], sizes[0], out=np.ones(len(both)), where=both))
            keys[at] = in_planes(np.where(both, ratio, 1.0).astype(np.complex128), group.width)
            keys[at][rest, rest] = _balanced(one.keys[at][rest], queries[rest])
    return Heads(np.arange(group.heads), keys, values)


def best_gauge(first: Attention, other: Attention, order: Indices) -> tuple[Heads, float]:
    """The orthogonal gauge in which heads in this order come nearest to the first, and how near.

    Both are balanced. The nearness is the inner product of their weights.
    """
    group = first.group
    chosen = other.chosen(order)
    one = np.tile(np.eye(group.width), (group.groups, 1, 1))
    keys: Floats = one
    values: Floats = one
    of_values = _grams(first.values, chosen.values)
    of_values = of_values + _over_groups(first.outputs, chosen.outputs, group)
    of_keys = _grams(first.keys, chosen.keys)
    of_keys = of_keys + _over_groups(first.queries, chosen.queries, group)
    if "values" in group.moving:
        values = _polar(of_values)
    if "keys" in group.moving:
        keys = np.stack([_key_gauge(gram, group) for gram in of_keys])
    near = float((of_values * values).sum() + (of_keys * keys).sum())
    return Heads(order, keys, values), near


def _key_gauge(gram: Floats, group: HeadGroup) -> Floats:
    """``(width, width)``: the best factor of each plane, and the best rotation of the rest."""
    half = group.rotary // 2
    first, second = slice(0, half), slice(half, group.rotary)
    # The sum over a plane's numbers of a times the conjugate of b.
    real = np.diagonal(gram[first, first]) + np.diagonal(gram[second, second])
    imaginary = np.diagonal(gram[second, first]) - np.diagonal(gram[first, second])
    together = real + 1j * imaginary
    size = abs(together)
    numbers = np.where(size > 0, together / np.where(size > 0, size, 1), 1)
    if group.normed:
        numbers = np.where(real < 0, -1, 1) + 0j
    matrix = in_planes(numbers, group.width)
    if group.rotary < group.width and not group.normed:
        rest = slice(group.rotary, group.width)
        matrix[rest, rest] = _polar(gram[rest, rest])
    return matrix


def _polar(gram: Floats) -> Floats:
    """The orthogonal matrices nearest to some: the solution of Procrustes' problem."""
    left, _, right = np.linalg.svd(gram)
    return left @ right


def _grams(first: Floats, other: Floats) -> Floats:
    """``(groups, width, width)``: inner products of the rows of heads at the same place."""
    return first @ other.swapaxes(-1, -2)


def _over_groups(first: Floats, other: Floats, group: HeadGroup) -> Floats:
    grams = _grams(first, other)
    return grams.reshape(group.groups, group.per_group, *grams.shape[1:]).sum(1)


def _of_group(heads: Floats, at: int, group: HeadGroup) -> Floats:
    """``(width, heads of the group * numbers)``: the heads of a group side by side."""
    mine = heads[at * group.per_group : (at + 1) * group.per_group]
    return np.concatenate(list(mine), axis=1)


def _plane_sizes(turned: Floats) -> Floats:
    """The norm of what each rotary plane has, ``(planes,)``."""
    half = len(turned) // 2
    sizes: Floats = np.sqrt((turned[:half] ** 2 + turned[half:] ** 2).sum(1))
    return sizes


def _triangle(matrix: Floats) -> Floats:
    """R of the factors Q R."""
    factor: Floats = np.linalg.qr(matrix, mode="r")  # type: ignore[assignment]
    return factor


def _balanced(written: Floats, read: Floats) -> Floats:
    """The factor M that gives M · written and M⁻ᵀ · read the same, diagonal, inner products.

    ``(width, width)``; the product readᵀ · written stays.
    """
    one = np.eye(len(written))
    if not len(written) or min(written.shape[1], read.shape[1]) < len(written):
        return one
    # written = Rᵤᵀ Qᵤᵀ and read = Rᵣᵀ Qᵣᵀ, so that readᵀ written = Qᵣ (Rᵣ Rᵤᵀ) Qᵤᵀ.
    upper, lower = _triangle(written.T), _triangle(read.T)
    _, sizes, right = np.linalg.svd(lower @ upper.T)
    if not sizes[-1] > RANK * sizes[0]:
        return one
    # M Rᵤᵀ = √S Vᵀ
    factor: Floats = np.sqrt(sizes)[:, None] * np.linalg.solve(upper, right.T).T
    return factor
