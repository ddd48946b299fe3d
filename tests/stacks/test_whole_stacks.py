"""Stacks of every family load in transformers, with every layer as it was, and generate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from evomerge.api import merge
from evomerge.checkpoint.source import open_source
from evomerge.families import PER_LAYER_LISTS, Family, family_of
from evomerge.recipe import ModelReference, Recipe
from evomerge.stacks import Hop, slices_of
from evomerge.zoo.random_models import FAMILIES, fine_tuned
from tests.stacks.families import loaded, made

KINDS = (*FAMILIES, "deepseek3", "falcon", "olmo3", "smollm3")
# A dense layer in front keeps its place; layers come again, from two models, in another order.
ORDER = [(0, 0), (0, 1), (0, 1), (1, 3), (0, 2), (0, 1), (1, 2)]


def assert_kinds_follow(source: Path, stack: Path) -> None:
    """Lists in config.json with an entry for each layer have those of the layers."""
    before, after = (json.loads((each / "config.json").read_text()) for each in (source, stack))
    for key in PER_LAYER_LISTS:
        if key in before:
            assert after[key] == [before[key][layer] for _, layer in ORDER]


def assert_layers_are_those(stack: Path, models: list[Path], family: Family) -> None:
    """Every tensor of every layer, but those that a scale is folded into."""
    ours = load_file(stack / "model.safetensors")
    theirs = [load_file(model / "model.safetensors") for model in models]
    roots = {name.removesuffix(family.bare(name)) for name in ours if family.layer_of(name) == 0}
    (root,) = roots
    assert family.residual is not None
    folded = (*family.residual.writers, *family.residual.gains, *family.residual.readers)
    seen = set()
    for name, tensor in ours.items():
        place = family.layer_of(name)
        if place is not None and not any(part in name for part in folded):
            model, layer = ORDER[place]
            there = root + family.numbered(family.unnumbered(name), layer)
            assert torch.equal(tensor, theirs[model][there])
            seen.add(place)
    assert seen == set(range(len(ORDER)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_generates_the_same_with_and_without_its_cache(tmp_path: Path, kind: str):
    base = made(tmp_path / "base", kind)
    models = [base, fine_tuned(tmp_path / "expert", base)]
    references = [ModelReference.of(model) for model in models]
    source = open_source(references[0])
    family = family_of(source.config, source.names(), source.label)
    scales = [1.0, 0.9, 1.0, 1.1, 1.0, 1.0, 0.8]
    stack = tuple(
        Hop(references[model], layer, scale)
        for (model, layer), scale in zip(ORDER, scales, strict=True)
    )
    slices = slices_of(stack, references[0], family)
    tree = {"merge_method": "passthrough", "slices": slices, "dtype": "float32"}
    out = merge(Recipe.from_tree(tree), tmp_path / "stack")
    assert_kinds_follow(base, out)
    assert_layers_are_those(out, models, family)
    model = loaded(out)
    assert model.config.num_hidden_layers == len(ORDER)
    tokens = torch.arange(3, 23).reshape(1, 20)  # longer than the windows
    settings = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    cached, whole = (
        model.generate(tokens, use_cache=use, **settings).tolist() for use in (True, False)
    )
    assert cached == whole
