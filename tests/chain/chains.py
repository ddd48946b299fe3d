"""Chains over real models that take a fraction of a second a trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.search.tiny_runs import TEXT

HOLE: Mapping[str, object] = {"search": [-0.5, 1.5]}
CMA: Mapping[str, object] = {"name": "cma", "population": 4}


def blend(*models: str, **changes: object) -> dict[str, object]:
    """A stage that searches the weights of some models over the base."""
    entries = [{"model": model, "parameters": {"weight": HOLE}} for model in models]
    return {
        "recipe": {
            "merge_method": "task_arithmetic",
            "base_model": "base",
            "models": entries,
            "dtype": "float32",
        },
        "optimizer": CMA,
        "budget": {"trials": 5},
        **changes,
    }


def stack(*models: str, layers: int = 3, **changes: object) -> dict[str, object]:
    """A stage that searches whose layer stands at each height."""
    slices = [
        {"sources": [{"model": {"choose": list(models)}, "layer_range": [at, at + 1]}]}
        for at in range(layers)
    ]
    return {
        "recipe": {"merge_method": "passthrough", "slices": slices, "dtype": "float32"},
        "optimizer": {"name": "optuna", "sampler": "random"},
        "budget": {"trials": 4},
        **changes,
    }


def config(
    folder: Path, models: Mapping[str, str], stages: Mapping[str, object], **changes: object
) -> Path:
    """Writes a chain and what it names; it goes to ``folder/run``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "text.txt").write_text(TEXT)
    (folder / "held.txt").write_text(TEXT.replace("plus", "and"))
    tree: dict[str, object] = {
        "run": "run",
        "seed": 5,
        "models": dict(models),
        "evaluators": {"text": perplexity("text.txt")},
        "objectives": "text",
        "holdout": {"text": perplexity("held.txt")},
        "stages": dict(stages),
        "simplify": False,
        **changes,
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps({key: value for key, value in tree.items() if value is not None}))
    return path


def perplexity(file: str) -> Mapping[str, object]:
    return {"name": "perplexity", "file": file, "window": 32, "stride": 32, "batch_size": 64}
