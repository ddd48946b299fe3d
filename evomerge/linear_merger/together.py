"""Several networks brought to each other, with none of them as the anchor."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from evomerge.alignment import together
from evomerge.errors import LinearMergerError
from evomerge.linear_merger.aligning import applied, layout_of, reader


def align_together(networks: Sequence[nn.Module], *, seed: int = 0) -> list[nn.Module]:
    """Copies of ``networks`` that compute the same, their hidden units in an order for all.

    Each in turn is brought to the mean of the others, until none comes nearer: see
    `evomerge.alignment.together`. The first stays as it is.

    Args:
        networks: plain networks of one size, two or more.
        seed: of the order in which networks and their layers are visited.

    Raises:
        LinearMergerError: for fewer than two networks, and for some that are not plain, or not
            alike.
    """
    if len(networks) < 2:  # noqa: PLR2004
        raise LinearMergerError(f"networks: found {len(networks)}; expected two or more")
    layout = layout_of(networks)
    elements = together.align_together(layout, [*map(reader, networks)], seed=seed)
    pairs = zip(networks, elements, strict=True)
    return [applied(network, layout, element) for network, element in pairs]
