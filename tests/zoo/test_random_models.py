"""Random models are real ones: transformers loads what the file says, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from evomerge.errors import EvomergeError
from evomerge.zoo.random_models import FAMILIES, Options, fine_tuned, random_model, random_siblings
from evomerge.zoo.small_tokenizers import word_tokenizer

FLOATS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    tensors = {}
    for shard in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(shard)
    return tensors


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(first[n].equal(second[n]) for n in first)


def logits(folder: Path) -> torch.Tensor:
    """Of ten tokens, in float32; fails unless file and model have the same tensors."""
    model, found = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert not any(found.values()), found
    with torch.no_grad():
        return model(torch.arange(3, 13)[None], attention_mask=torch.ones(1, 10)).logits[0]


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("tied", [False, True])
def test_transformers_loads_every_tensor(tmp_path: Path, family: str, tied: bool):
    folder = random_model(tmp_path / "model", family, options=Options(tied=tied))
    assert logits(folder).std() > 0.1
    heads = [name for name in weights(folder) if name in ("lm_head.weight", "embed_out.weight")]
    assert len(heads) == (not tied)
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is tied


def test_the_seed_decides_the_weights(tmp_path: Path, family: str):
    a, again, other = (
        random_model(tmp_path / name, family, seed=seed)
        for name, seed in {"a": 3, "again": 3, "other": 4}.items()
    )
    assert same(a, again)
    assert not any(tensor.equal(weights(other)[name]) for name, tensor in weights(a).items())


def test_global_randomness_is_left_alone(tmp_path: Path):
    torch.manual_seed(0)
    undisturbed = torch.rand(1)
    torch.manual_seed(0)
    random_model(tmp_path / "model")
    assert torch.rand(1).equal(undisturbed)


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_dtype_rounds_the_same_weights(tmp_path: Path, dtype: str):
    exact = weights(random_model(tmp_path / "exact", "qwen2"))
    folder = random_model(tmp_path / "rounded", "qwen2", options=Options(dtype=dtype))
    for name, tensor in weights(folder).items():
        assert tensor.equal(exact[name].to(FLOATS[dtype]))
    assert json.loads((folder / "config.json").read_text())["dtype"] == dtype


def test_shards_hold_the_same_weights(tmp_path: Path):
    whole = random_model(tmp_path / "whole")
    sharded = random_model(tmp_path / "sharded", options=Options(shard_bytes=20_000))
    index = json.loads((sharded / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2
    assert same(whole, sharded)
    assert logits(whole).equal(logits(sharded))


def test_experts_have_names_of_their_own_on_disk(tmp_path: Path):
    mixtral = weights(random_model(tmp_path / "mixtral", "mixtral"))
    assert mixtral["model.layers.1.block_sparse_moe.experts.3.w1.weight"].shape == (48, 32)
    qwen = weights(random_model(tmp_path / "qwen", "qwen3_moe"))
    assert qwen["model.layers.1.mlp.experts.3.gate_proj.weight"].shape == (16, 32)


def test_phi_fuses_its_projections(tmp_path: Path):
    phi = weights(random_model(tmp_path / "phi", "phi3"))
    assert phi["model.layers.0.self_attn.qkv_proj.weight"].shape == (32 + 16 + 16, 32)
    assert phi["model.layers.0.mlp.gate_up_proj.weight"].shape == (96, 32)


@pytest.mark.parametrize(
    ("family", "buffer"),
    [("gpt2", "h.1.attn.bias"), ("gpt_neox", "gpt_neox.layers.1.attention.rotary_emb.inv_freq")],
)
def test_the_original_files_compute_the_same(tmp_path: Path, family: str, buffer: str):
    today = random_model(tmp_path / "today", family, options=Options(tied=True))
    original = random_model(tmp_path / "then", family, options=Options(tied=True, original=True))
    assert buffer in weights(original)
    assert not any(name.startswith("transformer.") for name in weights(original))
    assert logits(today).equal(logits(original))
    assert weights(fine_tuned(tmp_path / "tuned", original))[buffer].equal(
        weights(original)[buffer]
    )


def test_the_options_are_the_sizes(tmp_path: Path, family: str):
    options = Options(layers=3, hidden=48, vocabulary=80)
    tensors = weights(random_model(tmp_path / "model", family, options=options))
    embedding = next(t for name, t in tensors.items() if "embed" in name or "wte" in name)
    assert embedding.shape == (80, 48)
    layers = {found[1] for name in tensors if (found := re.search(r"\.(\d+)\.", name))}
    assert layers == {"0", "1", "2"}


def test_a_tokenizer_sets_the_vocabulary_unless_it_is_given(tmp_path: Path):
    tokenizer = word_tokenizer(["the", "cat", "sat"])
    exact = random_model(tmp_path / "exact", options=Options(tokenizer=tokenizer))
    assert weights(exact)["model.embed_tokens.weight"].shape[0] == 7
    padded = Options(tokenizer=tokenizer, vocabulary=16)
    folder = random_model(tmp_path / "padded", options=padded)
    assert weights(folder)["model.embed_tokens.weight"].shape[0] == 16
    assert (folder / "tokenizer.json").exists()


def test_siblings_share_some_weights_with_their_base(tmp_path: Path):
    options = Options(dtype="bfloat16", shard_bytes=20_000)
    base, experts = random_siblings(tmp_path, "mistral", 3, options=options)
    assert [folder.name for folder in (base, *experts)] == [
        "base",
        "expert_1",
        "expert_2",
        "expert_3",
    ]
    before = weights(base)
    for expert in experts:
        kept = [after.eq(before[name]).float().mean() for name, after in weights(expert).items()]
        assert 0.2 < sum(kept) / len(kept) < 0.5
        assert logits(expert).sub(logits(base)).abs().max() > 0.01
    assert not same(*experts[:2])


def test_an_unknown_family_is_named(tmp_path: Path):
    with pytest.raises(EvomergeError, match="did you mean 'llama'"):
        random_model(tmp_path / "model", "lama")


def test_files_say_which_framework_wrote_them(tmp_path: Path):
    base, (expert,) = random_siblings(tmp_path, count=1)
    for folder in (base, expert):
        with safe_open(folder / "model.safetensors", "pt") as file:
            assert file.metadata() == {"format": "pt"}
