"""A model in memory, about to be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from evomerge.checkpoint.source import Source
from evomerge.errors import MergeError
from evomerge.evaluators.loading import load_weights, quiet
from evomerge.families import Family, family_of
from evomerge.measurements.stages import layers_of


@dataclass(frozen=True)
class Subject:
    """A model in memory, about to be measured.

    Attributes:
        model: in float32.
        names: what a parameter in memory is called on disk, where it is the same tensor.
        family: of the model.
        label: what messages call it.
    """

    model: Any
    names: Mapping[str, str]
    family: Family
    label: str

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return next(self.model.parameters()).device

    def on_disk(self, module: str, part: str) -> str | None:
        """The name on disk of a module's ``weight`` or ``bias``."""
        return self.names.get(f"{module}.{part}")

    def layers(self) -> tuple[str, Sequence[nn.Module]]:
        """The name of the list of layers, and the layers.

        Raises:
            MergeError: transformers has no such list.
        """
        places = (f"{root}{self.family.layers}".rstrip(".") for root in self.family.roots)
        found = layers_of(self.model, places)
        if found is None:
            raise MergeError(f"{self.label}: transformers' model has no list of layers")
        return found


def subject_of(source: Source, device: str) -> Subject:
    """Loads a model, with its adapter if it has one.

    Raises:
        EvomergeError: the model cannot be read.
    """
    with quiet():
        model: Any = load_weights(source.folder, device=device, dtype="float32")
    tied = bool(getattr(model.config, "tie_word_embeddings", False))
    if tied and source.config.get("tie_word_embeddings") is False:
        raise MergeError(
            f"{source.label}: its adapter unties the head from the embedding; merge the adapter "
            "into its model first"
        )
    family = family_of(source.config, source.names(), source.label)
    bare = {family.bare(name): name for name in source.names()}
    head = getattr(model.get_output_embeddings(), "weight", None)
    names: dict[str, str] = {}
    for name, parameter in model.named_parameters():
        # Some heads have another name in memory.
        found = bare.get(family.head if parameter is head and not tied else family.bare(name))
        if found is not None and source.info(found).shape == tuple(parameter.shape):
            names[name] = found
            _copy(source, found, parameter)
    return Subject(model, names, family, source.label)


def _copy(source: Source, name: str, parameter: Tensor) -> None:
    """Gives a parameter the source's numbers: those of the folder, or what an adapter made."""
    array = source.load(name).astype("float32")
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(array))
