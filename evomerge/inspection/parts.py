"""The layers of a model in memory, and the two parts of each that write to the residual stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import nn

from evomerge.errors import CheckpointError
from evomerge.evaluators.base import LoadedModel
from evomerge.families import Family, family_of

Part: TypeAlias = Literal["whole", "attention", "mlp"]

# What transformers calls the feed-forward part where it renames what is on disk (Mixtral's).
RENAMED_MLP = "mlp"


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        whole: all of it: the residual stream in, the residual stream out.
        attention: the part that adds what earlier tokens say; None if it has no such module.
        mlp: the feed-forward part; None if that is no module of its own.
    """

    whole: nn.Module
    attention: nn.Module | None
    mlp: nn.Module | None

    def parts(self) -> Iterator[tuple[Part, nn.Module]]:
        """Those that there are, by name."""
        yield "whole", self.whole
        if self.attention is not None:
            yield "attention", self.attention
        if self.mlp is not None:
            yield "mlp", self.mlp


def layers_of(loaded: LoadedModel) -> tuple[Layer, ...]:
    """The layers of a model, from the first to the last.

    Raises:
        CheckpointError: the architecture is not known, and its layers cannot be told.
    """
    names = [name for name, _ in loaded.model.named_parameters()]
    family = family_of(loaded.model.config.to_dict(), names, loaded.label)
    return tuple(
        Layer(
            layer,
            _child(layer, family.attention.strip(".")),
            _child(layer, family.mlp.strip("."), RENAMED_MLP),
        )
        for layer in _stack(loaded, family)
    )


def _stack(loaded: LoadedModel, family: Family) -> Iterator[nn.Module]:
    """The modules of the layers."""
    modules = dict(loaded.model.named_modules())
    for root in family.roots:
        found = modules.get(f"{root}{family.layers}".rstrip("."))
        if found is not None:
            return found.children()
    raise CheckpointError(
        f"{loaded.label}: transformers has no {family.layers.rstrip('.')} in a "
        f"{type(loaded.model).__name__}; its layers cannot be told apart"
    )


def _child(layer: nn.Module, *names: str) -> nn.Module | None:
    """The first of these modules that the layer has."""
    children = dict(layer.named_children())
    return next((children[name] for name in names if name in children), None)
