"""Tensors that only some models have are merged, copied, left out or refused as by mergekit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file, save_file

from evomerge.api import merge
from evomerge.errors import MergeError
from evomerge.recipe import Recipe
from tests.parity.conftest import Zoo
from tests.parity.side_by_side import assert_same, by_mergekit, follow

pytestmark = pytest.mark.parity

WEIGHTED = {"weight": 0.4}
METHODS = {
    "linear": WEIGHTED,
    "karcher": {},
    "slerp": {"t": 0.3},
    "nuslerp": WEIGHTED,
    "multislerp": WEIGHTED,
    "task_arithmetic": WEIGHTED,
    "ties": {**WEIGHTED, "density": 0.5},
    "breadcrumbs": {**WEIGHTED, "density": 0.5},
    "model_stock": {},
    "sce": {"select_topk": 0.5},
    "nearswap": {"t": 0.01},
    "arcee_fusion": {},
    "ram": {"epsilon": 0.01},
    "ramplus_tl": {"epsilon": 0.01},
}
PAIRS = {"slerp", "nearswap", "arcee_fusion"}
# In float32 mergekit's rounding moves a few elements across the threshold.
DTYPES = {"arcee_fusion": "float64"}
# Who has biases, by model.
EVERYONE = ("base", "expert_1", "expert_2")
BASE_AND_ONE = ("base", "expert_1")
BASE_ALONE = ("base",)

REFUSED = {("nuslerp", BASE_AND_ONE), ("multislerp", BASE_ALONE)}


@pytest.fixture(scope="module")
def models(module_folder: Path, zoo: Zoo) -> dict[str, Path]:
    """Models of a family that neither program knows: by name, ``with`` and ``without`` biases."""
    found = {}
    for seed, name in enumerate(EVERYONE):
        folder = Path(zoo({"model": f"llama/{name}"})["model"])
        found[f"{name} without"] = copytree(folder, module_folder / f"{name}_without")
        found[f"{name} with"] = copytree(folder, module_folder / f"{name}_with")
        _renamed(found[f"{name} without"])
        _renamed(found[f"{name} with"], attention_bias=True)
        _with_biases(found[f"{name} with"], seed)
    return found


def _renamed(folder: Path, **changes) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text("utf-8"))
    changes["architectures"] = ["NobodysForCausalLM"]
    file.write_text(json.dumps({**config, **changes}), "utf-8")


def _with_biases(folder: Path, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if "self_attn" in name]:
        bias = torch.randn(len(tensors[name]), generator=generator)
        tensors[name.replace(".weight", ".bias")] = bias
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def recipe(method: str, models: dict[str, Path], biased: Sequence[str]) -> dict[str, object]:
    folders = {
        name: str(models[f"{name} {'with' if name in biased else 'without'}"]) for name in EVERYONE
    }
    listed = EVERYONE[:2] if method in PAIRS else EVERYONE
    tree = {
        "merge_method": method,
        "models": [{"model": folders[name]} for name in listed],
        "parameters": METHODS[method],
        "dtype": DTYPES.get(method, "float32"),
    }
    return {**tree, "base_model": folders["base"]}


@pytest.mark.parametrize("biased", [EVERYONE, BASE_AND_ONE, BASE_ALONE], ids=" ".join)
@pytest.mark.parametrize("method", METHODS)
def test_partial_tensors(tmp_path: Path, models: dict[str, Path], method: str, biased: tuple):
    tree = recipe(method, models, biased)
    if (method, biased) not in REFUSED:
        assert_same(follow(tree, tmp_path))
        return
    with pytest.raises(MergeError, match=r"_proj\.bias: only .* has this tensor"):
        merge(Recipe.from_tree(tree), tmp_path / "ours")
    with pytest.raises(ValueError, match="non-base inputs"):
        by_mergekit(tree, tmp_path / "theirs")


# Tensors that mergekit does not write for this family, and that do not stand in its way.
FREQUENCIES = "model.layers.{}.self_attn.rotary_emb.inv_freq"


@pytest.mark.parametrize("old", [EVERYONE, ("expert_1", "expert_2"), BASE_AND_ONE, BASE_ALONE])
@pytest.mark.parametrize("method", METHODS)
def test_frequencies_of_old_checkpoints_do_not_count(
    tmp_path: Path, zoo: Zoo, method: str, old: tuple[str, ...]
):
    models = {}
    for name in EVERYONE:
        folder = Path(zoo({"model": f"llama/{name}"})["model"])
        models[f"{name} without"] = folder
        models[f"{name} with"] = copytree(folder, tmp_path / name)
        tensors = load_file(folder / "model.safetensors")
        tensors |= {FREQUENCIES.format(layer): torch.ones(4) for layer in range(4)}
        save_file(tensors, tmp_path / name / "model.safetensors", {"format": "pt"})
    pair = follow(recipe(method, models, old), tmp_path)
    assert_same(
        pair,
        ours_as_theirs=lambda tensors: {
            name: tensor for name, tensor in tensors.items() if not name.endswith("inv_freq")
        },
    )
