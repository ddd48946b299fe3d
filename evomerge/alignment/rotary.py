"""Rotary planes as complex numbers: what commutes with the rotation of positions.

Rotary embeddings turn the pair of numbers p and p + planes of a head by an angle of its own. As
complex numbers, keys may take any factor z, if queries take 1 / conj(z): their products stay.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complex128]
Floats = NDArray[np.floating]


def in_planes(numbers: Complex, width: int) -> Floats:
    """The matrix of one head that multiplies each rotary plane by a complex number.

    Args:
        numbers: ``(planes,)``, complex; a plane is the numbers p and p + planes of the head.
        width: of the head; behind the planes stands the identity.
    """
    count = len(numbers)
    first, second = np.arange(count), np.arange(count) + count
    matrix: Floats = np.eye(width)
    matrix[first, first] = matrix[second, second] = numbers.real
    matrix[second, first], matrix[first, second] = numbers.imag, -numbers.imag
    return matrix


def as_complex(heads: Floats, rotary: int) -> Complex:
    """The turned part of heads: ``(heads, width, numbers)`` -> ``(heads, planes, numbers)``."""
    half = rotary // 2
    pairs: Complex = heads[:, :half] + 1j * heads[:, half:rotary]
    return pairs
