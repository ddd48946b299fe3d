"""Families of small models, recipes over them, and how two models in memory are told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from evomerge.api import merge
from evomerge.evaluators.base import LoadedModel
from evomerge.evaluators.loading import load_model
from evomerge.recipe import ModelReference, Recipe
from evomerge.workbench import Settings, Workbench
from evomerge.zoo.random_models import Options, random_siblings
from evomerge.zoo.small_tokenizers import word_tokenizer

CPU = Settings(device="cpu", resident=True, threads=2)
WORDS = [f"word{number}" for number in range(60)]


def siblings(folder: Path, family: str = "llama", **options) -> list[Path]:
    """A base and two models fine-tuned from it, with a tokenizer."""
    settings = Options(tokenizer=word_tokenizer(WORDS), **options)
    base, experts = random_siblings(folder, family, 2, options=settings)
    return [base, *experts]


def bench(models: Sequence[Path | str], settings: Settings = CPU) -> Workbench:
    return Workbench([ModelReference.of(model) for model in models], settings)


def recipe(method: str, base: Path | None, models: Sequence[Path], **rest) -> Recipe:
    """A recipe with these models.

    Keywords are keys of the recipe, or else parameters: lists hold one value for each model.
    """
    keys = {name: rest.pop(name) for name in list(rest) if name in Recipe.model_fields}
    entries = [
        {
            "model": str(model),
            "parameters": {n: v[i] for n, v in rest.items() if isinstance(v, list)},
        }
        for i, model in enumerate(models)
    ]
    shared = {name: value for name, value in rest.items() if not isinstance(value, list)}
    tree = {"merge_method": method, "models": entries, "parameters": shared} | keys
    if base is not None:
        tree["base_model"] = str(base)
    return Recipe.from_tree(tree)


def exported(asked: Recipe, out: Path) -> LoadedModel:
    """The model that the recipe makes, by way of a folder."""
    return load_model(merge(asked, out), device="cpu")


def logits(loaded: LoadedModel) -> torch.Tensor:
    tokens = torch.arange(3, 35).reshape(2, 16)
    with torch.no_grad():
        return loaded.model(tokens).logits


def assert_same(found: LoadedModel, expected: LoadedModel) -> None:
    """The same weights, the same class and settings, the same logits, to the last bit."""
    ours, theirs = found.model.state_dict(), expected.model.state_dict()
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype, name
        assert torch.equal(ours[name], tensor), name
    buffers = dict(expected.model.named_buffers())
    for name, buffer in found.model.named_buffers():
        assert torch.equal(buffer, buffers.pop(name)), name
    assert not buffers
    assert type(found.model) is type(expected.model)
    assert plain(found.model.config) == plain(expected.model.config)
    assert plain(found.model.generation_config) == plain(expected.model.generation_config)
    assert found.tokenizer.get_vocab() == expected.tokenizer.get_vocab()
    assert found.tokenizer.chat_template == expected.tokenizer.chat_template
    assert torch.equal(logits(found), logits(expected))


def plain(config: object) -> Mapping[str, object]:
    """What a config says, but for where it was read."""
    return {key: value for key, value in config.to_dict().items() if key != "_name_or_path"}
