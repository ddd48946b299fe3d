"""Randomness with an address: the same element of the same tensor draws the same number everywhere.

The address is (seed, index of the model, name of the output tensor, flat index of the element).
A keyed 32-bit integer hash turns it into bits, so a mask does not depend on the device, the block
size, the number of threads, or the order in which tensors are merged.

Two rounds of the `lowbias32` finalizer [1], each under a key of its own.

[1] C. Wellons. Prospecting for hash functions. 2018. https://nullprogram.com/blog/2018/07/31/
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import numpy.typing as npt

# Multipliers of lowbias32 [1]; the third is the golden ratio in 32 bits, which spreads the
# high half of indices beyond 2**32.
FIRST = 0x7FEB352D
SECOND = 0x846CA68B
GOLDEN = 0x9E3779B9
# One more than the largest draw: `draw < density * DRAWS` happens with probability `density`.
DRAWS = 1 << 32

Key = tuple[int, int]


def noise_key(seed: int, model: int, tensor: str) -> Key:
    """The two 32-bit keys of one model's share in one output tensor."""
    digest = blake2b(f"{seed}\n{model}\n{tensor}".encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def draws(key: Key, start: int, count: int) -> npt.NDArray[np.uint32]:
    """The draws of ``count`` consecutive elements from flat index ``start``: ``(count,)``, uint32.

    This is the definition; the kernels compute the same bits faster.
    """
    index = np.arange(start, start + count, dtype=np.uint64)
    low = (index & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    high = (index >> np.uint64(32)).astype(np.uint32)
    inner = _scramble(low ^ np.uint32(key[0]))
    return _scramble(inner ^ np.uint32(key[1]) ^ (high * np.uint32(GOLDEN)))


def _scramble(bits: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    bits = (bits ^ (bits >> np.uint32(16))) * np.uint32(FIRST)
    bits = (bits ^ (bits >> np.uint32(15))) * np.uint32(SECOND)
    return bits ^ (bits >> np.uint32(16))
