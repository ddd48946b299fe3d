"""Stacks that have a name: each model as it is, and the anchor scaled up in depth [1].

[1] D. Kim et al. SOLAR 10.7B: scaling large language models with simple yet effective depth
    up-scaling. NAACL 2024. https://arxiv.org/abs/2312.15166
"""

from __future__ import annotations

from collections.abc import Iterator

from evomerge.stacks.ground import Ground
from evomerge.stacks.hops import Stack, block, intact
from evomerge.template.fillable import Fillable
from evomerge.trial import Point

# Of its layers, the share that each of the two copies loses at the seam: 8 of 32 in [1].
DROPPED = 4


def stacked_corners(template: Fillable) -> Iterator[tuple[str, Point]]:
    """The points of these stacks, as far as the template has them; none if it has no stack."""
    if len(template.codes) != 1:
        return
    (code,) = template.codes
    for label, stack in _named(code.ground):
        point = code.encode(stack)
        if point is not None:
            yield label, template.at(point)


def _named(ground: Ground) -> Iterator[tuple[str, Stack]]:
    """Another model has the anchor's kept ends, and what is outside the layers, as they all do."""
    for alias, source in ground.sources.items():
        if alias == ground.anchor:
            yield f"only {alias}", intact(source.reference, source.layers)
        else:
            yield f"layers of {alias}", ground.whole(ground.between(alias))
    anchor = ground.sources[ground.anchor]
    dropped = anchor.layers // DROPPED
    first = block(anchor.reference, 0, anchor.layers - dropped)
    yield "depth up-scaled", first + block(anchor.reference, dropped, anchor.layers)
