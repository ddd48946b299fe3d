"""The check of an alignment before anything is written: on the model in memory."""

from __future__ import annotations

import torch

from evomerge.alignment.checking import check_same, logits_of
from evomerge.alignment.elements import Element
from evomerge.alignment.moving import moved
from evomerge.alignment.on_disk import layout_of_source
from evomerge.checkpoint.source import Source
from evomerge.dtypes import FLOAT32
from evomerge.measurements.subject import subject_of


def change_of(source: Source, element: Element) -> float:
    """How much the logits of a probe batch change, relative to their norm.

    It takes the memory of one model in float32.

    Raises:
        AlignmentError: it is more than rounding.
        EvomergeError: the model cannot be loaded.
    """
    if not element:
        return 0.0
    subject = subject_of(source, "cpu")
    model, axes = subject.model.eval(), layout_of_source(source).tensors
    before = logits_of(model)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, stored in subject.names.items():
            if any(axes.get(stored, ())):
                array = source.load(stored).astype(FLOAT32, copy=False)
                tensor = moved(array, axes[stored], element)
                parameters[name].copy_(torch.from_numpy(tensor.copy()))
    return check_same(before, logits_of(model), source.label)
