"""Which layers let networks be averaged: a zero mask does not, frozen numbers do.

    python examples/linear_merger.py [--pairs 4] [--picture examples/linear_merger.png]

Trains pairs of networks that begin apart and see the examples in different orders, averages each
pair as it is, and prints three tables in Markdown: examples/README.md says what they show. Takes
one to three minutes. Needs scikit-learn and matplotlib: pip install 'evomerge[examples]'.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from time import perf_counter

import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits, make_friedman1
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from evomerge.linear_merger import (
    Asymmetric,
    Curve,
    Examples,
    Training,
    Zeros,
    accuracy,
    align_to_anchor,
    federated_round,
    interpolation_curve,
    mean_loss,
    train,
    with_masks,
)
from evomerge.linear_merger.masks import Mask

HERE = Path(__file__).parent
Masks = Mapping[str, Mask | str]
Pair = tuple[nn.Module, nn.Module]

# How large the frozen numbers are in each linear layer of a deep network, by its name.
SCALES = {"0": 1.0, "3": 1.0, "6": 0.5, "9": 0.25}
ASYMMETRIC: Masks = {name: Asymmetric(scale=scale) for name, scale in SCALES.items()}

SHALLOW = Training(epochs=20)
DEEP = Training(epochs=20, rate=3e-3, weight_decay=0.03)
CLIENTS = 4


@dataclass(frozen=True)
class Kind:
    """A kind of deep network: what is fixed in its layers, and whether norms stand behind them."""

    masks: Masks
    norm: bool = True


KINDS = {
    "dense": Kind({}),
    "zeros, a triangle": Kind(dict.fromkeys(SCALES, "rows")),
    "zeros, 1/8 of each row": Kind(dict.fromkeys(SCALES, Zeros())),
    "**frozen numbers, 1/8 of each row**": Kind(ASYMMETRIC),
    "… the last layer dense": Kind({name: ASYMMETRIC[name] for name in ("0", "3", "6")}),
    "… scale 1 in all layers": Kind(dict.fromkeys(SCALES, "asymmetric")),
    "… without LayerNorm": Kind(ASYMMETRIC, norm=False),
}


@dataclass(frozen=True)
class Task:
    """What is learned.

    Attributes:
        known: the examples to learn from.
        asked: those by which networks are scored.
        outputs: how many numbers a network says.
        loss: of its answers.
    """

    known: Examples
    asked: Examples
    outputs: int
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def digits() -> Task:
    """The 8 x 8 pictures of digits that come with scikit-learn: 1347 known, 450 asked."""
    data = load_digits()
    order = torch.randperm(len(data.data), generator=torch.Generator().manual_seed(0))
    pictures = torch.tensor(data.data / 16, dtype=torch.float32)[order]
    return _split(Examples(pictures, torch.tensor(data.target)[order]), 1347, 10, cross_entropy)


def friedman() -> Task:
    """Friedman's first function of ten inputs, five of which do nothing: 1500 known, 500 asked."""
    inputs, targets = make_friedman1(n_samples=2000, noise=1.0, random_state=0)
    points = torch.tensor(2 * inputs - 1, dtype=torch.float32)
    values = torch.tensor((targets - targets.mean()) / targets.std(), dtype=torch.float32)
    return _split(Examples(points, values[:, None]), 1500, 1, mse_loss)


def _split(examples: Examples, known: int, outputs: int, loss: Callable) -> Task:
    first, rest = (
        Examples(examples.inputs[part], examples.targets[part])
        for part in (slice(known), slice(known, None))
    )
    return Task(first, rest, outputs, loss)


