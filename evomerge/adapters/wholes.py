"""Biases, and modules that were trained as a whole: averaged as weights.

Such a tensor has as many directions as numbers, and no gauge; so its changes are vectors, and
their mean is the plain one. An adapter that does not train it has the base's.
"""

from __future__ import annotations

from collections.abc import Iterator

from evomerge.adapters.adapter import blocks
from evomerge.adapters.sources import Sources, Whole
from evomerge.adapters.updates import Floats


def averaged(
    sources: Sources, whole: Whole, weights: Floats, scale: float
) -> Iterator[tuple[int, Floats]]:
    """The base, and ``scale`` times the mean of how the adapters differ from it.

    Args:
        sources: base and adapters.
        whole: which tensor.
        weights: ``(adapters,)``, which sum to 1.
        scale: 1 gives the mean itself.

    Yields:
        How many elements stand before a block, and the block.

    Raises:
        MergeError: an adapter holds NaN or infinity.
    """
    for rows in blocks(whole.shape):
        start = sources.base.load(whole.source, rows).astype(float)
        found = start.copy()
        for adapter, weight in zip(sources.adapters, weights, strict=True):
            found += scale * weight * (adapter.whole(whole.name, start, rows) - start)
        yield rows.start * (start.size // len(start)), found
