"""The hidden units of a plain network, and the tensors in which they stand.

A plain network is an ``nn.Sequential`` of linear layers with, between them, what treats all units
alike. Its hidden units may change places: the rows of the layer before, the gains and biases of a
norm, the columns of the layer behind.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from evomerge.errors import LinearMergerError
from evomerge.linear_merger.layer import LinearMerger

# What computes each unit from itself alone, by one rule for all.
POINTWISE = (
    nn.CELU,
    nn.Dropout,
    nn.ELU,
    nn.GELU,
    nn.Hardswish,
    nn.Hardtanh,
    nn.Identity,
    nn.LeakyReLU,
    nn.Mish,
    nn.ReLU,
    nn.ReLU6,
    nn.SELU,
    nn.Sigmoid,
    nn.SiLU,
    nn.Softplus,
    nn.Tanh,
)
# What has numbers for each unit, and otherwise treats all alike.
NORMS = (nn.BatchNorm1d, nn.LayerNorm, nn.RMSNorm)


class Place(NamedTuple):
    """Where units stand in a tensor.

    Attributes:
        tensor: its name.
        axis: along which each unit has its numbers.
        trained: whether these are weights; else they are running statistics.
    """

    tensor: str
    axis: int
    trained: bool = True


def hidden_units(network: nn.Module) -> list[list[Place]]:
    """Where the units of each hidden layer stand, from the input to the output.

    Raises:
        LinearMergerError: for a network that is not plain.
    """
    if not isinstance(network, nn.Sequential):
        raise LinearMergerError(
            f"network: found {type(network).__name__}; expected an nn.Sequential of linear layers, "
            "norms and activations"
        )
    groups: list[list[Place]] = [[]]
    for name, module in network._modules.items():
        _check_once(name, module, network)
        if isinstance(module, nn.Linear):
            groups[-1].append(Place(f"{name}.weight", 1))
            groups.append([Place(f"{name}.weight", 0)])
            if module.bias is not None:
                groups[-1].append(Place(f"{name}.bias", 0))
        elif isinstance(module, NORMS) and len(getattr(module, "normalized_shape", [1])) == 1:
            groups[-1] += [Place(f"{name}.{weight}", 0) for weight, _ in module.named_parameters()]
            groups[-1] += [
                Place(f"{name}.{buffer}", 0, trained=False)
                for buffer, value in module.named_buffers()
                if value.ndim
            ]
        elif not isinstance(module, POINTWISE):
            raise LinearMergerError(f"{name}: {_why_not(module)}")
    return groups[1:-1]


def _check_once(name: str, module: nn.Module | None, network: nn.Module) -> None:
    first = next(earlier for earlier, other in network._modules.items() if other is module)
    if first != name and list(module.parameters() if module else ()):
        raise LinearMergerError(
            f"{name}: is the layer {first} again; expected each layer with weights once"
        )


def _why_not(module: nn.Module | None) -> str:
    if isinstance(module, LinearMerger):
        return "is a LinearMerger, whose units have their places; average such networks as they are"
    return (
        f"{type(module).__name__} may not treat all hidden units alike; expected linear layers, "
        "norms over one axis, and activations"
    )
