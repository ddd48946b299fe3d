"""Which elements of a task vector survive, decided for a whole tensor and applied block by block.

Elements are ordered by magnitude, largest first, and those of equal magnitude by position. So a
rank names one element, and a cut at a rank is a magnitude with a position: of the elements that
have just this magnitude, those before the position stand above the cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# No element reaches this magnitude: its bits are above those of NaN.
NOTHING_ABOVE = 0x7FFFFFFF
NO_POSITION = 0
EVERY_POSITION = 1 << 62


@dataclass(frozen=True)
class Cuts:
    """A cut for each model and group of rows; an element is above it or not.

    Attributes:
        bits: ``(models, groups)``, magnitudes as the bits of a non-negative float32.
        positions: ``(models, groups)``, flat positions. Elements of magnitude ``bits`` before
            the position count as above.
    """

    bits: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Window:
    """Keeps what is above ``low`` and not above ``high``: magnitude trimming, outlier removal.

    Attributes:
        low: the cut below which elements are too small.
        high: the cut above which elements are outliers.
    """

    low: Cuts
    high: Cuts


@dataclass(frozen=True)
class Chance:
    """Keeps an element with a probability, by addressed noise; nested in the density.

    Attributes:
        thresholds: ``(models,)``: kept where the 32-bit draw is smaller. ``2**32`` keeps all.
    """

    thresholds: npt.NDArray[np.int64]

    @classmethod
    def of(cls, densities: tuple[float, ...]) -> Chance:
        """Keeps each element of model i with probability ``densities[i]``, in [0, 1]."""
        clipped = np.clip(np.asarray(densities, np.float64), 0.0, 1.0)
        return cls(np.rint(clipped * 2.0**32).astype(np.int64))


@dataclass(frozen=True)
class Kept:
    """Keeps the elements whose bit is set.

    Attributes:
        bits: ``(models, rows, bytes)``, uint8, for all rows of the tensor; each row is packed on
            its own, the first element in the highest bit, as ``numpy.packbits`` does.
    """

    bits: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Ranked:
    """Keeps an element with a chance that depends on its rank in its row, and gains by it.

    Attributes:
        thresholds: ``(models, columns)``: by ascending rank of magnitude, kept where the 32-bit
            draw is smaller.
        gains: ``(models, columns)``: by rank, what a kept element is multiplied with.
    """

    thresholds: npt.NDArray[np.int64]
    gains: npt.NDArray[np.float64]


Thinning = Window | Chance | Kept | Ranked | None


def everything(models: int) -> Cuts:
    """The cut that all elements are above."""
    return Cuts(np.zeros((models, 1), np.int64), np.full((models, 1), EVERY_POSITION, np.int64))


def nothing(models: int) -> Cuts:
    """The cut that no element is above."""
    return Cuts(
        np.full((models, 1), NOTHING_ABOVE, np.int64), np.full((models, 1), NO_POSITION, np.int64)
    )
