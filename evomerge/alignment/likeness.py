"""How alike heads are, whatever their gauges.

What a head computes depends on its weights through two products alone: of queries and keys, plane
by plane under rotary embeddings, and of the output matrix and values. Products do not change with
the gauge, and so tell which head is which before anything in them is aligned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evomerge.alignment.attention import Attention, Floats
from evomerge.alignment.layout import HeadGroup
from evomerge.alignment.rotary import Complex, as_complex

Pairs = NDArray[Any]
Products = Callable[[Attention, Attention], Floats]


def likeness(first: Attention, other: Attention) -> Floats:
    """``(heads, heads)``: how much of the products of each kind two heads share.

    The sum of the diagonal is 2 for two equal models, and at most 2 for any.
    """
    kinds: tuple[Products, ...] = (_value_products, _key_products)
    total: Floats = np.sum([_normalised(products, first, other) for products in kinds], axis=0)
    return total


def _normalised(products: Products, first: Attention, other: Attention) -> Floats:
    heads = range(first.group.heads)
    sizes = [
        sum(products(each.single(head), each.single(head)).item() for head in heads)
        for each in (first, other)
    ]
    size = np.sqrt(sizes[0] * sizes[1])
    found: Floats = products(first, other) / (size if size > 0 else 1)
    return found


def _value_products(first: Attention, other: Attention) -> Floats:
    """``(heads, heads)``: ⟨OₐVₐ, O_bV_b⟩ = tr(OₐᵀO_b V_bVₐᵀ)."""
    values = _all_pairs(first.values, other.values)
    outputs = _all_pairs(first.outputs, other.outputs)
    return (outputs * _for_queries(values, first.group)).sum((-1, -2))


def _key_products(first: Attention, other: Attention) -> Floats:
    """``(heads, heads)``: the same of qₐk̄ₐ and q_bk̄_b in each plane, and of QᵀK in the rest."""
    group = first.group
    rotary = group.rotary
    total: Floats = np.zeros((group.heads, group.heads))
    both = (first.keys, other.keys), (first.queries, other.queries)
    if rotary:
        turned = [_plane_pairs(as_complex(a, rotary), as_complex(b, rotary)) for a, b in both]
        total = total + (turned[1] * _for_queries(turned[0], group).conj()).real.sum(-1)
    if rotary < group.width:
        keys, queries = (_all_pairs(a[:, rotary:], b[:, rotary:]) for a, b in both)
        total = total + (queries * _for_queries(keys, group)).sum((-1, -2))
    return total


def _plane_pairs(first: Complex, other: Complex) -> Complex:
    """``(heads, heads, planes)``: inner products of the planes of any two heads."""
    planes = first.conj().transpose(1, 0, 2) @ other.transpose(1, 2, 0)
    pairs: Complex = planes.transpose(1, 2, 0)
    return pairs


def _all_pairs(first: Floats, other: Floats) -> Floats:
    """``(heads, heads, width, width)``: inner products of the rows of any two heads."""
    heads, width, numbers = first.shape
    gram = first.reshape(-1, numbers) @ other.reshape(-1, numbers).T
    return gram.reshape(heads, width, -1, width).swapaxes(1, 2)


def _for_queries(pairs: Pairs, group: HeadGroup) -> Pairs:
    """What is known of pairs of groups, for each pair of their query heads."""
    return pairs.repeat(group.per_group, axis=0).repeat(group.per_group, axis=1)
