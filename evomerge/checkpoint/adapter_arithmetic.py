"""Low-rank updates and DoRA lengths in float32, the same bits whatever rows are asked for.

A matrix product can differ in its last bit between calls of different sizes, because the
library's kernels do. So every product here has the same number of rows: a block is cut into
tiles, and the last tile is filled up with zeros.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# A multiple of the rows that any BLAS kernel takes at a time, few enough to stay in the cache.
TILE_ROWS = 64


def add_product(block: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Adds ``left @ right`` to a block.

    Args:
        block: ``(rows, columns)``, float32; changed in place.
        left: ``(rows, rank)``, float32.
        right: ``(rank, columns)``, float32 and contiguous.
    """
    padded = np.zeros((TILE_ROWS, left.shape[1]), np.float32)
    product = np.empty((TILE_ROWS, right.shape[1]), np.float32)
    for tile in tiles(len(block)):
        count = len(block[tile])
        padded[:count] = left[tile]
        np.matmul(padded, right, out=product)
        block[tile] += product[:count]


def scale_rows(block: np.ndarray, lengths: np.ndarray) -> None:
    """Brings every row to its length.

    Args:
        block: ``(rows, columns)``, float32; changed in place.
        lengths: ``(rows,)``.
    """
    for tile in tiles(len(block)):
        norms = np.sqrt(_squares(block[tile]).sum(axis=1))
        block[tile] *= _ratio(lengths[tile], norms)[:, None]


def scale_columns(block: np.ndarray, lengths: np.ndarray, norms: np.ndarray) -> None:
    """Brings every column to its length.

    Args:
        block: ``(rows, columns)`` of a larger matrix, float32; changed in place.
        lengths: ``(columns,)``.
        norms: ``(columns,)``, the present lengths of the whole matrix's columns.
    """
    block *= _ratio(lengths, norms)


def column_norms(tiles_of_matrix: Iterator[np.ndarray]) -> np.ndarray:
    """The lengths of a matrix's columns: ``(columns,)``, float64.

    Args:
        tiles_of_matrix: its rows from the first to the last, always cut in the same way.
    """
    return np.sqrt(sum(_squares(tile).sum(axis=0) for tile in tiles_of_matrix))


def tiles(rows: int) -> Iterator[slice]:
    """The tiles of a block with so many rows."""
    return (slice(start, start + TILE_ROWS) for start in range(0, rows, TILE_ROWS))


def _squares(block: np.ndarray) -> np.ndarray:
    return np.square(block, dtype=np.float64)


def _ratio(lengths: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """What to multiply by. A row of zeros has no direction, and becomes NaN, as in PEFT."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (lengths / norms).astype(np.float32)
