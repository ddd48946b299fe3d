"""Trains a network on examples in memory, and says how well it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import AdamW

from evomerge.errors import LinearMergerError

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Examples:
    """What is asked, and what should be answered.

    Attributes:
        inputs: ``(examples, …)``.
        targets: ``(examples,)``, whole numbers, for classes; the shape of the predictions for
            anything else.
    """

    inputs: Tensor
    targets: Tensor

    def __post_init__(self) -> None:
        if not len(self.inputs) or len(self.inputs) != len(self.targets):
            raise LinearMergerError(
                f"examples: found {len(self.inputs)} inputs and {len(self.targets)} targets; "
                "expected equally many, and at least one"
            )

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Training:
    """How a network is trained: AdamW at one rate, every example once in each epoch.

    Attributes:
        epochs: how often every example is seen.
        batch: examples in a step.
        rate: the learning rate.
        weight_decay: AdamW's.
        seed: of the order of the examples, and of what the network draws, as dropout does.
        loss: of predictions and targets: their mean, as a scalar.
    """

    epochs: int = 30
    batch: int = 64
    rate: float = 1e-3
    weight_decay: float = 0.01
    seed: int = 0
    loss: Loss = cross_entropy


def train(network: nn.Module, examples: Examples, training: Training) -> list[float]:
    """Trains ``network`` in place, and gives the mean loss of each epoch.

    The same seed gives the same network, and torch's global generators are left as they were.

    Raises:
        LinearMergerError: for predictions of another shape than targets that are not classes.
    """
    optimizer = AdamW(network.parameters(), lr=training.rate, weight_decay=training.weight_decay)
    before = network.training
    network.train()
    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        losses = [_epoch(network, examples, training, optimizer) for _ in range(training.epochs)]
    network.train(before)
    return losses


def _epoch(network: nn.Module, examples: Examples, training: Training, optimizer: AdamW) -> float:
    total = 0.0
    for places in torch.randperm(len(examples)).split(training.batch):
        batch = Examples(examples.inputs[places], examples.targets[places])
        loss = _loss(network, batch, training.loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += float(loss.detach()) * len(batch)
    return total / len(examples)


def mean_loss(network: nn.Module, examples: Examples, loss: Loss = cross_entropy) -> float:
    """The loss over all of ``examples``, in one forward pass, without dropout.

    Raises:
        LinearMergerError: as ``train`` does.
    """
    with _resting(network):
        return float(_loss(network, examples, loss))


def accuracy(network: nn.Module, examples: Examples) -> float:
    """The share of ``examples`` whose class has the highest prediction, in [0, 1]."""
    with _resting(network):
        found = network(examples.inputs).argmax(-1)
    return float((found == examples.targets).double().mean())


@contextmanager
def _resting(network: nn.Module) -> Iterator[None]:
    """Without gradients, dropout and changes to running statistics."""
    before = network.training
    network.eval()
    with torch.inference_mode():
        yield
    network.train(before)


def _loss(network: nn.Module, examples: Examples, loss: Loss) -> Tensor:
    predictions, targets = network(examples.inputs), examples.targets
    # (n, 1) and (n,) would be compared all with all, and no error said.
    if targets.is_floating_point() and predictions.shape != targets.shape:
        raise LinearMergerError(
            f"targets: have shape {tuple(targets.shape)}, predictions {tuple(predictions.shape)}; "
            "expected one shape: reshape the targets"
        )
    return loss(predictions, targets)
