"""Is there anything to search for in the zoo? Hand-set merges beside a searched blend, held out.

    python benchmarks/zoo.py [--seeds 0 1 2] [--folder DIR] [--candidates 300]

Trains the zoo of each seed, unless it stands in DIR/<seed>, and scores on 1000 held-out items a
skill: every model, the merges one would try by hand, and a blend of one weight for each expert and
group of layers, found on the 250 search items a skill by an evolution strategy. The merges are
plain torch: nothing here depends on the merge core. Takes about five minutes a seed on 2 cores.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from evomerge.zoo import Zoo, build
from evomerge.zoo.models import load, quiet
from evomerge.zoo.scoring import Score, bits_per_byte, score
from evomerge.zoo.small_tokenizers import byte_tokenizer
from evomerge.zoo.tasks import SKILLS, Split, items
from evomerge.zoo.text import documents

TOKENIZER = byte_tokenizer((), 260)
LAMBDAS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
DENSITIES = (0.2, 1.0)  # TIES of the paper, and mergekit's default
SMALL, STEP = 0.1, 0.2  # the first weights of the search, and their spread

# The share by which a merge must be better to count, and the range of the base.
MARGIN, LEAST, MOST = 0.05, 0.4, 0.7

Vector = NDArray[np.float64]


def main() -> None:
    """Prints a table for each seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folder", type=Path, help="where zoos stand or are built")
    parser.add_argument("--candidates", type=int, default=300, help="of the search")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with quiet(), folder_or_new(options.folder) as folder:
        for seed in options.seeds:
            report(folder / str(seed), seed, options.candidates)


@contextmanager
def folder_or_new(folder: Path | None) -> Iterator[Path]:
    """``folder``, or one that goes away afterwards."""
    if folder is not None:
        yield folder
        return
    with TemporaryDirectory() as name:
        yield Path(name)


def report(folder: Path, seed: int, candidates: int) -> None:
    """Builds the zoo of one seed and prints its table."""
    wall, cpu = perf_counter(), process_time()
    zoo = build(folder, seed=seed)
    wall, cpu = perf_counter() - wall, process_time() - cpu
    print(f"\nseed {seed}: built in {wall:.0f} s, {cpu:.0f} s of CPU")
    print(
        f"{'held out':24}{''.join(f'{skill:>9}' for skill in SKILLS)}{'mean':>9}{'bits/byte':>11}"
    )

    base = show("base", load(zoo.base))
    experts = [show(f"expert {skill}", load(path)) for skill, path in zoo.experts.items()]
    for name in ("sibling", "deeper"):
        show(name, load(zoo.folder / name))
    merge = Merge(zoo)
    third = 1 / len(SKILLS)
    by_hand = [show("uniform average", merge.blend(merge.weights(third)))]
    by_hand += [
        show(f"task arithmetic {each}", merge.blend(merge.weights(each))) for each in LAMBDAS
    ]
    by_hand += [show(f"TIES, density {each}", merge.ties(each)) for each in DENSITIES]

    started = perf_counter()
    found = search(lambda point: accuracy(merge.blend(point), "search"), merge, candidates, seed)
    searched = show("searched blend", merge.blend(found))
    print(
        f"{candidates} candidates in {perf_counter() - started:.0f} s; weights by group and expert:"
    )
    for layer, row in zip(merge.groups, found.reshape(len(merge.groups), -1), strict=True):
        print(f"  {layer:9}{''.join(f'{weight:9.2f}' for weight in row)}")
    verdict(base, experts, by_hand, searched)


def verdict(base: float, experts: list[float], by_hand: list[float], searched: float) -> None:
    """Prints whether merging means something in this zoo."""
    rival = max(base, *experts, *by_hand)
    promises = {
        f"base {base:.3f} in [{LEAST}, {MOST}]": LEAST <= base <= MOST,
        f"best expert {max(experts):.3f} below the base": max(experts) < base,
        f"best by hand {max(by_hand):.3f} at most {max(by_hand) - base:+.3f} from the base": (
            max(by_hand) <= base + MARGIN
        ),
        f"searched {searched:.3f} is {searched - rival:+.3f} from all others": (
            searched >= rival + MARGIN
        ),
    }
    for promise, kept in promises.items():
        print(f"  {'yes' if kept else 'NO '}  {promise}")


def show(name: str, model: PreTrainedModel) -> float:
    """Prints one line of the table; the mean accuracy."""
    found = scores(model, "holdout")
    mean = fmean(one.accuracy for one in found.values())
    columns = "".join(f"{one.accuracy:9.3f}" for one in found.values())
    bits = bits_per_byte(model, TOKENIZER, documents("holdout"))
    print(f"{name:24}{columns}{mean:9.3f}{bits:11.2f}", flush=True)
    return mean


