"""Ways to merge the zoo's two adapters, side by side on the skills they were trained for, held out.

    python benchmarks/zoo_adapters.py ZOO

For each method the factor `scale` is chosen among 0.5, 0.75, 1, 1.5, 2, 2.5 and 3 on 250 search
items a skill, and what is shown is the accuracy on 1000 held-out items a skill, with the 95 %
interval of the mean of both. The invariant mean, which these adapters reach slowly, is stopped
after 30 steps. Writes a table in Markdown.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import torch

import evomerge
from evomerge.recipe.adapters import AdapterRecipe
from evomerge.zoo.models import load, quiet
from evomerge.zoo.scoring import score
from evomerge.zoo.small_tokenizers import byte_tokenizer
from evomerge.zoo.tasks import Split, items

SKILLS = ("sums", "reverse")
SCALES = (0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0)
SEARCH, HELD_OUT = 250, 1000
METHODS = {
    "naive": ("naive", {}),
    "linear": ("linear", {}),
    "svd": ("svd", {}),
    "frechet, chordal, 2r": ("frechet", {"manifold": "chordal", "rank": "2r"}),
    "frechet, balanced": ("frechet", {"manifold": "balanced"}),
    "knots, ties": ("knots", {"rank": "sum"}),
    "knots, ties, density 0.5": ("knots", {"rank": "sum", "density": 0.5}),
    "knots, dare, density 0.5": (
        "knots",
        {"rank": "sum", "consensus": "dare", "density": 0.5},
    ),
    "frechet, invariant": ("frechet", {"manifold": "invariant", "steps": 30}),
}


def accuracies(folder: Path, split: Split, count: int) -> list[float]:
    """For each skill, the share of items answered in full."""
    model = load(folder)
    tokenizer = byte_tokenizer((), 260)
    return [score(model, tokenizer, items(skill, split, count)).accuracy for skill in SKILLS]


def interval(shares: list[float]) -> tuple[float, float]:
    """The mean of independent shares, and half of its 95 % interval (normal)."""
    variance = sum(p * (1 - p) / HELD_OUT for p in shares) / len(shares) ** 2
    return sum(shares) / len(shares), 1.96 * variance**0.5


def line(name: str, scale: str, shares: list[float]) -> None:
    """A row of the table."""
    mean, half = interval(shares)
    each = " | ".join(f"{share:.3f}" for share in shares)
    print(f"| {name} | {scale} | {each} | {mean:.3f} ± {half:.3f} |", flush=True)


def merged(
    zoo: Path, method: str, values: dict[str, object], out: Path, skills: tuple[str, ...] = SKILLS
) -> Path:
    """The base with the merge of the adapters for some skills in it."""
    recipe = {
        "merge_method": method,
        "base_model": str(zoo / "base"),
        "adapters": [{"adapter": str(zoo / "adapters" / skill)} for skill in skills],
        "parameters": values,
        "output": "model",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of means that were not reached, which the page says
        return evomerge.merge(AdapterRecipe.from_tree(recipe), out, force=True)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("--method", choices=list(METHODS), action="append")
    asked = parser.parse_args()
    zoo = asked.zoo
    torch.set_num_threads(1)
    with quiet(), TemporaryDirectory() as scratch:
        place = Path(scratch) / "merged"
        print(f"| method | scale | {' | '.join(SKILLS)} | mean |\n|---|---|---|---|---|")
        line("base", "", accuracies(zoo / "base", "holdout", HELD_OUT))
        for skill in SKILLS:
            alone = merged(zoo, "linear", {}, place, (skill,))
            line(f"the adapter for {skill}", "1", accuracies(alone, "holdout", HELD_OUT))
        for name in asked.method or METHODS:
            method, values = METHODS[name]
            found = {
                scale: sum(
                    accuracies(
                        merged(zoo, method, {**values, "scale": scale}, place), "search", SEARCH
                    )
                )
                for scale in SCALES
            }
            best = max(SCALES, key=lambda scale: found[scale])
            model = merged(zoo, method, {**values, "scale": best}, place)
            line(name, f"{best:g}", accuracies(model, "holdout", HELD_OUT))


if __name__ == "__main__":
    main()
