"""DoRA's lengths, biases and whole modules: averaged beside the updates, for PEFT to read."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from shutil import copytree

import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM

import evomerge
from evomerge.recipe.adapters import AdapterRecipe
from evomerge.zoo.random_models import Options, random_model
from tests.adapters.assembled import by_hand, peft_model
from tests.checkpoint.peft_adapters import merged_by_peft, trained

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
    # What PEFT says of heads that are tied to an embedding, or are no more.
    pytest.mark.filterwarnings("ignore:.*(tie_word_embeddings|no longer tied):UserWarning"),
]

QV = ["q_proj", "v_proj"]
DORA = {"target_modules": [*QV, "down_proj"], "use_dora": True}
HEAD, BIAS = "lm_head.weight", "model.layers.0.self_attn.q_proj.bias"
EMBEDDED = ["embed_tokens", "q_proj"]
# A family, and what the first and the second adapter train.
CASES = {
    "biases": (
        "qwen2",
        {"target_modules": QV, "bias": "all"},
        {"target_modules": ["k_proj", "v_proj"], "bias": "all"},
    ),
    "biases of two kinds": (
        "qwen2",
        {"target_modules": QV, "bias": "lora_only"},
        {"target_modules": QV, "lora_bias": True, "use_rslora": True},
    ),
    "biases of norms": (
        "gpt2",
        {"target_modules": ["c_attn"], "bias": "all", "fan_in_fan_out": True},
        {"target_modules": ["c_attn", "c_fc"], "fan_in_fan_out": True},
    ),
    "modules": (
        "llama",
        {"target_modules": QV, "modules_to_save": ["lm_head", "mlp"]},
        {"target_modules": QV, "modules_to_save": ["lm_head", "model.norm", "layers.1.mlp"]},
    ),
    "a module with a bias": (
        "gpt2",
        {"target_modules": ["c_attn"], "modules_to_save": ["ln_f"], "fan_in_fan_out": True},
        {"target_modules": ["c_attn"], "bias": "all", "fan_in_fan_out": True},
    ),
    "lengths": ("llama", DORA, {**DORA, "use_rslora": True, "rank_pattern": {"v_proj": 5}}),
    "lengths of one": ("llama", DORA, {"target_modules": [*QV, "down_proj", "up_proj"]}),
    "lengths of turned matrices": (
        "gpt2",
        {"target_modules": ["c_attn", "c_proj"], "use_dora": True, "fan_in_fan_out": True},
        {"target_modules": ["c_attn"], "fan_in_fan_out": True},
    ),
    "lengths of an embedding": (
        "llama",
        {"target_modules": EMBEDDED, "use_dora": True},
        {"target_modules": EMBEDDED},
    ),
    "embeddings": ("llama", {"target_modules": [*EMBEDDED, "lm_head"]}, {"target_modules": QV}),
    "all at once": (
        "qwen2",
        {**DORA, "bias": "all", "modules_to_save": ["lm_head"]},
        {"target_modules": ["q_proj"], "lora_bias": True, "modules_to_save": ["norm"]},
    ),
    "a head that is tied no more": (
        "tied",
        {"target_modules": QV, "modules_to_save": ["lm_head"]},
        {"target_modules": QV, "modules_to_save": ["embed_tokens"]},
    ),
    "a head that stays tied": (
        "tied",
        {
            "target_modules": QV,
            "modules_to_save": ["embed_tokens"],
            "ensure_weight_tying": True,
        },
        {"target_modules": QV},
    ),
    "an adapted head of its own": (
        "tied",
        {"target_modules": ["lm_head"], "modules_to_save": ["embed_tokens"]},
        {"target_modules": ["lm_head", "q_proj"], "modules_to_save": ["embed_tokens"]},
    ),
}


@pytest.fixture(params=CASES)
def adapters(request, tmp_path) -> tuple[Path, list[Path]]:
    """A base and two real adapters."""
    family, *settings = CASES[request.param]
    tied = family == "tied"
    options = Options(tied=tied, layers=2)
    base = random_model(tmp_path / "base", "llama" if tied else family, options=options)
    return base, [
        trained(tmp_path / name, base, seed=seed, r=seed + 1, lora_alpha=6, **each)
        for seed, (name, each) in enumerate(zip(("first", "second"), settings, strict=True), 1)
    ]


def recipe(base: Path, adapters: list[Path], **more: object) -> AdapterRecipe:
    weighted = [
        {"adapter": str(adapter), "parameters": {"weight": weight}}
        for adapter, weight in zip(adapters, (1, 3), strict=True)
    ]
    tree = {"merge_method": "linear", "base_model": str(base), "adapters": weighted}
    return AdapterRecipe.from_tree(tree | more)


def near(found: dict, expected: dict) -> None:
    assert found.keys() <= expected.keys()
    for name, array in found.items():
        assert array == pytest.approx(expected[name], abs=2e-6), name


def test_what_is_written_is_what_is_put_together_by_hand(adapters, tmp_path):
    """By PEFT, by transformers and by us; with shares of a quarter and the rest, and scaled."""
    base, both = adapters
    settings = {"parameters": {"scale": 0.7}}
    expected = by_hand(base, both, (0.25, 0.75), 0.7)
    adapter = evomerge.merge(recipe(base, both, **settings), tmp_path / "adapter")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*one matrix")
        model = evomerge.merge(recipe(base, both, **settings, output="model"), tmp_path / "model")
    ours = load_file(model / "model.safetensors")
    theirs = load_file(merged_by_peft(tmp_path / "theirs", base, adapter) / "model.safetensors")
    near(ours, expected)
    near(theirs, ours)
    assert ours.keys() == theirs.keys()
    by_peft, by_transformers = peft_model(base, adapter), AutoModelForCausalLM.from_pretrained(base)
    found = by_transformers.load_adapter(str(adapter))
    assert not found.missing_keys
    assert not found.unexpected_keys
    tokens = torch.tensor([[1, 2, 9, 1]])
    with torch.no_grad():
        logits = by_peft(tokens).logits
        assert torch.allclose(by_transformers.eval()(tokens).logits, logits, atol=1e-5)
        whole = AutoModelForCausalLM.from_pretrained(model).eval()
        assert torch.allclose(whole(tokens).logits, logits, atol=1e-4)


@pytest.fixture
def decomposed(tmp_path) -> tuple[Path, list[Path]]:
    """Two adapters with lengths, a head and biases of their own."""
    base = random_model(tmp_path / "base", "qwen2", options=Options(layers=1))
    settings = {**DORA, "r": 2, "bias": "all", "modules_to_save": ["lm_head"]}
    return base, [
        trained(tmp_path / name, base, seed=seed, **settings)
        for seed, name in enumerate(("first", "second"))
    ]


def test_lengths_are_exact_whatever_the_rest_is_in(decomposed, tmp_path):
    out = evomerge.merge(recipe(*decomposed, dtype="bfloat16"), tmp_path / "merged")
    exact = evomerge.merge(recipe(*decomposed), tmp_path / "exact")
    found, expected = (load_file(f / "adapter_model.safetensors") for f in (out, exact))
    for name, array in found.items():
        assert array.dtype.name == ("float32" if "magnitude" in name else "bfloat16")
        assert "magnitude" not in name or (array == expected[name]).all()


def test_by_a_scale_of_0_the_base_is_left(decomposed, tmp_path):
    settings = {"parameters": {"scale": 0}, "output": "model"}
    out = evomerge.merge(recipe(*decomposed, **settings), tmp_path / "merged")
    near(*(load_file(folder / "model.safetensors") for folder in (out, decomposed[0])))


def test_the_mean_on_a_manifold_has_the_lengths_of_the_plain_one(decomposed, tmp_path):
    """One adapter in two copies is itself; of two, only the updates differ by method."""
    base, both = decomposed
    copy = tmp_path / "copy"
    copytree(both[0], copy)
    made = recipe(base, [both[0], copy], merge_method="frechet", output="model")
    ours = load_file(evomerge.merge(made, tmp_path / "merged") / "model.safetensors")
    near(ours, load_file(merged_by_peft(tmp_path / "p", base, both[0]) / "model.safetensors"))
    files = [
        load_file(
            evomerge.merge(recipe(*decomposed, merge_method=method), tmp_path / method)
            / "adapter_model.safetensors"
        )
        for method in ("linear", "frechet")
    ]
    apart = [name for name in files[0] if "lora_A" not in name and "lora_B" not in name]
    assert len(apart) == 3 + 3 + 1  # lengths, biases, the head
    assert all((files[0][name] == files[1][name]).all() for name in apart)


def test_weight_and_scale_may_differ_for_what_is_averaged_apart(decomposed, tmp_path):
    base, both = decomposed
    values = {"scale": [{"filter": "lm_head", "value": 0.5}, {"value": 2}]}
    made = recipe(base, both, parameters=values, output="model")
    found = load_file(evomerge.merge(made, tmp_path / "m") / "model.safetensors")
    near({HEAD: found[HEAD]}, by_hand(base, both, (0.25, 0.75), 0.5))
    near({BIAS: found[BIAS]}, by_hand(base, both, (0.25, 0.75), 2))


def test_the_config_says_what_is_there(decomposed, tmp_path):
    out = evomerge.merge(recipe(*decomposed), tmp_path / "merged")
    config = json.loads((out / "adapter_config.json").read_text())
    assert (config["use_dora"], config["bias"]) == (True, "all")
    assert config["modules_to_save"] == ["lm_head"]
