"""The check of an alignment before anything is written: on the model in memory."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from transformers import PreTrainedModel

from evomerge.alignment.checking import changed_share, check_same, logits_of
from evomerge.alignment.elements import Element, is_symmetry
from evomerge.alignment.moving import moved
from evomerge.alignment.on_disk import layout_of_source
from evomerge.alignment.widening import widened
from evomerge.checkpoint.source import Source
from evomerge.dtypes import FLOAT32
from evomerge.measurements.subject import subject_of


def change_of(source: Source, element: Element) -> float:
    """How much the logits of a probe batch change, relative to their norm.

    It takes the memory of one model in float32, and of a second where it becomes wider.

    Raises:
        AlignmentError: it is more than rounding, though no units are mixed.
        EvomergeError: the model cannot be loaded.
    """
    if not element:
        return 0.0
    subject = subject_of(source, "cpu")
    model, layout = subject.model.eval(), layout_of_source(source)
    before = logits_of(model)
    wider = _wider(model, widened(source.config, layout, element), source)
    parameters = dict(wider.named_parameters())
    with torch.no_grad():
        for name, stored in subject.names.items():
            axes = layout.tensors.get(stored, ())
            if wider is not model or any(axes):
                tensor = moved(source.load(stored).astype(FLOAT32, copy=False), axes, element)
                parameters[name].copy_(torch.from_numpy(tensor.copy()))
    after = logits_of(wider)
    if not is_symmetry(element):
        return changed_share(before, after)
    return check_same(before, after, source.label)


def _wider(model: PreTrainedModel, config: Mapping[str, object], source: Source) -> PreTrainedModel:
    """A model of other widths, or the same one if they are the same."""
    changed = {key: value for key, value in config.items() if source.config.get(key) != value}
    if not changed:
        return model
    make = type(model.config).from_dict({**model.config.to_dict(), **changed})
    return type(model)(make).eval()
