"""Methods that look at data, beside those that do not, on the experts of a zoo: held-out accuracy.

    python benchmarks/data_methods.py ZOO

Each expert is shown the items of its own task that a search may see; what is scored are the items
of the holdout. Nothing is tuned, but the weight 0.15 of task arithmetic, which is the best that
`benchmarks/zoo.py` finds, on the holdout itself.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import evomerge
from evomerge.evaluators.loading import load_model
from evomerge.recipe import Recipe
from evomerge.zoo.scoring import score
from evomerge.zoo.tasks import Item

TASKS = ("reverse", "sums", "upper")
ITEMS = 250

# What is tried: a method and its parameters.
TRIED: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "linear": ("linear", {"weight": 1}),
    "task_arithmetic, weight 1/3": ("task_arithmetic", {"weight": 0.3333}),
    "task_arithmetic, weight 0.15": ("task_arithmetic", {"weight": 0.15}),
    "task_arithmetic, weight 1": ("task_arithmetic", {"weight": 1}),
    "ties, density 0.2": ("ties", {"weight": 1, "density": 0.2}),
    "regmean": ("regmean", {}),
    "regmean, alpha 1": ("regmean", {"alpha": 1}),
    "fisher": ("fisher", {}),
    "fisher, floor 0": ("fisher", {"floor": 0}),
    "fisher, normalize": ("fisher", {"normalize": True}),
    "fisher, empirical": ("fisher", {"empirical": True}),
}
WITH_BASE = {"task_arithmetic", "ties"}


def recipe(zoo: Path, method: str, parameters: Mapping[str, object]) -> Recipe:
    """The merge of the three experts."""
    models = [
        {
            "model": str(zoo / task),
            "data": {"file": str(zoo / "data" / f"{task}_search.jsonl"), "items": ITEMS},
        }
        for task in TASKS
    ]
    tree = {"merge_method": method, "models": models, "parameters": dict(parameters)}
    if method in WITH_BASE:
        tree["base_model"] = str(zoo / "base")
    return Recipe.from_tree(tree)


def items(zoo: Path, task: str) -> list[Item]:
    """The held-out items of a task."""
    lines = (zoo / "data" / f"{task}_holdout.jsonl").read_text("utf-8").splitlines()
    return [Item(row["prompt"], row["answer"]) for row in map(json.loads, lines)]


def accuracies(zoo: Path, folder: Path) -> Iterator[float]:
    """Of a model, on each task."""
    loaded = load_model(folder, device="cpu")
    for task in TASKS:
        yield score(loaded.model, loaded.tokenizer, items(zoo, task)).accuracy


def main(zoo: Path) -> None:
    """Prints the table."""
    print(f"| model | {' | '.join(TASKS)} | mean | seconds |\n|---|{'---|' * 5}")
    for name in ("base", *TASKS):
        line(name, list(accuracies(zoo, zoo / name)), 0.0)
    with TemporaryDirectory() as scratch:
        for number, (name, (method, parameters)) in enumerate(TRIED.items()):
            begun = time.perf_counter()
            made = evomerge.merge(recipe(zoo, method, parameters), Path(scratch) / str(number))
            line(name, list(accuracies(zoo, made)), time.perf_counter() - begun)


def line(name: str, found: list[float], seconds: float) -> None:
    """Prints one row."""
    shown = " | ".join(f"{each:.3f}" for each in [*found, sum(found) / len(found)])
    print(f"| {name} | {shown} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
