"""Which weights of a layer are trained, and what stands in place of the others.

    upper, lower   a triangle is trained, the rest is zero
    rows           the upper triangle, its rows in an order drawn from a seed
    zeros          a share of each row is zero, at places drawn from a seed
    asymmetric     a share of each row is frozen at normal numbers, places and numbers drawn

Zeros leave hidden units as exchangeable as they were, or nearly: training finds its way round them.
Numbers that stay as they are give each unit a place of its own: W-asymmetric networks [1].

What is drawn depends on the seed, the name of the layer and its shape alone, never on torch's
generators, on Python's ``hash``, or on the machine.

[1] D. Lim, T. M. Putterman, R. Walters, H. Maron, S. Jegelka. The empirical impact of neural
    parameter symmetries, or lack thereof. NeurIPS 2024. https://arxiv.org/abs/2405.20231
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from evomerge.errors import LinearMergerError, unknown
from evomerge.noise import DRAWS, draws, noise_key

# What a draw is for: the second part of its address.
PLACES, VALUES = 0, 1


class Pattern(NamedTuple):
    """The fixed part of a layer.

    Attributes:
        mask: ``(out, in)``, bool: True where a weight is trained.
        frozen: ``(out, in)``, float32: what stands where none is, and zero elsewhere.
    """

    mask: Tensor
    frozen: Tensor


class Mask(Protocol):
    """A kind of mask, with its settings."""

    def pattern(self, outputs: int, inputs: int, name: str, /) -> Pattern:
        """What is fixed in the layer called ``name``, of ``outputs`` x ``inputs`` weights."""


@dataclass(frozen=True)
class Upper:
    """Trains the upper triangle, its diagonal included.

    Where the matrix is not square, the diagonal is stretched from corner to corner, and every
    weight that it touches is trained: no row and no column is left without one.
    """

    def pattern(self, outputs: int, inputs: int, _name: str, /) -> Pattern:
        """What is fixed in a layer; its name does not matter."""
        rows, columns = torch.arange(outputs)[:, None], torch.arange(inputs)
        return _with_zeros((columns + 1) * outputs > rows * inputs)


@dataclass(frozen=True)
class Lower:
    """Trains the lower triangle, its diagonal included; stretched as in ``Upper``."""

    def pattern(self, outputs: int, inputs: int, _name: str, /) -> Pattern:
        """What is fixed in a layer; its name does not matter."""
        rows, columns = torch.arange(outputs)[:, None], torch.arange(inputs)
        return _with_zeros((rows + 1) * inputs > columns * outputs)


@dataclass(frozen=True)
class Rows:
    """Trains the upper triangle, its rows in another order.

    Attributes:
        seed: of the order. Models to be merged need the same.
    """

    seed: int = 0

    def order(self, outputs: int, name: str) -> Tensor:
        """The row of the triangle that stands at each row of the layer: ``(outputs,)``."""
        return _drawn(self.seed, PLACES, name, (1, outputs)).argsort(stable=True)[0]

    def pattern(self, outputs: int, inputs: int, name: str, /) -> Pattern:
        """What is fixed in a layer."""
        mask, frozen = Upper().pattern(outputs, inputs, name)
        return Pattern(mask[self.order(outputs, name)], frozen)


@dataclass(frozen=True)
class Zeros:
    """Freezes a share of each row at zero.

    Attributes:
        share: of the weights of a row, between 0 and 1; at least one weight is frozen, and at
            least one is not.
        seed: of the places. Models to be merged need the same.
    """

    share: float = 1 / 8
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise LinearMergerError(
                f"share: found {self.share}; expected a number between 0 and 1, both excluded"
            )

    def pattern(self, outputs: int, inputs: int, name: str, /) -> Pattern:
        """What is fixed in a layer."""
        if inputs == 1:
            raise LinearMergerError(
                f"{name or 'layer'}: found 1 input; to freeze a share of each row takes 2 or more"
            )
        count = min(max(1, round(self.share * inputs)), inputs - 1)
        ranks = _drawn(self.seed, PLACES, name, (outputs, inputs)).argsort(stable=True).argsort()
        return _with_zeros(ranks >= count)


@dataclass(frozen=True)
class Asymmetric:
    """Freezes a share of each row at normal numbers.

    It goes best with a LayerNorm behind the layer: what is frozen is large beside what is free.

    Attributes:
        share: of the weights of a row, between 0 and 1; at least one weight is frozen, and at
            least one is not.
        scale: the standard deviation of the numbers, above 0. That of what is free is
            1/√(3·inputs) at the beginning. Layers near the output want less than 1.
        seed: of places and numbers. Models to be merged need the same.
    """

    share: float = 1 / 8
    scale: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        Zeros(self.share, self.seed)
        if not (self.scale > 0 and isfinite(self.scale)):
            raise LinearMergerError(
                f"scale: found {self.scale}; expected a number above 0 (mask 'zeros' freezes zeros)"
            )

    def pattern(self, outputs: int, inputs: int, name: str, /) -> Pattern:
        """What is fixed in a layer."""
        mask, _ = Zeros(self.share, self.seed).pattern(outputs, inputs, name)
        uniform = (_drawn(self.seed, VALUES, name, (outputs, inputs)) + 0.5) / DRAWS
        normal = self.scale * torch.special.ndtri(uniform)
        return Pattern(mask, normal.masked_fill(mask, 0).float())


MASKS: dict[str, Callable[[], Mask]] = {
    "asymmetric": Asymmetric,
    "lower": Lower,
    "rows": Rows,
    "upper": Upper,
    "zeros": Zeros,
}


def mask_of(mask: Mask | str) -> Mask:
    """The mask itself, or that of a name with its usual settings.

    Raises:
        LinearMergerError: for a name that is none.
    """
    if not isinstance(mask, str):
        return mask
    if mask not in MASKS:
        raise LinearMergerError(f"mask: {unknown('mask', mask, MASKS)}")
    return MASKS[mask]()


def _with_zeros(mask: Tensor) -> Pattern:
    return Pattern(mask, torch.zeros(mask.shape))


def _drawn(seed: int, purpose: int, name: str, shape: tuple[int, int]) -> Tensor:
    """Whole numbers in [0, 2**32), each equally likely: ``shape``, float64."""
    key = noise_key(seed, purpose, name)
    return torch.from_numpy(draws(key, 0, shape[0] * shape[1]).astype("float64")).reshape(shape)
