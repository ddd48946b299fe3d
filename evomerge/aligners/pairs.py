"""Two models on disk, of which one is to be brought to the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from evomerge.aligners.base import Alignment, Pair, Settings, align
from evomerge.alignment.layout import Group, HeadGroup, Layout
from evomerge.alignment.matching import Floats, Read, finite
from evomerge.alignment.on_disk import layout_of_source
from evomerge.checkpoint.source import Source
from evomerge.dtypes import FLOAT32, FLOAT64
from evomerge.errors import AlignmentError
from evomerge.families import Family, family_of


def align_sources(source: Source, anchor: Source, settings: Settings) -> Alignment:
    """Finds what brings a model to an anchor. Writes nothing.

    Raises:
        AlignmentError: as `pair_of`; or the models hold NaN or infinity.
        CheckpointError: a config.json does not say enough.
    """
    return align(pair_of(source, anchor), settings)


def pair_of(source: Source, anchor: Source) -> Pair:
    """Two models that can be aligned. Reads headers, no weights.

    Raises:
        AlignmentError: a family has no declaration, or the models are not of one family and size.
        CheckpointError: a config.json does not say enough.
    """
    families = [family_of(each.config, each.names(), each.label) for each in (source, anchor)]
    if families[0].name != families[1].name:
        raise AlignmentError(
            f"{source.label}: is {families[0].name}, {anchor.label} is {families[1].name}; "
            "only models of one family are aligned"
        )
    layout = layout_of_source(source)
    _check_sizes(source, layout, anchor, layout_of_source(anchor))
    # A head may be tied in one model and not in the other.
    names = {families[1].bare(name): name for name in anchor.names()}
    common = {n: axes for n, axes in layout.tensors.items() if families[0].bare(n) in names}
    for name in common:
        _check_shape(name, source, anchor, names[families[0].bare(name)])
    reads = _reader(anchor, families[0], names), _reader(source, families[0], {})
    return Pair(replace(layout, tensors=common), *reads, (anchor, source))


def _check_sizes(source: Source, mine: Layout, anchor: Source, other: Layout) -> None:
    layers = [sum(name.startswith("heads.") for name in each.groups) for each in (mine, other)]
    if layers[0] != layers[1]:
        raise AlignmentError(
            f"{source.label}: has {layers[0]} layers, {anchor.label} {layers[1]}; "
            "only models of one depth are aligned"
        )
    for name, group in mine.groups.items():
        if group != other.groups[name]:
            raise AlignmentError(
                f"{source.label}: {name}: has {_said(group)}, {anchor.label} "
                f"{_said(other.groups[name])}; only models of one size are aligned"
            )


def _said(group: Group) -> str:
    if isinstance(group, HeadGroup):
        turned = f"{group.rotary} of {group.width} numbers turned"
        return f"{group.heads} query heads in {group.groups} groups ({turned})"
    return f"{group.size} units"


def _check_shape(name: str, source: Source, anchor: Source, other: str) -> None:
    mine, theirs = source.info(name).shape, anchor.info(other).shape
    if mine != theirs:
        raise AlignmentError(
            f"{source.label}: {name}: has shape {mine}, in {anchor.label} {theirs}; "
            "align models of one vocabulary and one number of positions"
        )


def _reader(model: Source, family: Family, names: Mapping[str, str]) -> Read:
    """Reads tensors in float32, or in float64 where they are that; by ``names`` of bare ones."""

    def read(name: str) -> Floats:
        tensor = model.load(names.get(family.bare(name), name))
        wide: Floats = tensor.astype(FLOAT64 if tensor.dtype == np.float64 else FLOAT32, copy=False)
        return finite(wide, f"{model.label}: {name}")

    return read
