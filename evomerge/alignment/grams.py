"""How alike units of two models are, by all that tells of them.

A tensor has some numbers for each unit. They come in pieces, as of an embedding there are many.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evomerge.alignment.elements import Units

Floats = NDArray[np.floating]

# Where the cosine of every unit and its partner is at least this, over at least so many numbers,
# nothing is left to look for: in siblings it is above 0.95, in strangers about 0. Only for near
# copies of a unit could another order be better, and hardly; of few numbers near copies are common.
CERTAIN, NUMBERS = 0.9, 64


class Piece(NamedTuple):
    """Some numbers of every unit.

    Attributes:
        first: ``(units, numbers)``, of the model that stays.
        other: ``(units, numbers)``, of the model that moves.
        flips: whether they change their sign with the unit.
    """

    first: Floats
    other: Floats
    flips: bool


class Grams(NamedTuple):
    """Inner products of each unit of the first model with each of the other.

    Attributes:
        plain: ``(units, units)``, float64: of the numbers that keep their sign.
        signed: ``(units, units)``, float64: of those that change it with the unit.
        epsilon: the precision of the numbers.
    """

    plain: Floats
    signed: Floats
    epsilon: float


def grams(pieces: Iterable[Piece], units: int) -> Grams:
    """The inner products: each piece is multiplied in its own precision, and added in float64."""
    plain, signed = np.zeros((units, units)), np.zeros((units, units))
    epsilon = 0.0
    for first, other, flips in pieces:
        into = signed if flips else plain
        into += first @ other.T
        epsilon = max(epsilon, float(np.finfo(first.dtype).eps))
    return Grams(plain, signed, epsilon)


def is_certain(pieces: Iterable[Piece], now: Units) -> bool:
    """Whether all units stand so near to their partners that no other order need be looked for.

    It takes a pass over the numbers, where `grams` takes one for every unit. One number for each
    unit, such as its gain, tells too little to count.
    """
    products, squares = np.zeros(len(now.order)), np.zeros((2, len(now.order)))
    numbers = 0
    for first, other, flips in pieces:
        if first.shape[1] > 1:
            numbers += first.shape[1]
            partners = other[now.order]
            product = _along_rows(first, partners)
            products += np.sign(now.scales) * product if flips else product
            squares += _along_rows(first, first), _along_rows(partners, partners)
    sizes = np.sqrt(squares[0] * squares[1])
    return numbers >= NUMBERS and bool(sizes.any() and (products >= CERTAIN * sizes).all())


def _along_rows(first: Floats, other: Floats) -> Floats:
    """``(units,)``: the inner product of each row with its partner."""
    products: Floats = np.einsum("ij,ij->i", first, other)
    return products
