"""The sums that most merges are, with the loop over the models unrolled.

The number of models is part of the types that a kernel is compiled for, so that a result stays in
registers from the first input to the last: three times as fast as lanes that are written and read
again, for as many compilations as there are numbers of models. The arithmetic is that of ``loops``,
step by step, which serves all other cases.
"""

from __future__ import annotations

import numpy as np

from evomerge.kernels.block import NDArray
from evomerge.kernels.lanes import draw, element, magnitude, narrow, offset_word, widen
from evomerge.kernels.loops import compiled

# Compiling takes longer, and gains less, the more models there are.
MOST = 6

Addresses = tuple[np.uint64, ...]
Numbers = tuple[np.float32, ...]


@compiled()
def weights(addresses: Addresses, like: NDArray, shares: Numbers, out: NDArray) -> None:
    """``sum(share * input)``."""
    for j in range(out.size):
        total = np.float32(-0.0)
        for model in range(len(addresses)):
            total += shares[model] * widen(element(addresses[model], j, like))
        out[j] = narrow(total, out)


@compiled()
def task_vectors(
    addresses: Addresses, base: np.uint64, like: NDArray, shares: Numbers, out: NDArray
) -> None:
    """``base + sum(share * (input - base))``."""
    for j in range(out.size):
        start = widen(element(base, j, like))
        total = np.float32(-0.0)
        for model in range(len(addresses)):
            total += shares[model] * (widen(element(addresses[model], j, like)) - start)
        out[j] = narrow(start + total, out)
