"""Gains folded into what reads behind them, so that the residual stream may be rotated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from evomerge.alignment.layout import Layout, UnitGroup
from evomerge.alignment.matching import Floats, Read
from evomerge.alignment.rotations import Gains, Rotation
from evomerge.errors import AlignmentError

STREAM = "residual"
# Of the largest gain of a norm: less than that is no gain by which to divide.
TINY = 1e-6


def turned(layout: Layout, anchor: Read) -> Layout:
    """The same model, whose residual stream is rotated, and not permuted.

    Args:
        layout: of both models.
        anchor: reads the tensors of the one whose gains the other is given.

    Raises:
        AlignmentError: a rotation is no symmetry of the model, or is not asked for, or a gain of
            the anchor is as good as 0.
    """
    stream = layout.groups.get(STREAM)
    if not isinstance(stream, UnitGroup):
        raise AlignmentError(f"groups: lack '{STREAM}', which is what is rotated")
    if layout.unturned:
        raise AlignmentError(layout.unturned)
    for name, gains in _norms(layout, anchor):
        least = int(abs(gains).argmin())
        if abs(gains[least]) <= TINY * abs(gains).max():
            raise AlignmentError(
                f"{name}: gain {least} of the anchor is {gains[least]:.2g}; a rotation divides "
                "by it: take an aligner that permutes"
            )
    groups = {**layout.groups, STREAM: replace(stream, turned=True)}
    return replace(layout, groups=groups)


def folded(layout: Layout, read: Read) -> Rotation:
    """What makes all gains of a model 1, and lets the stream stand."""
    gains = {
        name: Gains(before, np.ones_like(before), layout.base)
        for name, before in _norms(layout, read)
    }
    size = layout.groups[STREAM].size  # type: ignore[union-attr]
    return Rotation(np.eye(size), gains)


def _norms(layout: Layout, read: Read) -> Iterator[tuple[str, Floats]]:
    for name, _, span in layout.of(STREAM):
        if span.place.role == "follows":
            yield name, read(name).astype(np.float64) + layout.base
