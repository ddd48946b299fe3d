"""Masks and frequencies, which only some checkpoints hold, are copied and never merged."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from evomerge.api import merge
from evomerge.recipe import Recipe
from evomerge.zoo.random_models import Options, random_siblings

FREQUENCIES = "model.layers.{}.self_attn.rotary_emb.inv_freq"
METHODS = {
    "linear": {"weight": 0.5},
    "slerp": {"t": 0.5},
    "nuslerp": {"weight": 0.5},
    "multislerp": {"weight": 0.5},
    "karcher": {},
    "task_arithmetic": {"weight": 0.5},
    "ties": {"weight": 0.5, "density": 0.5},
    "model_stock": {},
}


@pytest.fixture
def llamas(tmp_path: Path) -> dict[str, Path]:
    """A base and two experts, each with frequencies of its own (``old``) and without (``new``)."""
    base, experts = random_siblings(tmp_path / "models", count=2)
    found = {}
    for number, folder in enumerate((base, *experts)):
        name = f"{folder.name} old"
        found[f"{folder.name} new"] = folder
        found[name] = copytree(folder, tmp_path / name)
        file = found[name] / "model.safetensors"
        own = {FREQUENCIES.format(layer): torch.full((4,), number + 0.1) for layer in range(2)}
        save_file(load_file(file) | own, file, {"format": "pt"})
    return found


def merged(method: str, models: list[Path], out: Path) -> Path:
    listed = models[:2] if method == "slerp" else models
    tree = {
        "merge_method": method,
        "base_model": str(models[0]),
        "models": [{"model": str(folder)} for folder in listed],
        "parameters": METHODS[method],
        "dtype": "bfloat16",
    }
    return merge(Recipe.from_tree(tree), out)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("ages", "origin"),
    [
        (("old", "new", "new"), 0),
        (("new", "old", "new"), 1),
        (("new", "old", "old"), 1),
        (("old", "old", "old"), 0),
    ],
    ids=["base", "one", "both but the base", "all"],
)
def test_frequencies_are_the_bases_or_else_the_first(
    tmp_path: Path, llamas: dict[str, Path], method: str, ages: tuple[str, ...], origin: int
):
    names = ("base", "expert_1", "expert_2")
    models = [llamas[f"{name} {age}"] for name, age in zip(names, ages, strict=True)]
    out = merged(method, models, tmp_path / "out")
    tensors = load_file(out / "model.safetensors")
    for layer in range(2):
        found = tensors.pop(FREQUENCIES.format(layer))
        assert found.equal(torch.full((4,), origin + 0.1))  # not rounded to bfloat16
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    assert json.loads((out / "config.json").read_text("utf-8"))["dtype"] == "bfloat16"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["old base", "new base"])
def test_the_first_gpt2_merges_with_one_of_today(tmp_path: Path, order: tuple[int, int]):
    """One has masks and no prefix, the other a prefix and no masks."""
    pair = []
    for original in (True, False):
        options = Options(tied=True, original=original)
        base, _ = random_siblings(tmp_path / f"{original}", "gpt2", 1, options=options)
        pair.append(base)
    models = [pair[i] for i in order]
    out = merged("task_arithmetic", models, tmp_path / "out")
    names = load_file(out / "model.safetensors")
    assert len(names) == len(load_file(pair[0] / "model.safetensors"))
    assert any(name.startswith("transformer.") for name in names) == (order == (1, 0))
    _, found = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not any(found.values()), found
