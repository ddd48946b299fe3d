"""Do two models know the same things? Their units, compared by what they do on one text [1].

The models stand side by side; what their units do is held for one place of the network at a time.

[1] Y. Li, J. Yosinski, J. Clune, H. Lipson, J. Hopcroft. Convergent learning: do different neural
    networks learn the same representations? ICLR 2016. https://arxiv.org/abs/1511.07543
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from evomerge.alignment.layout import Group, HeadGroup, Layout, UnitGroup, kind_of
from evomerge.alignment.on_disk import layout_of_source
from evomerge.checkpoint.source import Source
from evomerge.errors import AlignmentError, VocabularyError
from evomerge.evaluators.base import Tick, no_tick
from evomerge.families import family_of
from evomerge.inspection.clusters import Clusters, clusters
from evomerge.inspection.correlation import correlations, head_likeness, standardised
from evomerge.inspection.lasso import Sparse, sparse_maps
from evomerge.inspection.partners import Partners, partners
from evomerge.measurements.probe import probe_tokens
from evomerge.measurements.units import RESIDUAL, unit_activations
from evomerge.recipe.data import Data

Floats = NDArray[np.floating]

# The share of texts on which sparse maps are judged.
HELD_OUT = 1 / 4


@dataclass(frozen=True)
class Place:
    """One place of the network, in both models.

    Attributes:
        kind: ``residual``, ``heads`` or ``neurons``.
        layer: which they are of, or stand behind; None behind the embeddings.
        units: how many each model has.
        partners: which unit goes with which.
        of_mixes: the mean correlation of a one-to-one matching with random mixes of the second
            model's units, in their place: what its space alone gives, whatever its units are.
        clusters: which match many to many.
        maps: from units of the first model to those of the second; none for heads, whose numbers
            mean something only together.
    """

    kind: str
    layer: int | None
    units: tuple[int, int]
    partners: Partners
    of_mixes: float
    clusters: Clusters
    maps: tuple[Sparse, ...]

    @property
    def title(self) -> str:
        """What people call it."""
        if self.kind == RESIDUAL:
            return "behind embeddings" if self.layer is None else f"behind layer {self.layer}"
        return f"{self.kind} of layer {self.layer}"


@dataclass(frozen=True)
class Convergence:
    """Two models side by side.

    Attributes:
        first: what the one is called.
        second: what the other is called.
        tokens: that they have read.
        held_out: those of them, the last, on which sparse maps are judged.
        places: in the order of the network.
    """

    first: str
    second: str
    tokens: int
    held_out: int
    places: tuple[Place, ...]


def convergence(
    first: Source, second: Source, data: Data, *, device: str = "cpu", tick: Tick = no_tick
) -> Convergence:
    """Compares the units of two models.

    Args:
        first: the one; its widths may differ from those of the other.
        second: the other.
        data: what they read.
        device: where they run.
        tick: called before each place.

    Raises:
        AlignmentError: they are not of one family and depth, or their family is not declared.
        VocabularyError: they read the text as different tokens.
        MergeError: the text cannot be read or is too short, or what units do is not finite.
        CheckpointError: a model cannot be read.
    """
    layouts = _layouts(first, second)
    probe = _probe(first, second, data)
    texts, length = probe.shape
    seen = (texts - max(1, int(texts * HELD_OUT))) * length
    streams = (
        unit_activations(model, probe, layout.readers(), device)
        for model, layout in zip((first, second), layouts, strict=True)
    )
    places = []
    layers: Iterator[int | None] = iter([None, *range(_depth(layouts[0]))])
    for (name, ours), (_, theirs) in zip(*streams, strict=True):
        tick()
        layer = next(layers) if name == RESIDUAL else int(name.partition(".")[2])
        groups = layouts[0].groups[name], layouts[1].groups[name]
        places.append(_compared(kind_of(name), layer, groups, (ours, theirs), seen))
    return Convergence(
        first.label, second.label, probe.numel(), probe.numel() - seen, tuple(places)
    )


def _compared(
    kind: str,
    layer: int | None,
    groups: tuple[Group, Group],
    activations: tuple[Floats, Floats],
    seen: int,
) -> Place:
    one, other = activations
    alike = _alike(groups, one, other)
    random = np.random.default_rng(0).standard_normal((other.shape[1],) * 2, other.dtype)
    mixed = _alike(groups, one, standardised(other) @ random)
    maps = () if kind == "heads" else sparse_maps(one, other, seen)
    rows, columns = alike.shape
    found = partners(alike)
    of_mixes = partners(mixed).one_to_one
    return Place(kind, layer, (rows, columns), found, of_mixes, clusters(alike), maps)


def _alike(groups: tuple[Group, Group], first: Floats, second: Floats) -> Floats:
    """How alike units are, by what may be done to them without changing what models compute."""
    ours, theirs = groups
    if isinstance(ours, HeadGroup) and isinstance(theirs, HeadGroup):
        return head_likeness(first, second, (ours.heads, theirs.heads))
    return correlations(first, second, signed=not (isinstance(ours, UnitGroup) and ours.signed))


def _layouts(first: Source, second: Source) -> tuple[Layout, Layout]:
    names = [family_of(each.config, each.names(), each.label).name for each in (first, second)]
    if names[0] != names[1]:
        raise AlignmentError(
            f"{second.label}: is {names[1]}, {first.label} is {names[0]}; only units of one family "
            "are compared"
        )
    ours, theirs = layout_of_source(first), layout_of_source(second)
    if _depth(ours) != _depth(theirs):
        raise AlignmentError(
            f"{second.label}: has {_depth(theirs)} layers, {first.label} {_depth(ours)}; units are "
            "compared layer by layer, so give models of one depth"
        )
    return ours, theirs


def _depth(layout: Layout) -> int:
    return sum(kind_of(name) == "neurons" for name in layout.groups)


def _probe(first: Source, second: Source, data: Data) -> Tensor:
    """What both read, in texts that are short enough for both."""
    ours, theirs = probe_tokens(first, data), probe_tokens(second, data)
    common = min(ours.numel(), theirs.numel())
    if not bool((ours.flatten()[:common] == theirs.flatten()[:common]).all()):
        raise VocabularyError(
            f"{second.label}: reads the text as other tokens than {first.label}; units are "
            "compared token by token, so give models with one tokenizer"
        )
    return min(ours, theirs, key=lambda each: each.shape[1])
