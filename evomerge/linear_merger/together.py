"""Several networks brought to each other, with none of them as the anchor.

Each in turn is brought to the mean of the others, until none comes nearer ([1], algorithm 3).

[1] S. K. Ainsworth, J. Hayase, S. Srinivasa. Git Re-Basin: merging models modulo permutation
    symmetries. ICLR 2023. https://arxiv.org/abs/2209.04836
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from torch import nn

from evomerge.errors import LinearMergerError
from evomerge.linear_merger.anchor import align_to_anchor
from evomerge.linear_merger.averaging import average

# A network is left alone unless it comes nearer by this share: what is less is rounding.
GAIN = 1e-9


def align_together(networks: Sequence[nn.Module], *, seed: int = 0) -> list[nn.Module]:
    """Copies of ``networks`` that compute the same, their hidden units in an order for all.

    Args:
        networks: plain networks of one size, two or more.
        seed: of the order in which networks and their layers are visited.

    Raises:
        LinearMergerError: for fewer than two networks, and for some that are not plain, or not
            alike.
    """
    if len(networks) < 2:  # noqa: PLR2004
        raise LinearMergerError(f"networks: found {len(networks)}; expected two or more")
    aligned = align_to_anchor(networks, networks[0], seed=seed)
    random = Random(seed)
    moving = True
    while moving:
        moving = False
        for number in random.sample(range(len(aligned)), len(aligned)):
            others = average([*aligned[:number], *aligned[number + 1 :]])
            (found,) = align_to_anchor([aligned[number]], others, seed=seed)
            before, after = (_nearness(each, others) for each in (aligned[number], found))
            if after - before > GAIN * abs(after):
                aligned[number], moving = found, True
    return aligned


def _nearness(network: nn.Module, other: nn.Module) -> float:
    """The inner product of the parameters of two networks."""
    pairs = zip(network.parameters(), other.parameters(), strict=True)
    return sum(float((a.detach().double() * b.detach().double()).sum()) for a, b in pairs)
