"""Geometry in the span of a few models, from their inner products alone.

A point of the span is a vector of coordinates ``c``, standing for ``sum_i c_i x_i``; with the Gram
matrix ``G_ij = <x_i, x_j>`` the inner product of two points is ``c . G d``. So a mean on the sphere
takes one pass over the weights to know G, and one to form the sum.
All functions take stacks: ``(..., models)`` coordinates with ``(..., models, models)`` matrices.
"""

from __future__ import annotations

import numpy as np

from evomerge.kernels.sums import Floats


def inner(gram: Floats, left: Floats, right: Floats) -> Floats:
    """``(...,)``: the inner products of points given by coordinates."""
    product: Floats = np.einsum("...i,...ij,...j->...", left, gram, right)
    return product


def norm(gram: Floats, point: Floats) -> Floats:
    """``(...,)``: the lengths of points; rounding below zero counts as zero."""
    length: Floats = np.sqrt(np.maximum(inner(gram, point, point), 0.0))
    return length


def norms(gram: Floats) -> Floats:
    """``(..., models)``: the lengths of the models themselves."""
    length: Floats = np.sqrt(np.maximum(np.einsum("...ii->...i", gram), 0.0))
    return length


def along_arc(cosine: Floats, t: float, straight: Floats) -> tuple[Floats, Floats]:
    """The shares of the two ends at fraction ``t`` of the arc between them: ``(...,)`` each.

    Args:
        cosine: of the angle between the ends, in [-1, 1].
        t: 0 is the first end, 1 the second.
        straight: where to take the straight line instead, because no arc is well defined.
    """
    angle = np.arccos(cosine)
    sine = np.where(straight, 1.0, np.sin(angle))
    first = np.where(straight, 1.0 - t, np.sin((1.0 - t) * angle) / sine)
    second = np.where(straight, t, np.sin(t * angle) / sine)
    return first, second


def log_map(gram: Floats, centre: Floats, directions: Floats, tolerance: float) -> Floats:
    """``(points, models)``: tangents at ``centre`` that lead to ``directions``; all unit vectors.

    Args:
        gram: ``(models, models)``.
        centre: ``(models,)`` coordinates.
        directions: ``(points, models)`` coordinates.
        tolerance: angles below this count as no way to go, in radians.
    """
    cosine = np.clip(inner(gram, directions, centre), -1.0, 1.0)
    angle = np.arccos(cosine)
    sine = np.sin(angle)
    reach = np.where(angle < tolerance, 0.0, angle / np.where(sine == 0.0, 1.0, sine))
    tangents: Floats = reach[:, None] * (directions - cosine[:, None] * centre)
    return tangents


def exp_map(gram: Floats, centre: Floats, tangent: Floats) -> Floats:
    """``(models,)``: the unit vector that ``tangent`` leads to from ``centre``."""
    length = norm(gram, tangent)
    if length == 0.0:
        return centre
    moved = np.cos(length) * centre + np.sin(length) / length * tangent
    return moved / (norm(gram, moved) or 1.0)
