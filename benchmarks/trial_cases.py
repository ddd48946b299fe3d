"""What the trials of `benchmarks/search.py` are made of: models, and questions to ask of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from big_models import find_family
from evaluate import WORDS, write_task

from evomerge.zoo import build
from evomerge.zoo.random_models import Options, random_siblings
from evomerge.zoo.small_tokenizers import byte_tokenizer

ROOT = Path(__file__).parent.parent
BATCH = 64
# Where candidates are, for every method: near the base.
WEIGHT, DENSITY = (0.1, 0.6), (0.3, 0.9)
WITH_DENSITY = ("ties", "dare_ties")


@dataclass(frozen=True)
class Case:
    """Models, and questions to ask of each candidate.

    Attributes:
        models: their folders by alias, the base first.
        include_path: where the tasks are.
        tasks: their names; the objective is the mean accuracy.
        dtype: of the models, and of candidates.
        threads: how many the machine lends.
    """

    models: Mapping[str, Path]
    include_path: Path
    tasks: Sequence[str]
    dtype: str = "float32"
    threads: int = 1

    @property
    def base(self) -> Path:
        """The model that the others were made from."""
        return next(iter(self.models.values()))

    def config(self, method: str, optimizer: str = "cma", knots: int | None = None) -> dict:
        """A search over the weights of a merge, and over densities where the method has them.

        Args:
            method: linear, or one of those that add up task vectors.
            optimizer: its name; ``random`` and ``tpe`` are Optuna's.
            knots: of weights that change over the layers; None for one weight a model.
        """
        linear = method == "linear"
        hole: dict[str, object] = {"search": list(WEIGHT)} | ({"knots": knots} if knots else {})
        own: dict[str, object] = {"weight": hole}
        if method in WITH_DENSITY:
            own["density"] = {"search": list(DENSITY)}
        base, *experts = self.models
        models = [base, *experts] if linear else experts
        recipe = {
            "merge_method": method,
            "models": [{"model": alias, "parameters": own} for alias in models],
            "dtype": self.dtype,
        }
        sampled = {"name": "optuna", "sampler": optimizer}
        common = {"include_path": str(self.include_path), "metric": "acc", "batch_size": BATCH}
        return {
            "models": {alias: str(folder) for alias, folder in self.models.items()},
            "recipe": recipe if linear else recipe | {"base_model": base},
            "optimizer": sampled if optimizer in ("random", "tpe") else {"name": optimizer},
            "evaluators": {t: {"name": "lm_eval", "task": t} | common for t in self.tasks},
            "objectives": {"mean": list(self.tasks)} if len(self.tasks) > 1 else self.tasks[0],
            "budget": {"trials": 1},
            "device": "cpu",
            "resident": True,
            "threads": self.threads,
        }


def tiny(folder: Path) -> Case:
    """A base and two experts of 0.2 M random parameters; 200 short items of four answers."""
    write_short_task(folder)
    models = folder / "models"
    if not models.exists():
        options = Options(layers=5, hidden=64, tokenizer=byte_tokenizer(WORDS, size=400))
        random_siblings(models, options=options)
    names = ("base", "expert_1", "expert_2")
    return Case({name: models / name for name in names}, folder, ("items",))


def zoo(folder: Path) -> Case:
    """The zoo's base and three experts of half a million parameters; 750 items of three skills."""
    build(folder)
    skills = ("reverse", "upper", "sums")
    models = {name: folder / name for name in ("base", *skills)}
    return Case(models, ROOT / "evaluators" / "tasks", skills)


def big(folder: Path, layers: int) -> Case:
    """A base and three experts of 0.5 B random parameters at 24 layers; 200 short items."""
    write_short_task(folder)
    tokenizer = byte_tokenizer(WORDS, size=400)
    models = {}
    for path in find_family(
        folder.parent / ("family" if layers == 24 else f"family{layers}"), layers=layers
    ):
        place = folder / f"{layers}" / path.name
        if not place.exists():  # the same files, with a tokenizer beside them
            place.mkdir(parents=True)
            for file in path.iterdir():
                os.link(file, place / file.name)
            tokenizer.save_pretrained(place)
        models[path.name] = place
    cores = len(os.sched_getaffinity(0))
    return Case(models, folder, ("items",), "bfloat16", cores)


def write_short_task(folder: Path) -> None:
    """Writes items of a few words, whose answers are one word each."""
    folder.mkdir(parents=True, exist_ok=True)
    write_task(folder, prompt="{{text}}", words=4, answer=1)
