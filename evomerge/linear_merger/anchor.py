"""Networks that were trained without masks, brought to one anchor.

In a LinearMerger the frozen weights tell each hidden unit its place. For networks that have none,
another network may: every hidden unit takes the place of the anchor's unit that it resembles most,
by weight matching.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from evomerge.alignment.layout import Layout, Span, UnitGroup
from evomerge.alignment.matching import Floats, finite
from evomerge.alignment.moving import moved
from evomerge.alignment.places import Place
from evomerge.alignment.weight_matching import weight_matching
from evomerge.errors import AlignmentError, LinearMergerError
from evomerge.linear_merger.averaging import check_alike
from evomerge.linear_merger.units import hidden_units

# The function is compared in float64 on so many random inputs, and may change by this share.
PROBES, TOLERANCE = 16, 1e-10

State = Mapping[str, Tensor]


def align_to_anchor(
    networks: Sequence[nn.Module], anchor: nn.Module, *, seed: int = 0
) -> list[nn.Module]:
    """Copies of ``networks`` that compute the same, their hidden units in the anchor's order.

    Args:
        networks: plain networks of the anchor's sizes: an ``nn.Sequential`` of linear layers,
            norms and activations.
        anchor: what they are brought to; it may be one of them, which then stays as it is.
        seed: of the order in which layers are visited.

    Raises:
        LinearMergerError: for networks that are not plain, or not alike.
    """
    return [_aligned(network, anchor, seed) for network in networks]


def _aligned(network: nn.Module, anchor: nn.Module, seed: int) -> nn.Module:
    check_alike([anchor, network])
    if hidden_units(network) != hidden_units(anchor):
        raise LinearMergerError("networks: their layers are not those of the anchor")
    layout = _layout(anchor)
    reads = (_Doubles(anchor.state_dict()), _Doubles(network.state_dict()))
    try:
        element = weight_matching(layout, *reads, seed=seed)
    except AlignmentError as error:
        raise LinearMergerError(str(error)) from error
    aligned = deepcopy(network)
    state = dict(aligned.state_dict())
    for name, axes in layout.tensors.items():
        state[name] = torch.from_numpy(moved(reads[1](name), axes, element).copy())
    aligned.load_state_dict(state)
    _check_function(network, aligned)
    return aligned


def _layout(network: nn.Module) -> Layout:
    """Where the hidden units of a plain network stand, layer by layer."""
    state = network.state_dict()
    axes: dict[str, list[tuple[Span, ...]]] = {name: [()] * t.ndim for name, t in state.items()}
    groups = {}
    for number, group in enumerate(hidden_units(network)):
        groups[str(number)] = UnitGroup(state[group[0].tensor].shape[group[0].axis])
        for tensor, axis, trained in group:
            place = Place("neurons", "follows" if trained else "carried")
            axes[tensor][axis] = (Span(str(number), place),)
    return Layout(groups, {name: tuple(spans) for name, spans in axes.items() if any(spans)})


class _Doubles:
    """Reads the tensors of a network in float64."""

    def __init__(self, state: State) -> None:
        self._state = state

    def __call__(self, name: str) -> Floats:
        """One tensor.

        Raises:
            AlignmentError: it holds NaN or infinity.
        """
        return finite(self._state[name].double().cpu().numpy(), name)


def _check_function(network: nn.Module, aligned: nn.Module) -> None:
    before, after = (deepcopy(each).cpu().double().eval() for each in (network, aligned))
    width = next(m.in_features for m in before.modules() if isinstance(m, nn.Linear))
    generator = torch.Generator().manual_seed(0)
    probes = torch.randn(PROBES, width, generator=generator, dtype=torch.float64)
    with torch.inference_mode():
        expected, found = before(probes), after(probes)
    change = float((found - expected).norm() / expected.norm())
    if not change <= TOLERANCE:
        raise LinearMergerError(
            f"network: its outputs would change by a share of {change:.1g}; "
            "a weight may be used in two places"
        )
