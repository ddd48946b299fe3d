"""What all ways of aligning plain networks share: their layout; an element applied, and checked."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import nn

from evomerge.alignment.elements import Element
from evomerge.alignment.layout import Layout, Span, UnitGroup
from evomerge.alignment.matching import Floats, Read, finite
from evomerge.alignment.moving import moved
from evomerge.alignment.places import Place
from evomerge.errors import AlignmentError, LinearMergerError
from evomerge.linear_merger.averaging import check_alike
from evomerge.linear_merger.units import hidden_units

# The function is compared in float64 on so many random inputs, and may change by this share.
PROBES, TOLERANCE = 16, 1e-10


def layout_of(networks: Sequence[nn.Module]) -> Layout:
    """Where the hidden units of plain networks stand, layer by layer: in all the same.

    Raises:
        LinearMergerError: for networks that are not plain, or not like the first.
    """
    check_alike(networks)
    units = hidden_units(networks[0])
    for number, network in enumerate(networks[1:], start=1):
        if hidden_units(network) != units:
            raise LinearMergerError(f"networks.{number}: its layers are not those of the first")
    state = networks[0].state_dict()
    axes: dict[str, list[tuple[Span, ...]]] = {name: [()] * t.ndim for name, t in state.items()}
    groups = {}
    for number, group in enumerate(units):
        groups[str(number)] = UnitGroup(state[group[0].tensor].shape[group[0].axis])
        for tensor, axis, trained in group:
            place = Place("neurons", "follows" if trained else "carried")
            axes[tensor][axis] = (Span(str(number), place),)
    return Layout(groups, {name: tuple(spans) for name, spans in axes.items() if any(spans)})


def reader(network: nn.Module) -> Read:
    """Reads the tensors of a network in float64; refuses NaN and infinity."""
    state = network.state_dict()

    def read(name: str) -> Floats:
        try:
            return finite(state[name].double().cpu().numpy(), name)
        except AlignmentError as error:
            raise LinearMergerError(str(error)) from error

    return read


def applied(network: nn.Module, layout: Layout, element: Element) -> nn.Module:
    """A copy of a network after an element has acted on it, which computes the same.

    Raises:
        LinearMergerError: it would compute something else.
    """
    aligned = deepcopy(network)
    state = dict(aligned.state_dict())
    read = reader(network)
    for name, axes in layout.tensors.items():
        state[name] = torch.from_numpy(moved(read(name), axes, element).copy())
    aligned.load_state_dict(state)
    _check_function(network, aligned)
    return aligned


def _check_function(network: nn.Module, aligned: nn.Module) -> None:
    before, after = (deepcopy(each).cpu().double().eval() for each in (network, aligned))
    width = next(m.in_features for m in before.modules() if isinstance(m, nn.Linear))
    generator = torch.Generator().manual_seed(0)
    probes = torch.randn(PROBES, width, generator=generator, dtype=torch.float64)
    with torch.inference_mode():
        expected, found = before(probes), after(probes)
    change, size = float((found - expected).norm()), float(expected.norm())
    if not change <= TOLERANCE * size:
        raise LinearMergerError(
            f"network: its outputs of norm {size:.1g} would change by {change:.1g}; "
            "a weight may be used in two places"
        )