def shallow(seed: int, task: Task) -> nn.Sequential:
    """Two hidden layers of 256, and a head."""
    torch.manual_seed(seed)
    inputs = task.known.inputs.shape[1]
    return nn.Sequential(
        nn.Linear(inputs, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(),
        nn.Linear(256, task.outputs),
    )  # fmt: skip


def deep(seed: int, kind: Kind) -> nn.Module:
    """64-128-128-128-10, with LayerNorm and GELU between."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs in (64, 128, 128):
        norm = nn.LayerNorm(128) if kind.norm else nn.Identity()
        layers += [nn.Linear(inputs, 128), norm, nn.GELU()]
    return with_masks(nn.Sequential(*layers, nn.Linear(128, 10)), kind.masks)


def trained(networks: Sequence[nn.Module], task: Task, training: Training, seed: int) -> Pair:
    """Two networks, trained in place, each in its own order of the examples."""
    for number, network in enumerate(networks):
        train(network, task.known, replace(training, seed=2 * seed + number, loss=task.loss))
    return networks[0], networks[1]


def loss_curve(pair: Pair, task: Task) -> Curve:
    """The loss from one network to the other."""
    return interpolation_curve(*pair, lambda network: mean_loss(network, task.asked, task.loss))


def head_curves(task: Task, masks: Masks, shared: bool, pairs: int) -> list[Curve]:
    """The losses between shallow networks whose heads begin apart, or as one."""
    curves = []
    for seed in range(pairs):
        networks = [shallow(2 * seed, task), shallow(2 * seed + 1, task)]
        if shared:
            networks[1][-1].load_state_dict(networks[0][-1].state_dict())
        masked = [with_masks(network, masks) for network in networks]
        curves.append(loss_curve(trained(masked, task, SHALLOW, seed), task))
    return curves


@dataclass(frozen=True)
class Row:
    """What was found of one kind of layer, as means over the pairs."""

    end: float
    barrier: float
    middle: float
    losses: Curve
    accuracies: Curve


def row(pairs: Sequence[Pair], task: Task) -> Row:
    """Scores pairs of one kind."""
    losses = [loss_curve(pair, task) for pair in pairs]
    accuracies = [
        interpolation_curve(*pair, lambda network: accuracy(network, task.asked)) for pair in pairs
    ]
    mean = _mean(accuracies)
    return Row(
        end=(mean.values[0] + mean.values[-1]) / 2,
        barrier=fmean(curve.barrier for curve in losses),
        middle=mean.values[len(mean.values) // 2],
        losses=_mean(losses),
        accuracies=mean,
    )


def _mean(curves: Sequence[Curve]) -> Curve:
    values = zip(*(curve.values for curve in curves), strict=True)
    return Curve(curves[0].shares, tuple(map(fmean, values)))


def compare_layers(task: Task, pairs: int) -> dict[str, Row]:
    """Every kind of layer, and dense layers aligned afterwards."""
    rows: dict[str, Row] = {}
    for name, kind in KINDS.items():
        made = [
            trained([deep(2 * seed, kind), deep(2 * seed + 1, kind)], task, DEEP, seed)
            for seed in range(pairs)
        ]
        rows[name] = row(made, task)
        if name == "dense":
            aligned = [(first, align_to_anchor([second], first)[0]) for first, second in made]
            rows["dense, aligned afterwards"] = row(aligned, task)
    return rows


def federated(task: Task, kind: Kind, starts: int) -> tuple[float, float]:
    """One round of four clients that begin as ``starts`` networks: their accuracy, the server's."""
    shards = [
        Examples(task.known.inputs[client::CLIENTS], task.known.targets[client::CLIENTS])
        for client in range(CLIENTS)
    ]
    networks = [deep(client % starts, kind) for client in range(CLIENTS)]
    done = federated_round(networks, shards, DEEP)
    alone = fmean(accuracy(client, task.asked) for client in done.clients)
    return alone, accuracy(done.server, task.asked)


def draw(rows: Mapping[str, Row], path: Path) -> None:
    """Loss and accuracy from one network to the other, for each kind of layer."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, 2)
    for name, found in rows.items():
        for panel, curve in zip(panels, (found.losses, found.accuracies), strict=True):
            panel.plot(curve.shares, curve.values, marker=".", label=name.strip("*"))
    for panel, quantity in zip(panels, ("loss", "accuracy"), strict=True):
        panel.set(xlabel="share of the second network", ylabel=quantity)
    panels[1].legend(fontsize=8)
    figure.savefig(path, dpi=120)


def print_heads(pairs: int) -> None:
    """The first table."""
    print("| two hidden layers | loss of the two | barrier, heads apart | barrier, one head |")
    print("|---|---|---|---|")
    for what, task in (("digits", digits()), ("Friedman-1", friedman())):
        for name, masks in (("dense", {}), ("zeros, a triangle", {"0": "rows", "2": "rows"})):
            apart, shared = (head_curves(task, masks, one, pairs) for one in (False, True))
            ends = fmean((curve.values[0] + curve.values[-1]) / 2 for curve in apart)
            barriers = [fmean(curve.barrier for curve in curves) for curves in (apart, shared)]
            print(f"| {what}, {name} | {ends:.3f} | {barriers[0]:.3f} | {barriers[1]:.3f} |")


def print_layers(rows: Mapping[str, Row]) -> None:
    """The second table."""
    print(
        "| three hidden layers, digits | accuracy of the two | barrier | accuracy of their mean |"
    )
    print("|---|---|---|---|")
    for name, found in rows.items():
        print(f"| {name} | {found.end:.3f} | {found.barrier:.3f} | {found.middle:.3f} |")


def print_federated(task: Task) -> None:
    """The third table."""
    print(f"| {CLIENTS} clients, one round, digits | their accuracy | the server's |")
    print("|---|---|---|")
    for name, kind in (("dense", KINDS["dense"]), ("frozen numbers", Kind(ASYMMETRIC))):
        for start, starts in (("begun as one", 1), ("begun apart", CLIENTS)):
            alone, server = federated(task, kind, starts)
            print(f"| {name}, {start} | {alone:.3f} | {server:.3f} |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables, and draws the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=4, help="of networks in each row")
    parser.add_argument("--picture", type=Path, default=HERE / "linear_merger.png")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)  # how many threads share a sum decides how it is rounded
    began = perf_counter()
    print_heads(chosen.pairs)
    print()
    rows = compare_layers(digits(), chosen.pairs)
    print_layers(rows)
    draw(rows, chosen.picture)
    print()
    print_federated(digits())
    print(f"\n{perf_counter() - began:.0f} seconds; the picture is {chosen.picture}")


if __name__ == "__main__":
    main()
