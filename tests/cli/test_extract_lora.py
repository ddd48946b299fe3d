"""``evomerge extract-lora``: a fine-tune becomes an adapter, and with it the fine-tune again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

import evomerge as package
from evomerge.adapters.extraction import extract
from evomerge.recipe import Recipe
from evomerge.zoo.random_models import Options, fine_tuned, random_model
from tests.adapters.updates import dense, near
from tests.checkpoint.peft_adapters import merged_by_peft

ATTENTION = "model.layers.0.self_attn.q_proj.weight"


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_at_full_rank_it_is_the_fine_tune_again_to_peft_and_to_us(
    family, tmp_path, monkeypatch, evomerge
):
    monkeypatch.chdir(tmp_path)
    base = random_model(Path("base"), family, options=Options(layers=2, hidden=16))
    fine_tuned(Path("tuned"), base, seed=1)
    code, out, _ = evomerge("extract-lora", "tuned", "--base", "base", "--rank", 8, "lora")
    assert code == 0
    config = json.loads(Path("lora/adapter_config.json").read_text())
    modules = config["target_modules"]
    assert modules == sorted(line.split()[0] for line in out.splitlines() if line.endswith("%"))
    evomerge("extract-lora", "tuned", "--base", "base", "--rank", 16, "whole")
    theirs = load_file(merged_by_peft(Path("theirs"), base, Path("whole")) / "model.safetensors")
    recipe = {"merge_method": "passthrough", "models": [{"model": "base+whole"}]}
    package.merge(Recipe.from_tree(recipe), "ours")
    ours, before, tuned = (load_file(f"{f}/model.safetensors") for f in ("ours", "base", "tuned"))
    for module in modules:
        name = f"{module}.weight"
        change = tuned[name] - before[name]
        assert near(ours[name] - before[name], change) <= 1e-5
        assert ours[name] == pytest.approx(theirs[name], abs=1e-6)


def test_what_is_kept_is_said_for_every_module(work, evomerge):
    code, out, err = evomerge("extract-lora", "maths", "--base", "base", "--rank", 2, "lora")
    assert (code, err) == (0, "")
    rows = dict(line.split() for line in out.splitlines() if line.endswith("%"))
    base, maths = (load_file(f"{f}/model.safetensors")[ATTENTION] for f in ("base", "maths"))
    values = np.linalg.svd((maths - base).astype(np.float64), compute_uv=False) ** 2
    share = float(values[:2].sum() / values.sum())
    assert float(rows[ATTENTION.removesuffix(".weight")].rstrip("%")) == pytest.approx(
        100 * share, abs=0.006
    )
    assert "changed, and not in the adapter: " in out
    assert "model.embed_tokens.weight" in out
    assert out.splitlines()[-1].startswith("lora: 14 matrices, rank 2, ")


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rank=st.integers(1, 6))
def test_the_iteration_finds_what_the_whole_decomposition_has(seed, rank):
    """On a matrix large enough to be iterated on, with a tail as fine-tunes have."""
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.standard_normal((n, 120)))[0] for n in (200, 150))
    values = np.arange(1, 121.0) ** -0.7
    matrix = ((u * values) @ v.T).astype(np.float32)
    found = extract(matrix, rank)
    assert found.kept == pytest.approx((values[:rank] ** 2).sum() / (values**2).sum(), rel=1e-3)
    best = (u[:, :rank] * values[:rank]) @ v[:, :rank].T
    assert np.linalg.norm(dense(found.update) - matrix) <= 1.01 * np.linalg.norm(best - matrix)


def test_no_difference_is_an_adapter_that_does_nothing(work, evomerge):
    assert evomerge("extract-lora", "base", "--base", "base", "--rank", 1, "lora")[0] == 0
    assert not any(a.any() for a in load_file("lora/adapter_model.safetensors").values())
