"""Networks that were trained without masks, brought to one anchor.

In a LinearMerger the frozen weights tell each hidden unit its place. For networks that have none,
another network may: every hidden unit takes the place of the anchor's unit that it resembles most.
The places are found by weight matching, layer by layer until nothing is gained ([1], algorithm 1).
It begins with a pass from input to output that looks at nothing but what comes in, so that a copy
whose units stand in another order is always recognised.

[1] S. K. Ainsworth, J. Hayase, S. Srinivasa. Git Re-Basin: merging models modulo permutation
    symmetries. ICLR 2023. https://arxiv.org/abs/2209.04836
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from random import Random

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from evomerge.errors import LinearMergerError
from evomerge.linear_merger.averaging import check_alike
from evomerge.linear_merger.units import Place, hidden_units

# A layer is left alone unless its units fit better by this share of what they could: what is less
# is rounding, and could go back and forth for ever.
GAIN = 1e-12

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
    return [_aligned(network, anchor, Random(seed)) for network in networks]


def _aligned(network: nn.Module, anchor: nn.Module, random: Random) -> nn.Module:
    check_alike([anchor, network])
    groups = hidden_units(anchor)
    if hidden_units(network) != groups:
        raise LinearMergerError("networks: their layers are not those of the anchor")
    target, state = anchor.state_dict(), dict(network.state_dict())
    for group in groups:
        _match(group, [place for place in group if place.axis == 0], state, target)
    moving = True
    while moving:
        moving = False
        for group in random.sample(groups, len(groups)):
            moving |= _match(group, group, state, target)
    aligned = deepcopy(network)
    aligned.load_state_dict(state)
    _check_function(network, aligned)
    return aligned


def _match(
    group: Sequence[Place], seen: Sequence[Place], state: dict[str, Tensor], target: State
) -> bool:
    """Moves the units of a group to where they fit best, by what is seen of them.

    False if they stand there already.
    """
    # How well each unit of the anchor (rows) and of the network (columns) go together.
    grams = [_rows(target, place) @ _rows(state, place).T for place in seen if place.trained]
    gram = torch.stack(grams).sum(0).cpu()
    if not gram.isfinite().all():
        raise LinearMergerError(f"{group[0].tensor}: holds NaN or infinity; mend the network")
    order = torch.from_numpy(linear_sum_assignment(gram.numpy(), maximize=True)[1])
    gain = gram.gather(1, order[:, None]).sum() - gram.diagonal().sum()
    if gain <= GAIN * gram.abs().amax() * len(gram):
        return False
    for tensor, axis, _ in group:
        state[tensor] = state[tensor].index_select(axis, order.to(state[tensor].device))
    return True


def _rows(state: State, place: Place) -> Tensor:
    """What a state has for each unit: ``(units, numbers)``, float64."""
    rows = state[place.tensor].double().movedim(place.axis, 0)
    return rows.reshape(len(rows), -1)


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
