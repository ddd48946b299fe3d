"""What it takes to build a stack of layers in memory, on the zoo.

    python benchmarks/stack_candidates.py [--zoo demo/zoo] [--stacks 50] [--threads 1]

Random stacks of three to eight layers of three models, each of another order, with and without
scales; beside them the model that transformers loads from a folder, the way candidates of a new
depth were made before. Medians; processor time beside wall time, since the machine may be busy.
Writes a table in Markdown on standard output.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from evomerge.families import FAMILIES
from evomerge.merging.folder import documents_of
from evomerge.recipe import ModelReference, Recipe
from evomerge.stacks import Hop, slices_of
from evomerge.workbench import Settings, Workbench
from evomerge.workbench.mould import load

MODELS = ("base", "reverse", "sums")
LAYERS = 4
WARM_UP = 10
# A candidate without scales is to stay below.
AIM_MS = 20

LLAMA = next(family for family in FAMILIES if family.name == "Llama")


@dataclass(frozen=True)
class Taken:
    """Milliseconds of one candidate: by the clock, and of processors."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Taken:
    """How long ``work`` takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Taken(1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu))


def stacks(models: list[ModelReference], count: int, scales: tuple[float, ...]) -> Iterator[Recipe]:
    """Always the same ones."""
    draw = random.Random(0)
    for _ in range(count):
        hops = tuple(
            Hop(draw.choice(models), draw.randrange(LAYERS), draw.choice(scales))
            for _ in range(draw.randint(3, 8))
        )
        slices = slices_of(hops, models[0], LLAMA)
        yield Recipe.from_tree({"merge_method": "passthrough", "slices": slices})


def loaded(bench: Workbench, recipe: Recipe, settings: Settings) -> None:
    """Has transformers load the model of a recipe, without its weights."""
    plan = bench.plan(recipe)
    live, mould = load(plan, documents_of(plan), settings, Path)
    live.close()
    mould.close()


def resident_bytes() -> int:
    """What this process holds in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def row(title: str, taken: list[Taken], aim: str = "") -> None:
    """One line of the table."""
    wall, cpu = median(each.wall for each in taken), median(each.cpu for each in taken)
    print(f"| {title} | {wall:.1f} | {cpu:.1f} | {aim} |", flush=True)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--zoo", type=Path, default=Path("demo/zoo"))
    parser.add_argument("--stacks", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    models = [ModelReference.of(options.zoo / name) for name in MODELS]
    settings = Settings(device="cpu", resident=True, threads=options.threads)
    kinds = {"without scales": (1.0,), "a scale at half of the hops": (1.0, 0.9, 1.1, 1.0)}
    print("| a stack of 3 to 8 layers | ms | ms of processors | aim |\n|---|---|---|---|")
    with Workbench(models, settings) as bench:
        for title, scales in kinds.items():
            asked = list(stacks(models, options.stacks + WARM_UP, scales))
            for recipe in asked[:WARM_UP]:
                bench.build(recipe)
            before = resident_bytes()
            taken = [timed(lambda recipe=recipe: bench.build(recipe)) for recipe in asked[WARM_UP:]]
            row(title, taken, str(AIM_MS) if len(scales) == 1 else "")
            grown = (resident_bytes() - before) / 1e6
            planned = [
                timed(lambda recipe=recipe: bench.plan(recipe)) for recipe in asked[WARM_UP:]
            ]
            row(f"of that, the plan (memory grew by {grown:.1f} MB)", planned)
        plain = list(stacks(models, options.stacks, (1.0,)))
        taken = [timed(lambda recipe=recipe: loaded(bench, recipe, settings)) for recipe in plain]
        row("loaded by transformers instead", taken)


if __name__ == "__main__":
    main()
