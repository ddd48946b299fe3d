"""Networks that were trained without masks, brought to one anchor.

In a LinearMerger the frozen weights tell each hidden unit its place. For networks that have none,
another network may: every hidden unit takes the place of the anchor's unit that it resembles most,
by its weights or by what it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from evomerge.alignment.activation_matching import STATISTICS, Shown, activation_matching
from evomerge.alignment.layout import Layout
from evomerge.alignment.matching import Floats, finite
from evomerge.alignment.weight_matching import weight_matching
from evomerge.errors import AlignmentError, LinearMergerError, unknown
from evomerge.linear_merger.aligning import applied, layout_of, reader


def align_to_anchor(
    networks: Sequence[nn.Module], anchor: nn.Module, *, seed: int = 0
) -> list[nn.Module]:
    """Copies of ``networks`` that compute the same, their hidden units in the anchor's order.

    Units are matched by their weights.

    Args:
        networks: plain networks of the anchor's sizes: an ``nn.Sequential`` of linear layers,
            norms and activations.
        anchor: what they are brought to; it may be one of them, which then stays as it is.
        seed: of the order in which layers are visited.

    Raises:
        LinearMergerError: for networks that are not plain, or not alike.
    """
    aligned = []
    for network in networks:
        layout = layout_of([anchor, network])
        element = weight_matching(layout, reader(anchor), reader(network), seed=seed)
        aligned.append(applied(network, layout, element))
    return aligned


def align_by_activations(
    networks: Sequence[nn.Module],
    anchor: nn.Module,
    inputs: Tensor,
    *,
    statistic: str = "correlation",
) -> list[nn.Module]:
    """The same, but units are matched by what they do.

    Args:
        networks: plain networks of the anchor's sizes.
        anchor: what they are brought to.
        inputs: ``(examples, features)``: what all of them are shown; as many as the widest hidden
            layer has units, or more.
        statistic: of two units: ``raw`` inner products of what they do, ``centred`` ones, or
            ``correlation``.

    Raises:
        LinearMergerError: for networks that are not plain, not alike, or do what is not finite;
            for an unknown statistic, and for too few inputs.
    """
    if statistic not in STATISTICS:
        raise LinearMergerError(f"statistic: {unknown('statistic', statistic, STATISTICS)}")
    aligned = []
    for network in networks:
        layout = layout_of([anchor, network])
        reads = reader(anchor), reader(network)
        shown = _shown(layout, anchor, network, inputs)
        element = activation_matching(layout, *reads, shown, statistic)
        aligned.append(applied(network, layout, element))
    return aligned


def _shown(
    layout: Layout, anchor: nn.Module, network: nn.Module, inputs: Tensor
) -> Iterator[Shown]:
    """What the hidden units of two networks do."""
    both = _hidden(anchor, inputs, "anchor"), _hidden(network, inputs, "network")
    for group, first, other in zip(layout.groups, *both, strict=True):
        if len(first) < first.shape[1]:
            raise LinearMergerError(
                f"inputs: found {len(first)}; expected {first.shape[1]} or more, as many as a "
                "hidden layer has units"
            )
        yield Shown(group, first, other)


def _hidden(network: nn.Module, inputs: Tensor, where: str) -> Iterator[Floats]:
    """``(examples, units)`` of each hidden layer, as the linear layer behind it reads them."""
    passing = inputs.detach().double().cpu()
    first = True
    for name, module in deepcopy(network).double().cpu().eval()._modules.items():
        if isinstance(module, nn.Linear) and not first:
            try:
                yield finite(passing.numpy(), f"{where}: what {name} reads")
            except AlignmentError as error:
                raise LinearMergerError(str(error)) from error
        first = first and not isinstance(module, nn.Linear)
        with torch.inference_mode():
            passing = module(passing) if module is not None else passing