def scores(model: PreTrainedModel, split: Split) -> dict[str, Score]:
    """Of each skill."""
    return {skill: score(model, TOKENIZER, items(skill, split)) for skill in SKILLS}


def accuracy(model: PreTrainedModel, split: Split) -> float:
    """The mean over the skills."""
    return fmean(one.accuracy for one in scores(model, split).values())


class Merge:
    """One model in memory that becomes merge after merge of the base and the experts."""

    def __init__(self, zoo: Zoo) -> None:
        self.model = load(zoo.base).requires_grad_(False)
        self.base = {name: weight.clone() for name, weight in self.model.named_parameters()}
        self.moved = {
            name: torch.stack([weight - base for weight in weights])
            for (name, base), *weights in zip(
                self.base.items(),
                *(load(path).requires_grad_(False).parameters() for path in zoo.experts.values()),
                strict=True,
            )
        }
        self.groups = sorted({group(name) for name in self.base})

    def weights(self, value: float) -> Vector:
        """The same for each group and expert: ``(groups × experts,)``."""
        return np.full(len(self.groups) * len(SKILLS), value)

    def blend(self, weights: Vector) -> PreTrainedModel:
        """The base and the weighted sum of the task vectors."""
        rows = dict(zip(self.groups, weights.reshape(len(self.groups), -1), strict=True))
        return self._become(
            lambda name, moved: torch.tensordot(
                torch.tensor(rows[group(name)], dtype=torch.float32), moved, dims=1
            )
        )

    def ties(self, density: float) -> PreTrainedModel:
        """Trim, elect signs, and average those that agree [Yadav 2023]."""

        def combine(_name: str, moved: Tensor) -> Tensor:
            flat = moved.flatten(1)
            kept = max(1, int(density * flat.shape[1]))
            least = flat.abs().kthvalue(flat.shape[1] - kept + 1, dim=1, keepdim=True).values
            flat = flat * (flat.abs() >= least)
            agree = flat.sign() == torch.where(flat.sum(0) >= 0, 1, -1)
            mean = (flat * agree).sum(0) / agree.sum(0).clamp(min=1)
            return mean.view(moved.shape[1:])

        return self._become(combine)

    def _become(self, change: Callable[[str, Tensor], Tensor]) -> PreTrainedModel:
        for name, weight in self.model.named_parameters():
            weight.copy_(self.base[name] + change(name, self.moved[name]))
        return self.model


def group(name: str) -> str:
    """The layer that a weight belongs to."""
    layer = re.search(r"layers\.(\d+)\.", name)
    return "others" if layer is None else f"layer {layer[1]}"


def search(fitness: Callable[[Vector], float], merge: Merge, candidates: int, seed: int) -> Vector:
    """CMA-ES [Hansen 2016, https://arxiv.org/abs/1604.00772], without its finer points.

    Returns the mean of the last generation, which is a better bet than its luckiest candidate.
    """
    random = np.random.default_rng(seed)
    mean = merge.weights(SMALL)
    size = len(mean)
    many = 4 + int(3 * np.log(size))
    share = np.log((many + 1) / 2) - np.log(np.arange(1, many // 2 + 1))
    share /= share.sum()
    mass = 1 / np.sum(share**2)
    c_sigma = (mass + 2) / (size + mass + 5)
    c_path = (4 + mass / size) / (size + 4 + 2 * mass / size)
    c_one = 2 / ((size + 1.3) ** 2 + mass)
    c_many = min(1 - c_one, 2 * (mass - 2 + 1 / mass) / ((size + 2) ** 2 + mass))
    expected = np.sqrt(size) * (1 - 1 / (4 * size) + 1 / (21 * size**2))
    sigma, covariance = STEP, np.eye(size)
    path_sigma, path = np.zeros(size), np.zeros(size)
    for _ in range(candidates // many):
        values, axes = np.linalg.eigh(covariance)
        steps = random.standard_normal((many, size)) @ (axes * np.sqrt(values)).T
        losses = [-fitness(mean + sigma * step) for step in steps]
        best = steps[np.argsort(losses, kind="stable")[: many // 2]]
        step = share @ best
        mean = mean + sigma * step
        whitened = axes @ ((axes.T @ step) / np.sqrt(values))
        path_sigma = (1 - c_sigma) * path_sigma + np.sqrt(c_sigma * (2 - c_sigma) * mass) * whitened
        path = (1 - c_path) * path + np.sqrt(c_path * (2 - c_path) * mass) * step
        covariance *= 1 - c_one - c_many
        covariance += c_one * np.outer(path, path) + c_many * (best.T * share) @ best
        sigma *= np.exp(c_sigma * (np.linalg.norm(path_sigma) / expected - 1))
    return mean


if __name__ == "__main__":
    main()
