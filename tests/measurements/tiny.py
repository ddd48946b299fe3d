"""Random models that know a few words, and texts of these words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from evomerge.recipe.data import Data
from evomerge.zoo.random_models import Options, fine_tuned, random_model
from evomerge.zoo.small_tokenizers import byte_tokenizer

WORDS = ("the", "cat", "sat", "on", "a", "mat")


def models(folder: Path, family: str = "llama", **options: object) -> tuple[Path, Path]:
    """Two fine-tunes of one base."""
    sizes = {"layers": 2, "hidden": 16, "tokenizer": byte_tokenizer(WORDS), **options}
    base = random_model(folder / "base", family, options=Options(**sizes))
    return fine_tuned(folder / "one", base, seed=1), fine_tuned(folder / "other", base, seed=2)


def texts(folder: Path, count: int = 6, *, seed: int = 0, name: str = "texts.jsonl") -> Path:
    """Lines of two to nine words."""
    rng = np.random.default_rng(seed)
    lines = (" ".join(rng.choice(WORDS, rng.integers(2, 10))) for _ in range(count))
    file = folder / name
    file.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines), "utf-8")
    return file


def data(file: Path, **settings: object) -> Data:
    return Data(**{"file": str(file), "items": 6, "batch": 4, "length": 12, **settings})
