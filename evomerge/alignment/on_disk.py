"""The layout of a model on disk."""

from __future__ import annotations

from evomerge.alignment.declared import layout_of
from evomerge.alignment.layout import Layout
from evomerge.checkpoint.quantised import quantisation_of
from evomerge.checkpoint.source import Source
from evomerge.errors import AlignmentError


def layout_of_source(source: Source) -> Layout:
    """Where the units of each group stand in a model on disk.

    Raises:
        AlignmentError: the family has no declaration, a tensor is not in it, or it is quantised.
        CheckpointError: config.json does not say enough.
    """
    if (how := quantisation_of(source.config)) is not None:
        raise AlignmentError(
            f"{source.label}: is quantised ({how}); align the model that it was made from"
        )
    shapes = {name: source.info(name).shape for name in source.names()}
    return layout_of(source.config, shapes, source.label)
