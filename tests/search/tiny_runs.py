"""Searches over real models that take a fraction of a second a trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from evomerge.zoo.random_models import Options, random_siblings
from evomerge.zoo.small_tokenizers import byte_tokenizer

TEXT = "".join(f"{n} plus {n} is {2 * n}, and {n} times {n} is {n * n}.\n" for n in range(90))
OPTIMIZERS: Mapping[str, Mapping[str, object]] = {
    "cma": {"name": "cma", "population": 5},
    "catcma": {"name": "catcma"},
    "gp": {"name": "optuna", "sampler": "gp"},
    "tpe": {"name": "optuna", "sampler": "tpe"},
    "nsga2": {"name": "optuna", "sampler": "nsga2", "population": 4},
}


def family(folder: Path) -> Mapping[str, str]:
    """A base and two models made from it, by alias."""
    tokenizer = byte_tokenizer([TEXT], 262)
    base, experts = random_siblings(folder, options=Options(tokenizer=tokenizer))
    return {"base": str(base), "words": str(experts[0]), "sums": str(experts[1])}


def config(
    folder: Path, models: Mapping[str, str], optimizer: str = "cma", **changes: object
) -> Path:
    """Writes a config and what it names; the run goes to ``folder/run``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "text.txt").write_text(TEXT)
    (folder / "held.txt").write_text(TEXT.replace("plus", "and"))
    (folder / "parity.py").write_text(
        "def even(model, tokenizer):\n"
        "    row = next(model.parameters()).flatten()[:40]\n"
        "    return [float(value > 0) for value in row]\n"
    )
    weight = {"search": [-0.5, 1.5], "knots": 2}
    method: object = "ties" if optimizer == "cma" else {"choose": ["ties", "dare_ties"]}
    tree: dict[str, object] = {
        "run": "run",
        "seed": 5,
        "models": dict(models),
        "recipe": {
            "merge_method": method,
            "base_model": "base",
            "models": [
                {
                    "model": alias,
                    "parameters": {"weight": weight, "density": {"search": [0.2, 1]}},
                }
                for alias in ("words", "sums")
            ],
            "dtype": "float32",
        },
        "optimizer": OPTIMIZERS[optimizer],
        "evaluators": {
            "text": {"name": "perplexity", "file": "text.txt", "window": 32, "stride": 32},
            "even": {"name": "python", "function": "parity.py:even"},
        },
        "objectives": ["text", "even"] if optimizer == "nsga2" else "text",
        "budget": {"trials": 12},
        "simplify": {"steps": 3},
        **changes,
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(tree))
    return path
