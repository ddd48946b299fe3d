"""Networks whose linear layers become LinearMergers, and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy

from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrize import is_parametrized

from evomerge.errors import LinearMergerError, unknown
from evomerge.linear_merger.layer import LinearMerger
from evomerge.linear_merger.masks import Mask


def with_masks(
    network: nn.Module, masks: Mask | str | Mapping[str, Mask | str] = "asymmetric"
) -> nn.Module:
    """A copy of ``network`` in which linear layers are LinearMergers.

    Weights and biases stay as they are where they are free, so that a network made in the usual
    way, and converted before it is trained, begins as it would have begun.

    Args:
        network: any network; it is left as it is.
        masks: one for all linear layers, or those of some layers by their names.

    Raises:
        LinearMergerError: for a name that is no linear layer, and for layers that cannot be
            converted: tied, parametrized, not yet initialised, or with a forward of their own.
    """
    copy = deepcopy(network)
    layers = {name: m for name, m in copy.named_modules() if isinstance(m, nn.Linear)}
    chosen = masks if isinstance(masks, Mapping) else dict.fromkeys(layers, masks)
    for name in chosen:
        if name not in layers:
            raise LinearMergerError(f"masks: {unknown('linear layer', name, layers)}")
        _check(name, layers[name], copy)
    return _replaced(
        copy,
        {layers[name]: LinearMerger.of(layers[name], chosen[name], name) for name in chosen},
    )


def without_masks(network: nn.Module) -> nn.Module:
    """A copy of ``network`` that computes the same, with an ``nn.Linear`` for each LinearMerger."""
    copy = deepcopy(network)
    return _replaced(copy, {m: m.twin() for m in copy.modules() if isinstance(m, LinearMerger)})


def _check(name: str, layer: nn.Linear, network: nn.Module) -> None:
    where = name or "network"
    if isinstance(layer.weight, UninitializedParameter):
        raise LinearMergerError(f"{where}: has no weights yet; run the network once before")
    if is_parametrized(layer):
        raise LinearMergerError(
            f"{where}: its weight is parametrized; call remove_parametrizations before"
        )
    if type(layer).forward is not nn.Linear.forward:
        raise LinearMergerError(
            f"{where}: {type(layer).__name__} has a forward of its own, which would be lost; "
            "name the layers to convert"
        )
    if _holders(network)[id(layer.weight)] > 1:
        raise LinearMergerError(
            f"{where}: its weight is tied to another layer's; "
            "untie it, or name the layers to convert"
        )


def _holders(network: nn.Module) -> Counter[int]:
    """How many modules hold each parameter, by its id."""
    return Counter(id(p) for m in network.modules() for p in m.parameters(recurse=False))


def _replaced(network: nn.Module, made: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """``network`` with other modules in the place of some, wherever they stand."""
    for parent, name in list(_places(network, made)):
        setattr(parent, name, made[getattr(parent, name)])
    return made.get(network, network)


def _places(
    network: nn.Module, made: Mapping[nn.Module, nn.Module]
) -> Iterator[tuple[nn.Module, str]]:
    for parent in network.modules():
        yield from ((parent, name) for name, child in parent._modules.items() if child in made)
