"""Every family's models are merged and stacked alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from evomerge.zoo.random_models import FAMILIES
from tests.parity.conftest import Zoo
from tests.parity.side_by_side import Tensors, assert_same, follow

pytestmark = pytest.mark.parity

# mergekit asks for masks of GPT-NeoX that only its first published files have.
KINDS = [*(family for family in FAMILIES if family != "gpt_neox"), "first_gpt2", "first_gpt_neox"]
EXPERTS = ("mixtral", "qwen3_moe")
# Where mergekit writes no config.json for another number of layers: layer_types stays as it was.
FIXED_DEPTH = ("qwen2", "qwen3", "gemma2", "gemma3")
# It counts the first layers, and does not follow them to other places.
WRONG = ("max_window_layers",)

MERGES = {
    "a mean": {"merge_method": "linear", "parameters": {"weight": [0.3, 0.8]}},
    "task vectors": {
        "merge_method": "task_arithmetic",
        "base_model": "{}/base",
        "parameters": {
            "weight": [{"filter": "q_proj", "value": 0.7}, {"value": -0.2}],
            "lambda": 0.8,
        },
    },
    "trims": {
        "merge_method": "ties",
        "base_model": "{}/base",
        "parameters": {"weight": 0.5, "density": 0.3},
    },
    "directions": {"merge_method": "karcher"},
}
STACKS = {
    "same depth": [(2, 4), (0, 2)],
    "deeper": [(0, 3), (1, 4)],
    "shallower": [(0, 1), (3, 4)],
}


def as_written_by_mergekit(tensors: Tensors) -> Tensors:
    """Our tensors, which have the names of the models' files, under those that mergekit writes."""
    renamed = dict(tensors)
    if "wte.weight" in renamed:
        renamed = {
            f"transformer.{n}": t for n, t in renamed.items() if not n.endswith(".attn.bias")
        }
    for name in [name for name in renamed if name.endswith("attention.bias")]:
        renamed[name] = renamed[name].float()  # a mask of true and false
    if any(".experts." in name for name in renamed):
        renamed = _fused(renamed)
    return renamed


def _fused(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """All experts of a layer in one tensor, as transformers 5 has them in memory."""
    groups: dict[tuple[str, str], dict[int, Tensor]] = {}
    fused = {}
    for name, tensor in tensors.items():
        found = re.fullmatch(r"(.*)\.experts\.(\d+)\.(\w+)\.weight", name)
        if found is None:
            fused[name.replace("block_sparse_moe", "mlp")] = tensor
        else:
            key = found[1].replace("block_sparse_moe", "mlp"), found[3]
            groups.setdefault(key, {})[int(found[2])] = tensor
    stacked = {key: torch.stack([e for _, e in sorted(g.items())]) for key, g in groups.items()}
    for prefix in {prefix for prefix, _ in stacked}:
        part = {kind: tensor for (owner, kind), tensor in stacked.items() if owner == prefix}
        gate, up = part.get("gate_proj", part.get("w1")), part.get("up_proj", part.get("w3"))
        fused[f"{prefix}.experts.gate_up_proj"] = torch.cat([gate, up], dim=1)
        fused[f"{prefix}.experts.down_proj"] = part.get("down_proj", part.get("w2"))
    return fused


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("merge", MERGES)
def test_models_are_merged_alike(tmp_path: Path, zoo: Zoo, kind: str, merge: str):
    if kind in EXPERTS and merge not in {"a mean", "task vectors"}:
        pytest.skip("mergekit joins all experts of a layer before it merges them")
    tree = {**MERGES[merge], "models": [{"model": f"{kind}/expert_{n}"} for n in (1, 2, 3)]}
    if "base_model" in tree:
        tree["base_model"] = f"{kind}/base"
    pair = follow(zoo({**tree, "dtype": "float32"}), tmp_path)
    assert_same(pair, ours_as_theirs=as_written_by_mergekit)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stack", STACKS)
def test_layers_are_stacked_alike(tmp_path: Path, zoo: Zoo, kind: str, stack: str):
    if kind in FIXED_DEPTH and stack != "same depth":
        pytest.skip("mergekit cannot write such a config.json")
    slices = [
        {"sources": [{"model": f"{kind}/expert_{n}", "layer_range": list(layers)}]}
        for n, layers in enumerate(STACKS[stack], 1)
    ]
    tree = {"merge_method": "passthrough", "slices": slices, "dtype": "float32"}
    pair = follow(zoo(tree), tmp_path)
    assert_same(pair, ours_as_theirs=as_written_by_mergekit, config=WRONG)
