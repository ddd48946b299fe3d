"""Tiny models of many families, as evaluators get them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from evomerge.evaluators.base import LoadedModel
from evomerge.evaluators.loading import load_model
from evomerge.zoo.random_models import FAMILIES, Options, random_model
from evomerge.zoo.small_tokenizers import word_tokenizer

WORDS = ("the", "cat", "sat", "on", "mat", "dog")
OPTIONS = Options(layers=4, tokenizer=word_tokenizer(WORDS))
KINDS = tuple(FAMILIES)
TEXT = ("the cat sat on the mat", "the dog sat on the cat on the mat on the dog")

load = partial(load_model, device="cpu", dtype="float32")


def made(folder: Path, kind: str = "llama", *, seed: int = 0, options: Options = OPTIONS) -> Path:
    return random_model(folder, kind, seed=seed, options=options)


def logits(loaded: LoadedModel) -> Tensor:
    with torch.no_grad():
        return loaded.model(torch.tensor([[1, 3, 4, 5, 6, 3, 7], [1, 4, 4, 3, 5, 5, 6]])).logits
