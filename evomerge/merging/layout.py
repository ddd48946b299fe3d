"""Which tensors the output has, in order, and the tensors of the models that each is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evomerge.families import Part
from evomerge.merging.models import Models
from evomerge.recipe import ModelReference, OutputSlice, Settings


@dataclass(frozen=True)
class Place:
    """One output tensor and where it comes from.

    Attributes:
        name: of the output tensor.
        slice: the slice of the recipe it belongs to.
        t: where it stands in a gradient, in [0, 1].
        found: for each source of the slice, its model, its own settings, and what it calls the
            tensor; None where it has none.
    """

    name: str
    slice: OutputSlice
    t: float
    found: Sequence[tuple[ModelReference, Settings, str | None]]


def output_tensors(models: Models, slices: Sequence[OutputSlice]) -> Iterator[Place]:
    """All tensors of the output: before the layers, layer by layer, behind the layers.

    What stands before the layers follows the first slice, what stands behind them the last. A head
    is written if a model of either has one: only if both are tied is the output.
    """
    tables = models.tables
    root = models.donor.root
    yield from _outside(models, slices[0], "before")
    number = 0
    for part in slices:
        for position in range(len(part)):
            t = part.position(position)
            rows = {
                source.model: tables[source.model].get(source.layers[position], {})
                for source in part.sources
            }
            for generic in _union([rows[source.model] for source in part.sources]):
                found = [(s.model, s.settings, rows[s.model].get(generic)) for s in part.sources]
                yield Place(root + models.family.numbered(generic, number), part, t, found)
            number += 1
    ends = [*slices[0].sources, *slices[-1].sources]
    lend = any(models.by_reference[source.model].head for source in ends)
    yield from _outside(models, slices[-1], "after", lend=lend)


def _outside(
    models: Models, part: OutputSlice, which: Part, *, lend: bool = False
) -> Iterator[Place]:
    """Tensors outside the layers; where asked, tied models lend their embedding as a head."""
    tables = models.tables
    rows = {source.model: dict(tables[source.model].get(which, {})) for source in part.sources}
    head = models.family.head
    if lend:
        for reference, row in rows.items():
            embedding = models.by_reference[reference].embedding
            if head not in row and embedding is not None:
                row[head] = embedding
    for generic in _union([rows[source.model] for source in part.sources]):
        found = [(s.model, s.settings, rows[s.model].get(generic)) for s in part.sources]
        yield Place(generic if generic == head else models.donor.root + generic, part, 0.0, found)


def _union(rows: Sequence[Mapping[str, str]]) -> Sequence[str]:
    """Every generic name that one of the models has, in the order of the first that has it."""
    return tuple(dict.fromkeys(name for row in rows for name in row))
