"""What alignment finds again, and what it gains.

    python benchmarks/alignment.py [--pairs 4] [--widths 64 256 512]

- A network, and a copy whose hidden units stand in another order: how far apart after alignment.
- Tiny models of all declared families, moved along all of their symmetries at once, and aligned
  back: the largest difference of a weight, as a share of the largest weight.
- Pairs of networks for digits (64-w-w-10, ReLU), trained apart: the barrier of the loss between
  them, as they are, and aligned by weights or by activations on the pictures that they know.
- Five such networks of width 256: loss and accuracy of their mean as they are, brought to the
  first, and brought to each other.

All of it in float32 on one core takes two minutes. Needs scikit-learn: pip install
'evomerge[examples]'. Writes tables in Markdown on standard output.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")

import torch
from sklearn.datasets import load_digits
from torch import nn
from transformers import AutoModelForCausalLM

from evomerge.alignment.drawing import random_element
from evomerge.alignment.live import layout_of_model, move_model
from evomerge.alignment.weight_matching import weight_matching
from evomerge.cli.scoring import hush_libraries
from evomerge.linear_merger import (
    Examples,
    Training,
    accuracy,
    align_by_activations,
    align_to_anchor,
    align_together,
    average,
    barrier,
    mean_loss,
    train,
)
from evomerge.zoo.random_models import random_model

FAMILIES = (
    "llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "olmo2", "phi3", "gpt_neox", "gpt2"
)  # fmt: skip
KNOWN = 1347


def digits() -> tuple[Examples, Examples]:
    """The 8 x 8 pictures that come with scikit-learn: 1347 known, 450 asked."""
    data = load_digits()
    order = torch.randperm(len(data.data), generator=torch.Generator().manual_seed(0))
    pictures = torch.tensor(data.data / 16, dtype=torch.float32)[order]
    labels = torch.tensor(data.target)[order]
    return Examples(pictures[:KNOWN], labels[:KNOWN]), Examples(pictures[KNOWN:], labels[KNOWN:])


def network(width: int, seed: int) -> nn.Sequential:
    """Two hidden layers, not trained."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(64, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 10),
        )


def trained(width: int, seeds: Sequence[int], known: Examples) -> list[nn.Sequential]:
    """One network for each seed."""
    networks = [network(width, seed) for seed in seeds]
    for seed, each in zip(seeds, networks, strict=True):
        train(each, known, Training(epochs=20, seed=seed))
    return networks


def shuffled(original: nn.Sequential, seed: int) -> nn.Sequential:
    """A copy that computes the same, its hidden units in another order."""
    (copy,) = align_to_anchor([original], original)
    generator = torch.Generator().manual_seed(seed)
    for before, after in ((0, 2), (2, 4)):
        order = torch.randperm(copy[before].out_features, generator=generator)
        copy[before].weight.data = copy[before].weight.data[order]
        copy[before].bias.data = copy[before].bias.data[order]
        copy[after].weight.data = copy[after].weight.data[:, order]
    return copy


def difference(one: nn.Module, other: nn.Module) -> float:
    """The largest difference of a weight, as a share of the largest weight."""
    pairs = list(zip(one.parameters(), other.parameters(), strict=True))
    largest = max(float(a.abs().max()) for a, _ in pairs)
    return max(float((a - b).abs().max()) for a, b in pairs) / largest


def recovered(family: str, folder: Path) -> float:
    """How far a model is from itself, after it was moved and aligned back."""
    place = random_model(folder / family, family)
    anchor, source = (
        AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32).eval() for _ in range(2)
    )
    layout = layout_of_model(anchor)
    move_model(source, random_element(layout, 0))
    reads = [
        {name: p.detach().numpy() for name, p in model.named_parameters()}.__getitem__
        for model in (anchor, source)
    ]
    move_model(source, weight_matching(layout, *reads))
    return difference(anchor, source)


def barriers(width: int, pairs: int, known: Examples, asked: Examples) -> list[float]:
    """The mean barrier between strangers: as they are, aligned by weights, and by activations."""
    found = []
    for seed in range(pairs):
        first, other = trained(width, (2 * seed, 2 * seed + 1), known)
        aligned = align_to_anchor([other], first)
        aligned += align_by_activations([other], first, known.inputs)
        found.append(
            [barrier(first, n, lambda each: mean_loss(each, asked)) for n in (other, *aligned)]
        )
    return [fmean(each) for each in zip(*found, strict=True)]


def lines(pairs: int, widths: Sequence[int]) -> Iterator[str]:
    """The tables."""
    known, asked = digits()
    yield "| moved, and aligned back | largest difference |\n|---|---|\n"
    original = network(128, 0)
    (back,) = align_to_anchor([shuffled(original, 1)], original)
    yield f"| a network in another order | {difference(original, back):.1g} |\n"
    with TemporaryDirectory() as folder:
        for family in FAMILIES:
            yield f"| {family}, all symmetries at once | {recovered(family, Path(folder)):.1g} |\n"
    yield "\n| two digits networks, width | as they are | by weights | by activations |\n"
    yield "|---|---|---|---|\n"
    for width in widths:
        told = (f"{each:.3f}" for each in barriers(width, pairs, known, asked))
        yield f"| {width} | {' | '.join(told)} |\n"
    yield "\n| five digits networks | loss of the mean | its accuracy |\n|---|---|---|\n"
    five = trained(256, range(5), known)
    for name, networks in (
        ("as they are", five),
        ("brought to the first", align_to_anchor(five, five[0])),
        ("brought to each other", align_together(five)),
    ):
        mean = average(networks)
        yield f"| {name} | {mean_loss(mean, asked):.3f} | {accuracy(mean, asked):.3f} |\n"


def main() -> None:
    """Parses the command line, and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 256, 512])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    hush_libraries()
    for line in lines(chosen.pairs, chosen.widths):
        sys.stdout.write(line)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
