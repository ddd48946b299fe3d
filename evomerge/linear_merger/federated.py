"""Federated averaging in one round: clients train where their data is, and are averaged once.

[1] B. McMahan, E. Moore, D. Ramage, S. Hampson, B. Agüera y Arcas. Communication-efficient learning
    of deep networks from decentralized data. AISTATS 2017. https://arxiv.org/abs/1602.05629
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

from torch import nn

from evomerge.errors import LinearMergerError
from evomerge.linear_merger.averaging import average
from evomerge.linear_merger.training import Examples, Training, train


class Round(NamedTuple):
    """What a round gives.

    Attributes:
        server: the mean of the clients, each counting as its number of examples.
        clients: the networks as they were trained.
    """

    server: nn.Module
    clients: list[nn.Module]


def federated_round(
    networks: Sequence[nn.Module], shards: Sequence[Examples], training: Training
) -> Round:
    """Trains copies of ``networks``, each on its own examples, and averages them.

    Args:
        networks: one for each client. Federated averaging sends all clients one network:
            ``[network] * clients``. With LinearMergers they may begin apart.
        shards: the examples of each client.
        training: of every client; client n draws from the seed plus n.

    Raises:
        LinearMergerError: for other than one network for each client, and as ``average`` does.
    """
    if len(networks) != len(shards):
        raise LinearMergerError(
            f"networks: found {len(networks)} for {len(shards)} clients; expected one for each"
        )
    clients = [deepcopy(network) for network in networks]
    for number, (client, examples) in enumerate(zip(clients, shards, strict=True)):
        train(client, examples, replace(training, seed=training.seed + number))
    return Round(average(clients, [len(examples) for examples in shards]), clients)
