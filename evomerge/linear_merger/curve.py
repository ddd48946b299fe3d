"""What happens on the straight line between two networks.

The barrier is how far the loss rises above the line between its ends [1].

[1] R. Entezari, H. Sedghi, O. Saukh, B. Neyshabur. The role of permutation invariance in linear
    mode connectivity of neural networks. ICLR 2022. https://arxiv.org/abs/2110.06296
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from evomerge.errors import LinearMergerError
from evomerge.linear_merger.averaging import average

# The ends, and a place between them.
FEWEST = 3


class Curve(NamedTuple):
    """A quantity along the line.

    Attributes:
        shares: of the second network, from 0 to 1.
        values: there, in the same order.
    """

    shares: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def barrier(self) -> float:
        """The most that a value exceeds the line between the ends: 0 or more."""
        first, last = self.values[0], self.values[-1]
        pairs = zip(self.shares, self.values, strict=True)
        return max(0.0, *(value - (1 - t) * first - t * last for t, value in pairs))


def interpolation_curve(
    first: nn.Module, second: nn.Module, measure: Callable[[nn.Module], float], points: int = 11
) -> Curve:
    """What ``measure`` says at ``points`` evenly spaced places from ``first`` to ``second``.

    It is asked without gradients.

    Raises:
        LinearMergerError: for fewer than 3 points, or networks that cannot be averaged.
    """
    if points < FEWEST:
        raise LinearMergerError(f"points: found {points}; expected {FEWEST} or more")
    shares = tuple(index / (points - 1) for index in range(points))
    with torch.no_grad():
        values = tuple(measure(average([first, second], [1 - t, t])) for t in shares)
    return Curve(shares, values)


def barrier(
    first: nn.Module, second: nn.Module, loss: Callable[[nn.Module], float], points: int = 11
) -> float:
    """The loss barrier between two networks, in the unit of the loss: 0 where there is none."""
    return interpolation_curve(first, second, loss, points).barrier
