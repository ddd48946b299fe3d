"""Is a merge a better place to go on training from than the base?

    python examples/fuse_then_finetune.py demo/zoo [--steps 40] [--seeds 3]

Merges the zoo's three experts, trains the merge and the base on all three skills, with the same
steps and the same items, and prints two tables in Markdown: examples/README.md says what they show.
Takes two to three minutes of one core. The zoo is made by `evomerge zoo demo/zoo`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

import evomerge
from evomerge.recipe import Recipe
from evomerge.zoo.courses import Budget
from evomerge.zoo.models import load, without_remarks
from evomerge.zoo.scoring import encode, hidden_states, score
from evomerge.zoo.small_tokenizers import byte_tokenizer
from evomerge.zoo.tasks import SKILLS, Split, draw, items

TOKENIZER = byte_tokenizer((), 260)
# Of task arithmetic: the best of these on the search items is taken.
WEIGHTS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
RATE, WARM_UP, ROWS = 1e-3, 10, 128
HELD_OUT = 500  # items a skill
Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Decay:
    """What pulls weights while they are trained: each step, towards a point.

    Attributes:
        rate: each step takes this times the learning rate of the way.
        to_start: whether the point is where training began; else it is zero, as in AdamW.
    """

    rate: float = 0.0
    to_start: bool = False

    def pull(self, model: PreTrainedModel, start: Weights, rate: float) -> None:
        """The pull of one step at a learning rate, in place."""
        with torch.no_grad():
            for name, weight in model.named_parameters():
                goal = start[name] if self.to_start else torch.zeros_like(weight)
                weight.lerp_(goal, rate * self.rate)


def merge(zoo: Path, weight: float, out: Path) -> Path:
    """The base plus each expert's difference from it, times a weight."""
    experts = [{"model": str(zoo / skill), "parameters": {"weight": weight}} for skill in SKILLS]
    recipe = {"merge_method": "task_arithmetic", "base_model": str(zoo / "base")}
    return evomerge.merge(Recipe.from_tree({**recipe, "models": experts}), out, force=True)


def best_merge(zoo: Path, out: Path) -> tuple[float, Path]:
    """The merge that is best on the search items, and its weight."""
    found = {
        weight: fmean(accuracies(load(merge(zoo, weight, out)), "search", 250))
        for weight in WEIGHTS
    }
    weight = max(found, key=lambda each: found[each])
    return weight, merge(zoo, weight, out)


def accuracies(model: PreTrainedModel, split: Split, count: int) -> list[float]:
    """For each skill, the share of items that are answered in full."""
    return [score(model, TOKENIZER, items(skill, split, count)).accuracy for skill in SKILLS]


def train(
    model: PreTrainedModel, steps: int, seed: int, decay: Decay | None = None
) -> Iterator[int]:
    """Trains on an even mix of the skills; gives the number of steps that are done, from 0."""
    random, pulled = Random(seed), decay or Decay()
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    # Adam itself: its decay is written out above, to be able to lead elsewhere.
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.0)
    yield 0
    for step in range(1, steps + 1):
        drawn = [draw(random.choice([*SKILLS]), "train", random) for _ in range(ROWS)]
        states, wanted = hidden_states(model, *encode(TOKENIZER, drawn))
        cross_entropy(model.get_output_embeddings()(states), wanted).backward()
        (group,) = optimizer.param_groups
        group["lr"] = RATE * min(1.0, step / WARM_UP)
        pulled.pull(model, start, group["lr"])
        optimizer.step()
        optimizer.zero_grad()
        yield step


def course(start: Path, steps: int, looks: Sequence[int], seed: int) -> list[list[float]]:
    """The held-out accuracies of a model at some steps of its training."""
    model = load(start)
    return [
        accuracies(model, "holdout", HELD_OUT)
        for step in train(model, steps, seed)
        if step in looks
    ]


def starts(zoo: Path, merged: Path, steps: int, seeds: int) -> Iterator[str]:
    """A row for each start and number of steps: the mean over seeds, and how far they differ."""
    looks = (0, steps // 4, steps // 2, steps)
    yield f"| trained from | {' | '.join(f'{look} steps' for look in looks)} |"
    yield f"|---|{'---|' * len(looks)}"
    for name, start in (("the base", zoo / "base"), ("the merge", merged)):
        runs = [course(start, steps, looks, seed) for seed in range(seeds)]
        yield f"| {name} | {' | '.join(_spread(each) for each in zip(*runs, strict=True))} |"
    # In the merge is the training of the experts, too.
    more = len(SKILLS) * Budget().expert_steps + steps
    (last,) = course(zoo / "base", more, (more,), 0)
    yield f"| the base, {more} steps | | | | {fmean(last):.3f} |"


def _spread(runs: Sequence[Sequence[float]]) -> str:
    means = [fmean(each) for each in runs]
    return f"{fmean(means):.3f}" + (f" ± {stdev(means):.3f}" if len(set(means)) > 1 else "")


def decays(merged: Path, steps: int) -> Iterator[str]:
    """A row for each decay: the accuracy, and what is left of the weights at the start."""
    yield "| decay | towards | accuracy | what is left of the start |\n|---|---|---|---|"
    for decay in (Decay(), Decay(0.1), Decay(5.0), Decay(5.0, to_start=True)):
        model = load(merged)
        start = torch.cat([weight.detach().flatten() for weight in model.parameters()])
        for _ in train(model, steps, 0, decay):
            pass
        end = torch.cat([weight.detach().flatten() for weight in model.parameters()])
        left = float(end @ start / (start @ start))
        towards = "the start" if decay.to_start else "zero" if decay.rate else ""
        accuracy = fmean(accuracies(model, "holdout", HELD_OUT))
        yield f"| {decay.rate:g} | {towards} | {accuracy:.3f} | {left:.3f} |"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with without_remarks(), TemporaryDirectory() as scratch:
        weight, merged = best_merge(asked.zoo, Path(scratch) / "merged")
        print(f"The merge: task arithmetic with weight {weight:g}.\n", flush=True)
        for row in starts(asked.zoo, merged, asked.steps, asked.seeds):
            print(row, flush=True)
        print()
        for row in decays(merged, asked.steps):
            print(row, flush=True)


if __name__ == "__main__":
    main()
