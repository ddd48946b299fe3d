"""Several models on disk that are brought to each other: see `evomerge.alignment.together`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from evomerge.aligners.base import Alignment, judged
from evomerge.aligners.pairs import pair_of
from evomerge.alignment.biases import comparable
from evomerge.alignment.elements import Element, identity
from evomerge.alignment.fit import Fit, fits
from evomerge.alignment.layout import GROUPS, Layout
from evomerge.alignment.matching import Read, Side
from evomerge.alignment.together import align_together, mean_of
from evomerge.checkpoint.source import Source
from evomerge.errors import AlignmentError

FEWEST = 2


def align_sources_together(
    sources: Sequence[Source], groups: Collection[str] = GROUPS, *, seed: int = 0
) -> list[Alignment]:
    """Finds what brings models to each other, by weight matching. The first stays as it is.

    What each gains is how near it comes to the mean of the others. Writes nothing.

    Args:
        sources: two models or more, of one family and size.
        groups: what may be moved, of `GROUPS`.
        seed: of the order in which models and their groups are visited.

    Raises:
        AlignmentError: there are fewer than two, or they are not of one family and size, or hold
            NaN or infinity.
        CheckpointError: a config.json does not say enough.
    """
    if len(sources) < FEWEST:
        raise AlignmentError(f"models: found {len(sources)}; expected two or more")
    layout, reads = _common(sources)
    asked = layout.only(groups)
    elements = align_together(asked, reads, seed=seed)
    found = [
        judged(asked, reads[0], read, element)
        for read, element in zip(reads, elements, strict=True)
    ]
    # The first stays in any case: it is their sibling if they are its.
    found[0] = replace(found[0], siblings=all(each.siblings for each in found[1:]))
    moved = [each.element for each in found]
    told = [tuple(_told(asked, reads, moved, number)) for number in range(len(reads))]
    return [replace(each, fits=fits) for each, fits in zip(found, told, strict=True)]


def _common(sources: Sequence[Source]) -> tuple[Layout, list[Read]]:
    """The layout of all models by the names of the first, and what reads each by these names."""
    pairs = [pair_of(sources[0], other) for other in sources[1:]]
    for pair in pairs:
        if pair.narrower:
            raise AlignmentError(f"{pair.narrower}; only models of one size come together")
    layout = pairs[0].layout
    names = set(layout.tensors).intersection(*(pair.layout.tensors for pair in pairs))
    layout = replace(layout, tensors={n: a for n, a in layout.tensors.items() if n in names})
    reads = [pairs[0].source, *(pair.anchor for pair in pairs)]
    return layout, [comparable(layout, read) for read in reads]


def _told(
    layout: Layout, reads: Sequence[Read], elements: Sequence[Element], number: int
) -> Iterator[Fit]:
    """How near a model stands to the mean of the others, as they are and as all are moved."""
    models = [Side(layout, read, {}) for read in reads]
    still = identity(layout)
    as_is = mean_of(layout, [(model, still) for model in models], without=number)
    moved = mean_of(layout, [*zip(models, elements, strict=True)], without=number)
    element = {**still, **elements[number]}
    before = fits(layout, as_is, reads[number], still)
    after = fits(layout, moved, reads[number], element)
    for first, then in zip(before, after, strict=True):
        yield replace(then, before=first.before)
