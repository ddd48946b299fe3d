"""Two models on disk, of which one is to be brought to the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from evomerge.aligners.base import Alignment, Pair, Settings, align
from evomerge.alignment.declared import layout_of
from evomerge.alignment.layout import Group, HeadGroup, Layout, UnitGroup
from evomerge.alignment.matching import Floats, Read, finite
from evomerge.alignment.moving import moved, moved_shape
from evomerge.alignment.on_disk import layout_of_source
from evomerge.alignment.widening import padding, widened
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
    """Two models that can be aligned, one of which may be narrower. Reads headers, no weights.

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
    layout, wide = layout_of_source(source), layout_of_source(anchor)
    narrower = _check_sizes(source, layout, anchor, wide)
    pads = padding(layout, wide)
    shapes = {
        name: moved_shape(source.info(name).shape, layout.tensors.get(name, ()), pads)
        for name in source.names()
    }
    padded = layout_of(widened(source.config, layout, pads), shapes, source.label)
    # A head may be tied in one model and not in the other.
    names = {families[1].bare(name): name for name in anchor.names()}
    common = {n: axes for n, axes in padded.tensors.items() if families[0].bare(n) in names}
    for name in common:
        _check_shape(name, shapes[name], source, anchor, names[families[0].bare(name)])
    still, read = _reader(anchor, families[0], names), _reader(source, families[0], {})

    def wide_read(name: str) -> Floats:
        wider: Floats = moved(read(name), layout.tensors[name], pads)
        return wider

    free = wide_read if pads else read
    laid = replace(padded, tensors=common)
    return Pair(laid, still, free, (anchor, source), pads, narrower)


def _check_sizes(source: Source, mine: Layout, anchor: Source, other: Layout) -> str:
    """How much narrower the source is, in words; empty if it is not."""
    layers = [sum(name.startswith("heads.") for name in each.groups) for each in (mine, other)]
    if layers[0] != layers[1]:
        raise AlignmentError(
            f"{source.label}: has {layers[0]} layers, {anchor.label} {layers[1]}; "
            "only models of one depth are aligned"
        )
    narrower = ""
    for name, group in mine.groups.items():
        if group != (than := other.groups[name]):
            said = f"{source.label}: {name}: has {_said(group)}, {anchor.label} {_said(than)}"
            if not isinstance(group, UnitGroup) or not isinstance(than, UnitGroup):
                raise AlignmentError(f"{said}; only models of one size are aligned")
            if not group.widens:
                raise AlignmentError(f"{said}; no zeros can be added there to such models")
            if group.size > than.size:
                raise AlignmentError(f"{said}; align the narrower model to the wider one")
            narrower = narrower or said
    return narrower


def _said(group: Group) -> str:
    if isinstance(group, HeadGroup):
        turned = f"{group.rotary} of {group.width} numbers turned"
        return f"{group.heads} query heads in {group.groups} groups ({turned})"
    return f"{group.size} units"


def _check_shape(
    name: str, mine: tuple[int, ...], source: Source, anchor: Source, other: str
) -> None:
    theirs = anchor.info(other).shape
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
