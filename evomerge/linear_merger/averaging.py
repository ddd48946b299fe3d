"""The mean of networks: parameter by parameter, with no alignment at all."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from math import isfinite

import torch
from torch import Tensor, nn

from evomerge.errors import LinearMergerError
from evomerge.linear_merger.layer import LinearMerger


def average(networks: Sequence[nn.Module], shares: Sequence[float] | None = None) -> nn.Module:
    """A network whose parameters and running statistics are the mean of those given.

    Sums are in float64. What is not a fraction, such as a count of batches, is the first's.

    Args:
        networks: of one architecture; LinearMergers with one fixed part.
        shares: how much of each, divided by their sum; equally much unless said.

    Raises:
        LinearMergerError: for no network, for shares that do not fit, and for networks that
            differ in their tensors, their masks or their frozen weights.
    """
    if not networks:
        raise LinearMergerError("networks: found none; expected at least one")
    shares = [1.0] * len(networks) if shares is None else shares
    if len(shares) != len(networks):
        raise LinearMergerError(f"shares: found {len(shares)} for {len(networks)} networks")
    total = sum(shares)
    if not total or not isfinite(total):
        raise LinearMergerError(f"shares: their sum is {total}; expected a number other than 0")
    check_alike(networks)
    states = [network.state_dict() for network in networks]
    fixed = _fixed(networks[0])
    mean = deepcopy(networks[0])
    with torch.no_grad():
        for name, tensor in mean.state_dict().items():
            if name not in fixed and tensor.is_floating_point():
                parts = [
                    state[name].double() * (s / total)
                    for state, s in zip(states, shares, strict=True)
                ]
                tensor.copy_(torch.stack(parts).sum(0))
    return mean


def check_alike(networks: Sequence[nn.Module]) -> None:
    """Refuses networks that differ in their tensors, their masks or their frozen weights.

    Raises:
        LinearMergerError: naming the first difference to the first network.
    """
    first = networks[0].state_dict()
    fixed = _fixed(networks[0])
    for number, network in enumerate(networks[1:], start=1):
        state = network.state_dict()
        if odd := sorted(first.keys() ^ state.keys()):
            raise LinearMergerError(
                f"networks.{number}: {odd[0]} is not in both it and the first; "
                "networks must share an architecture to be averaged"
            )
        for name, tensor in first.items():
            _check_tensor(f"networks.{number}: {name}", tensor, state[name], name in fixed)


def _fixed(network: nn.Module) -> set[str]:
    """The names of what all networks must agree on."""
    return {
        f"{name}.{buffer}".lstrip(".")
        for name, module in network.named_modules()
        if isinstance(module, LinearMerger)
        for buffer, _ in module.named_buffers(recurse=False)
    }


def _check_tensor(where: str, first: Tensor, other: Tensor, fixed: bool) -> None:
    if first.shape != other.shape:
        raise LinearMergerError(
            f"{where} has shape {tuple(other.shape)}, the first's {tuple(first.shape)}; "
            "networks must share an architecture to be averaged"
        )
    if fixed and not torch.equal(first, other):
        raise LinearMergerError(
            f"{where} is not the first's; make all networks with one mask, seed and layer names"
        )
