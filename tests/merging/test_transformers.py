"""transformers loads every model we write, and finds in it what the recipe says.

The expected model is put together by hand: torch arithmetic on the tensors of the models' files,
written next to a config.json with the layers counted by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from evomerge.api import merge
from evomerge.recipe import Recipe
from evomerge.zoo.random_models import FAMILIES, Options, random_model, random_siblings

LAYERS = 3
# A layer's number is the first in a name; experts are counted behind it.
NUMBERED = re.compile(r"^(\D*\.)(\d+)(\..*)$")
BEHIND = re.compile(r"^((model|transformer|gpt_neox)\.)?(norm|ln_f|final_layer_norm)\.")
HEADS = ("lm_head.weight", "embed_out.weight")

VARIANTS = [
    *(pytest.param((family, Options(layers=LAYERS)), id=family) for family in FAMILIES),
    *(
        pytest.param((family, Options(layers=LAYERS, tied=True)), id=f"{family} tied")
        for family in FAMILIES
    ),
    *(
        pytest.param(
            (family, Options(layers=LAYERS, tied=tied, original=True)), id=f"first {family}"
        )
        for family, tied in (("gpt2", True), ("gpt_neox", False))
    ),
    pytest.param(("llama", Options(layers=LAYERS, shard_bytes=20_000)), id="llama in shards"),
]


@pytest.fixture(params=VARIANTS)
def models(request: pytest.FixtureRequest, tmp_path: Path) -> Sequence[Path]:
    """A base and two models fine-tuned from it."""
    family, options = request.param
    base, experts = random_siblings(tmp_path / "models", family, 2, options=options)
    return (base, *experts)


def weights(folder: Path) -> dict[str, Tensor]:
    shards = [load_file(shard) for shard in sorted(folder.glob("*.safetensors"))]
    return {name: tensor for shard in shards for name, tensor in shard.items()}


def config(folder: Path) -> dict[str, object]:
    return json.loads((folder / "config.json").read_text("utf-8"))


def by_hand(folder: Path, tensors: Mapping[str, Tensor], settings: Mapping[str, object]) -> Path:
    folder.mkdir()
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(whole, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(settings), "utf-8")
    return folder


def made(tree: Mapping[str, object], out: Path) -> Path:
    return merge(Recipe.from_tree(tree), out)


def logits(folder: Path, dtype: torch.dtype = torch.float32) -> Tensor:
    """Of twelve tokens; fails unless the file and the model have the same tensors."""
    model, found = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, output_loading_info=True
    )
    assert not any(found.values()), found
    with torch.no_grad():
        return model(torch.arange(3, 15)[None], attention_mask=torch.ones(1, 12)).logits[0]


def test_a_mean_computes_what_the_mean_by_hand_does(tmp_path: Path, models: Sequence[Path]):
    base, first, second = models
    tree = {
        "merge_method": "linear",
        "models": [
            {"model": str(first), "parameters": {"weight": 1}},
            {"model": str(second), "parameters": {"weight": 3}},
        ],
    }
    one, other = weights(first), weights(second)
    mean = {
        name: 0.25 * tensor + 0.75 * other[name] if tensor.is_floating_point() else tensor
        for name, tensor in one.items()
    }
    expected = by_hand(tmp_path / "expected", mean, config(first))
    merged = made(tree, tmp_path / "merged")
    assert logits(merged).equal(logits(expected))
    assert not logits(merged).equal(logits(base))


def test_a_stack_computes_what_the_stack_by_hand_does(tmp_path: Path, models: Sequence[Path]):
    """Layers 0 and 1 of the first, then 1 and 2 of the second: one deeper than either."""
    _, first, second = models
    tree = {
        "merge_method": "passthrough",
        "slices": [
            {"sources": [{"model": str(first), "layer_range": [0, 2]}]},
            {"sources": [{"model": str(second), "layer_range": [1, 3]}]},
        ],
    }
    origins = [(first, 0), (first, 1), (second, 1), (second, 2)]
    expected = by_hand(
        tmp_path / "expected", stacked(origins), stacked_config(config(first), origins)
    )
    merged = made(tree, tmp_path / "merged")
    assert logits(merged).equal(logits(expected))


def test_layers_may_stand_in_another_order(tmp_path: Path, models: Sequence[Path]):
    """The kinds of layers, such as sliding windows, move with them."""
    _, first, second = models
    origins = [(second, 2), (first, 0), (first, 0), (second, 1)]
    slices = [
        {"sources": [{"model": str(model), "layer_range": [layer, layer + 1]}]}
        for model, layer in origins
    ]
    tree = {"merge_method": "passthrough", "base_model": str(first), "slices": slices}
    expected = by_hand(
        tmp_path / "expected", stacked(origins), stacked_config(config(first), origins)
    )
    merged = made(tree, tmp_path / "merged")
    assert logits(merged).equal(logits(expected))


def stacked(origins: Sequence[tuple[Path, int]]) -> dict[str, Tensor]:
    """The embedding of the first model, the layers, the final norm and the head of the last."""
    (first, _), (last, _) = origins[0], origins[-1]
    tensors = {
        name: tensor
        for model, behind in ((first, False), (last, True))
        for name, tensor in weights(model).items()
        if not NUMBERED.match(name) and is_behind(name) == behind
    }
    for number, (model, layer) in enumerate(origins):
        for name, tensor in weights(model).items():
            found = NUMBERED.match(name)
            if found and int(found[2]) == layer:
                tensors[f"{found[1]}{number}{found[3]}"] = tensor
    return tensors


def is_behind(name: str) -> bool:
    return name in HEADS or BEHIND.match(name) is not None


def stacked_config(
    settings: Mapping[str, object], origins: Sequence[tuple[Path, int]]
) -> dict[str, object]:
    changed = dict(settings)
    changed["n_layer" if "n_layer" in settings else "num_hidden_layers"] = len(origins)
    if "layer_types" in settings:
        changed["layer_types"] = [settings["layer_types"][layer] for _, layer in origins]
    return changed


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_written_type_is_the_loaded_one(tmp_path: Path, dtype: str):
    base, (expert,) = random_siblings(tmp_path / "models", "qwen2", 1)
    tree = {
        "merge_method": "task_arithmetic",
        "base_model": str(base),
        "models": [{"model": str(expert), "parameters": {"weight": 0.5}}],
        "dtype": "float32",
        "out_dtype": dtype,
    }
    merged = made(tree, tmp_path / "merged")
    model = AutoModelForCausalLM.from_pretrained(merged, dtype="auto")
    assert model.dtype == getattr(torch, dtype)
    assert logits(merged).isfinite().all()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["tied first", "untied first"])
def test_a_tied_and_an_untied_model_make_an_untied_one(tmp_path: Path, order: tuple[int, int]):
    """The tied model lends its embedding to the mean of the heads."""
    kinds = [
        random_model(tmp_path / "tied", options=Options(tied=True)),
        random_model(tmp_path / "untied", seed=1),
    ]
    first, second = (kinds[i] for i in order)
    tree = {
        "merge_method": "linear",
        "models": [{"model": str(first)}, {"model": str(second)}],
        "parameters": {"weight": 0.5},
    }
    one, other = weights(first), weights(second)
    for tensors in (one, other):
        tensors.setdefault("lm_head.weight", tensors["model.embed_tokens.weight"])
    mean = {name: 0.5 * tensor + 0.5 * other[name] for name, tensor in one.items()}
    settings = {**config(first), "tie_word_embeddings": False}
    expected = by_hand(tmp_path / "expected", mean, settings)
    merged = made(tree, tmp_path / "merged")
    assert config(merged)["tie_word_embeddings"] is False
    assert logits(merged).equal(logits(expected))


def test_a_head_from_an_empty_slice(tmp_path: Path):
    """A last slice without layers gives the final norm and the head."""
    base, (expert,) = random_siblings(tmp_path / "models", count=1)
    tree = {
        "merge_method": "passthrough",
        "slices": [
            {"sources": [{"model": str(base), "layer_range": [0, 2]}]},
            {"sources": [{"model": str(expert), "layer_range": [2, 2]}]},
        ],
    }
    tensors = {n: (weights(expert) if is_behind(n) else weights(base))[n] for n in weights(base)}
    expected = by_hand(tmp_path / "expected", tensors, config(base))
    assert logits(made(tree, tmp_path / "merged")).equal(logits(expected))


def test_the_generation_settings_come_along(tmp_path: Path):
    _, (expert,) = random_siblings(tmp_path / "models", count=1)
    tree = {"merge_method": "passthrough", "models": [{"model": str(expert)}]}
    merged = made(tree, tmp_path / "merged")
    found, expected = (
        AutoModelForCausalLM.from_pretrained(folder).generation_config.to_dict()
        for folder in (merged, expert)
    )
    assert found == expected
    assert found["pad_token_id"] == 0
