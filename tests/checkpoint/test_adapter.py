"""Promises of adapters: what PEFT would have merged, by any rows; all of it or a clear refusal."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from evomerge.checkpoint.adapter_arithmetic import TILE_ROWS, add_product
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.checkpoint.source import open_source
from evomerge.dtypes import BFLOAT16, FLOAT32
from evomerge.errors import AdapterError, CheckpointError
from evomerge.recipe.reference import ModelReference
from evomerge.zoo.random_models import Options, random_model
from tests.checkpoint.peft_adapters import factors, hand_made, merged_by_peft, trained
from tests.checkpoint.safetensors_files import write_model

ATTENTION = ["q_proj", "v_proj"]
LINEAR = "all-linear"
QUERY = "model.layers.0.self_attn.q_proj"

CASES = {
    "llama": ("llama", {"target_modules": LINEAR}),
    "gpt2": ("gpt2", {"target_modules": ["c_attn", "c_proj", "c_fc", "wte"]}),
    "gpt2_square": ("gpt2", {"target_modules": ["attn.c_proj"]}),
    "gpt_neox": ("gpt_neox", {"target_modules": ["query_key_value", "dense", "lm_head"]}),
    "phi3": ("phi3", {"target_modules": ["qkv_proj", "gate_up_proj"]}),
    "gemma3": ("gemma3", {"target_modules": [*ATTENTION, "embed_tokens"]}),
    "qwen3_moe": ("qwen3_moe", {"target_modules": [*ATTENTION, "embed_tokens"]}),
    "mixtral": ("mixtral", {"target_modules": ATTENTION, "modules_to_save": ["norm"]}),
    "rslora": ("llama", {"target_modules": ATTENTION, "use_rslora": True}),
    "patterns": (
        "llama",
        {
            "target_modules": LINEAR,
            "rank_pattern": {f"^{QUERY}": 2, "v_proj": 6, r"1\.mlp\.[a-z]+_proj": 3, "proj": 7},
            "alpha_pattern": {"layers.1.mlp.up_proj": 5, "o_proj": 3, "p_proj": 99},
        },
    ),
    "some_layers": ("llama", {"target_modules": ATTENTION, "layers_to_transform": [1]}),
    "all_biases": ("qwen2", {"target_modules": ATTENTION, "bias": "all"}),
    "lora_only_biases": ("qwen2", {"target_modules": ATTENTION, "bias": "lora_only"}),
    "lora_bias": ("qwen2", {"target_modules": ATTENTION, "lora_bias": True, "use_rslora": True}),
    "gpt2_biases": ("gpt2", {"target_modules": ["c_attn"], "bias": "all"}),
    "dora": ("llama", {"target_modules": LINEAR, "use_dora": True}),
    "dora_rslora": ("phi3", {"target_modules": LINEAR, "use_dora": True, "use_rslora": True}),
    "dora_gpt2": ("gpt2", {"target_modules": ["c_attn", "c_proj"], "use_dora": True}),
    "dora_embedding": ("llama", {"target_modules": ["embed_tokens", "q_proj"], "use_dora": True}),
    "embedding": ("llama", {"target_modules": ["embed_tokens", "lm_head", "q_proj"]}),
    "modules_to_save": (
        "llama",
        {"target_modules": ATTENTION, "modules_to_save": ["embed_tokens", "lm_head", "mlp"]},
    ),
    "tokens": ("llama", {"target_modules": ATTENTION, "trainable_token_indices": [3, 1]}),
    "tokens_by_module": (
        "llama",
        {"target_modules": ATTENTION, "trainable_token_indices": {"lm_head": [0], "tokens": [5]}},
    ),
    "orthogonal": ("llama", {"target_modules": ATTENTION, "init_lora_weights": "orthogonal"}),
}

TIED = {
    "embedding": {"target_modules": ["embed_tokens", "q_proj"]},
    "head": {"target_modules": ["lm_head", "q_proj"]},
    "both": {"target_modules": ["lm_head", "embed_tokens"]},
    "both_kept_tied": {"target_modules": ["embed_tokens"], "ensure_weight_tying": True},
    "embedding_apart": {"target_modules": ATTENTION, "modules_to_save": ["embed_tokens"]},
    "head_apart": {"target_modules": ATTENTION, "modules_to_save": ["lm_head"]},
    "both_apart": {"target_modules": ATTENTION, "modules_to_save": ["embed_tokens", "lm_head"]},
    "saved_and_tied": {
        "target_modules": ATTENTION,
        "modules_to_save": ["embed_tokens"],
        "ensure_weight_tying": True,
    },
    "head_apart_embedding_adapted": {
        "target_modules": ["embed_tokens"],
        "modules_to_save": ["lm_head"],
    },
    "embedding_apart_head_adapted": {
        "target_modules": ["lm_head"],
        "modules_to_save": ["embed_tokens"],
    },
    "tokens": {"target_modules": ATTENTION, "trainable_token_indices": [3, 1]},
}


def opened(base, adapter):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*one matrix")
        return open_source(ModelReference(str(base), adapter=str(adapter)))


def check_against_peft(folder, base, settings, *, dtype=torch.float32, rename=str):
    """Every tensor, by its name on disk."""
    adapter = trained(folder / "adapter", base, dtype=dtype, r=4, lora_alpha=6, **settings)
    theirs = open_checkpoint(str(merged_by_peft(folder / "merged", base, adapter)))
    ours = opened(base, adapter)
    assert {rename(name) for name in ours.names()} == set(theirs.names())
    for name in ours.names():
        expected = theirs.load(rename(name))
        tolerance = 1e-6 * np.abs(expected).max()
        np.testing.assert_allclose(ours.load(name), expected, rtol=0, atol=tolerance, err_msg=name)
    return ours, theirs


@pytest.mark.parametrize("case", CASES)
def test_it_equals_what_peft_merges(tmp_path, case):
    family, settings = CASES[case]
    check_against_peft(tmp_path, random_model(tmp_path / "base", family), settings)


@pytest.mark.parametrize("case", TIED)
def test_it_equals_what_peft_merges_where_the_head_is_tied(tmp_path, case):
    base = random_model(tmp_path / "base", options=Options(tied=True))
    ours, theirs = check_against_peft(tmp_path, base, TIED[case])
    apart = "apart" in case
    assert ("lm_head.weight" in ours.names()) == apart
    assert ours.config["tie_word_embeddings"] == theirs.config["tie_word_embeddings"] == (not apart)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_models_and_adapters_of_16_bits_are_computed_in_float32(tmp_path, dtype):
    base = random_model(tmp_path / "base", options=Options(dtype=dtype))
    settings = {"target_modules": LINEAR, "modules_to_save": ["model.norm"]}
    ours, _ = check_against_peft(tmp_path, base, settings, dtype=getattr(torch, dtype))
    assert ours.info(f"{QUERY}.weight").dtype.name == dtype
    assert ours.load(f"{QUERY}.weight").dtype == FLOAT32
    assert ours.load("model.norm.weight").dtype == FLOAT32
    assert ours.load("model.layers.0.input_layernorm.weight").dtype.name == dtype


def test_a_sharded_model_is_adapted_alike(tmp_path):
    base = random_model(tmp_path / "base", options=Options(shard_bytes=10_000))
    check_against_peft(tmp_path, base, {"target_modules": LINEAR, "use_dora": True})


def test_names_without_the_prefix_are_found(tmp_path):
    """GPT-2 as first published: tensors on disk lack ``transformer.``, and there are masks."""
    base = random_model(tmp_path / "base", "gpt2")
    settings = {"target_modules": ["c_attn", "c_proj", "wte"], "modules_to_save": ["ln_f"]}
    adapter = trained(tmp_path / "adapter", base, r=4, **settings)
    original = random_model(tmp_path / "original", "gpt2", options=Options(original=True))
    ours, reference = opened(original, adapter), opened(base, adapter)
    for name in set(ours.names()) & {name.split(".", 1)[1] for name in reference.names()}:
        expected = reference.load(f"transformer.{name}")
        np.testing.assert_array_equal(ours.load(name), expected, strict=True)
    assert ours.load("h.0.attn.c_attn.weight").dtype == FLOAT32


def test_experts_are_found_under_their_names_on_disk(tmp_path):
    """As adapters of Mixtral were saved until transformers 4, and its router since."""
    base = random_model(tmp_path / "base", "mixtral")
    expert = "model.layers.1.block_sparse_moe.experts.2.w1"
    router = "model.layers.1.mlp.gate"
    parts = {**factors(expert, 48, 32), **factors(router, 4, 32)}
    ours = opened(base, hand_made(tmp_path / "adapter", parts))
    for module, name in (
        (expert, f"{expert}.weight"),
        (router, "model.layers.1.block_sparse_moe.gate.weight"),
    ):
        down, up = (parts[f"{module}.lora_{factor}.weight"] for factor in "AB")
        expected = open_checkpoint(str(base)).load(name) + 2 * (up @ down)
        np.testing.assert_allclose(ours.load(name), expected, rtol=1e-5, atol=1e-6)


# By any rows


@pytest.mark.parametrize("case", ["llama", "gpt2", "dora", "dora_gpt2", "dora_embedding", "tokens"])
def test_rows_are_those_of_the_whole_to_the_bit(tmp_path, case):
    family, settings = CASES[case]
    base = random_model(tmp_path / "base", family, options=Options(vocabulary=200, hidden=80))
    ours = opened(base, trained(tmp_path / "adapter", base, r=4, **settings))
    random = np.random.default_rng(0)
    for name in ours.names():
        whole = ours.load(name)
        count = len(whole)
        cuts = [slice(0, 1), slice(3, 70), slice(count - 1, None), slice(None, None, 3), slice(0)]
        cuts += [random.permutation(count), random.integers(0, count, 5)]
        for rows in cuts:
            np.testing.assert_array_equal(ours.load(name, rows), whole[rows], strict=True)


def test_a_float32_buffer_is_filled_and_another_is_left_alone(tmp_path):
    for dtype in (FLOAT32, BFLOAT16):
        folder = tmp_path / dtype.name
        base = write_model(folder / "base", {"a.weight": np.ones((4, 3)).astype(dtype)})
        ours = opened(base, hand_made(folder / "adapter", factors("a", 4, 3)))
        buffer = np.empty((2, 3), FLOAT32)
        assert ours.load("a.weight", slice(1, 3), out=buffer) is buffer
        np.testing.assert_array_equal(buffer, ours.load("a.weight")[1:3])
        other = np.full((2, 3), 7, BFLOAT16)
        assert ours.load("a.weight", slice(1, 3), out=other).dtype == FLOAT32
        assert (other == 7).all()


PRODUCT = """
import hashlib, numpy as np
from evomerge.checkpoint.adapter_arithmetic import add_product
random = np.random.default_rng(0)
block = random.standard_normal((300, 3001), np.float32)
add_product(block, *(random.standard_normal(s, np.float32) for s in ((300, 40), (40, 3001))))
print(hashlib.sha256(block.tobytes()).hexdigest())
"""


def test_the_number_of_threads_changes_no_bit():
    digests = set()
    for threads in "124":
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        command = [sys.executable, "-c", PRODUCT]
        digests.add(subprocess.check_output(command, env=environment))
    assert len(digests) == 1


@pytest.mark.parametrize("rows", [0, 1, TILE_ROWS - 1, TILE_ROWS, TILE_ROWS + 1])
def test_a_product_is_added(rows):
    random = np.random.default_rng(rows)
    left, right = (random.standard_normal(s, np.float32) for s in ((rows, 3), (3, 5)))
    block = np.ones((rows, 5), np.float32)
    add_product(block, left, right)
    np.testing.assert_allclose(block, 1 + left @ right, rtol=1e-5, atol=1e-6)


def test_the_fingerprint_follows_model_and_adapter(tmp_path, monkeypatch):
    monkeypatch.setenv("EVOMERGE_CACHE", str(tmp_path / "cache"))
    base = write_model(tmp_path / "base", {"a.weight": np.ones((4, 3), FLOAT32)})
    one = opened(base, hand_made(tmp_path / "one", factors("a", 4, 3)))
    two = opened(base, hand_made(tmp_path / "two", factors("a", 4, 3, seed=1)))
    assert one.fingerprint() != two.fingerprint()
    assert one.fingerprint().startswith(open_checkpoint(str(base)).fingerprint())


# What is refused


@pytest.fixture(scope="module")
def llama(module_folder):
    return random_model(module_folder / "llama", options=Options(hidden=32))


@pytest.fixture(scope="module")
def tied(module_folder):
    return random_model(module_folder / "tied", options=Options(tied=True))


def error_of(base, adapter, kind=AdapterError):
    with pytest.raises(kind) as caught:
        opened(base, adapter)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["LOHA", "LOKR", "IA3", "ADALORA", "PREFIX_TUNING", None])
def test_other_kinds_of_adapters_are_refused_by_name(llama, tmp_path, kind):
    adapter = hand_made(tmp_path / "adapter", factors(QUERY, 32, 32), kind=kind)
    message = error_of(llama, adapter)
    assert message.startswith(f"{adapter / 'adapter_config.json'}: peft_type is {kind}; only LORA")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("target_parameters", ["mlp.experts.gate_up_proj"]),
        ("layer_replication", [[0, 2], [1, 2]]),
        ("alora_invocation_tokens", [1]),
        ("use_qalora", True),
        ("use_bdlora", {"nblocks": 2}),
        ("arrow_config", {"top_k": 1}),
        ("kasa_config", {"beta": 1}),
        ("monteclora_config", {"num_samples": 1}),
        ("velora_config", {"num_groups": 1}),
    ],
)
def test_features_that_no_weights_express_are_refused_by_name(llama, tmp_path, key, value):
    adapter = hand_made(tmp_path / "adapter", factors(QUERY, 32, 32), **{key: value})
    assert f"adapter_config.json: {key} is set; an adapter that " in error_of(llama, adapter)


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_4", "olora", "corda", "loftq", "PiSSA"])
def test_adapters_whose_start_changed_the_model_are_refused(llama, tmp_path, start):
    adapter = hand_made(tmp_path / "adapter", factors(QUERY, 32, 32), init_lora_weights=start)
    assert f"init_lora_weights is '{start.lower()}'" in error_of(llama, adapter)


def test_what_peft_does_not_know_is_warned_of(llama, tmp_path):
    adapter = hand_made(tmp_path / "adapter", factors(QUERY, 32, 32), use_novelty=True, more=None)
    with pytest.warns(UserWarning, match="ignored, as they are not known: use_novelty$"):
        opened(llama, adapter)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"r": 0}, "'r' is 0; expected a whole number, at least 1"),
        ({"r": 2.0}, "'r' is 2.0; expected a whole number"),
        ({"lora_alpha": "16"}, "'lora_alpha' is '16'; expected a number"),
        ({"rank_pattern": {"q_proj": None}}, "'rank_pattern.q_proj' is None"),
        ({"rank_pattern": [1]}, r"'rank_pattern' is \[1\]; expected an object"),
        ({"alpha_pattern": {"(": 1}}, "missing \\), unterminated subpattern"),
        ({"modules_to_save": "lm_head"}, "'modules_to_save' is 'lm_head'; expected a list"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_named(llama, tmp_path, settings, reason):
    adapter = hand_made(tmp_path / "adapter", factors(QUERY, 32, 32), **settings)
    with pytest.raises(CheckpointError, match=rf"adapter_config\.json: .*{reason}"):
        opened(llama, adapter)


def test_tensors_without_a_counterpart_are_named(llama, tmp_path):
    parts = factors(QUERY, 32, 32)
    strangers = {f"model.layers.{n}.x.lora_A.default.weight": np.ones(2, "f4") for n in range(5)}
    adapter = hand_made(tmp_path / "adapter", parts | strangers, base_model_name_or_path="lab/m")
    message = error_of(llama, adapter)
    assert message.startswith(f"{adapter / 'adapter_model.safetensors'}: base_model.model.model.la")
    assert "layers.2.x.lora_A.default.weight and 2 more: no such tensor in llama" in message
    assert message.endswith("the adapter must have been trained on this model, lab/m")


def test_an_adapter_of_a_deeper_model_is_refused(llama, tmp_path):
    adapter = hand_made(tmp_path / "adapter", factors(QUERY.replace("0", "9"), 32, 32))
    assert "model.layers.9.self_attn.q_proj.lora_A.weight, " in error_of(llama, adapter)


def test_another_shape_is_named_with_both(llama, tmp_path):
    adapter = hand_made(tmp_path / "adapter", factors(QUERY, 64, 32))
    assert f"{QUERY}: made for a tensor of shape (64, 32); llama has (32, 32); expected the " in (
        error_of(llama, adapter)
    )


@pytest.mark.parametrize("module", ["model.embed_tokens", "lm_head"])
def test_added_tokens_are_refused_by_their_number(llama, tied, tmp_path, module):
    for number, base in enumerate((llama, tied)):
        weights = {f"{module}.weight": np.ones((66, 32), "f4")}
        adapter = hand_made(tmp_path / str(number), weights, modules_to_save=[module[-7:]])
        message = error_of(base, adapter)
        assert (
            f"{module}.weight: made for a tensor of shape (66, 32); {base.name} has 64" in message
        )
        assert "Adapters that add tokens are not supported" in message


@pytest.mark.parametrize("missing", ["A", "B"])
def test_half_a_product_is_refused(llama, tmp_path, missing):
    parts = factors(QUERY, 32, 32)
    del parts[f"{QUERY}.lora_{missing}.weight"]
    assert f"but no lora_{missing}.weight; the file is incomplete" in error_of(
        llama, hand_made(tmp_path / "adapter", parts)
    )


def test_a_rank_that_is_not_the_configured_one_is_named(llama, tmp_path):
    adapter = hand_made(tmp_path / "adapter", factors(QUERY, 32, 32, rank=3))
    assert "its factors have ranks 3 and 3; adapter_config.json says 2" in error_of(llama, adapter)


@pytest.mark.parametrize("dora", [True, False])
def test_dora_needs_its_lengths_and_lengths_need_dora(llama, tmp_path, dora):
    parts = factors(QUERY, 32, 32)
    if not dora:
        parts[f"{QUERY}.lora_magnitude_vector"] = np.ones(32, "f4")
    message = error_of(llama, hand_made(tmp_path / "adapter", parts, use_dora=dora))
    assert f"use_dora is {dora}" in message


def test_lengths_of_another_number_are_named(llama, tmp_path):
    parts = factors(QUERY, 32, 32) | {f"{QUERY}.lora_magnitude_vector": np.ones(8, "f4")}
    message = error_of(llama, hand_made(tmp_path / "adapter", parts, use_dora=True))
    assert "lora_magnitude_vector: has shape (8,); expected (32,)" in message


def test_a_bias_without_a_bias_to_add_it_to_is_refused(llama, tmp_path):
    parts = factors(QUERY, 32, 32) | {f"{QUERY}.lora_B.bias": np.ones(32, "f4")}
    message = error_of(llama, hand_made(tmp_path / "adapter", parts, lora_bias=True))
    assert "lora_B.bias" in message
    assert "no such tensor in llama" in message


@pytest.mark.parametrize("indices", [None, [1], [1, 64], {"other": [1, 2]}])
def test_trained_tokens_must_be_those_of_the_config(llama, tmp_path, indices):
    trained = {"model.embed_tokens.token_adapter.trainable_tokens_delta": np.ones((2, 32), "f4")}
    adapter = hand_made(tmp_path / "adapter", trained, trainable_token_indices=indices)
    assert "trainable_tokens_delta: " in error_of(llama, adapter)


def test_two_values_for_one_tied_matrix_are_refused(tied, tmp_path):
    weights = {
        "model.embed_tokens.weight": np.ones((64, 32), "f4"),
        "lm_head.weight": np.zeros((64, 32), "f4"),
    }
    message = error_of(tied, hand_made(tmp_path / "adapter", weights))
    assert "that differ, but tied has one matrix for both" in message


def test_a_name_that_could_be_two_tensors_is_refused(tmp_path):
    arrays = {f"{side}.layers.0.q.weight": np.ones((4, 3), "f4") for side in ("left", "right")}
    base = write_model(tmp_path / "base", arrays)
    message = error_of(base, hand_made(tmp_path / "adapter", factors("layers.0.q", 4, 3)))
    assert "could be left.layers.0.q.weight or right.layers.0.q.weight" in message


def test_a_tied_head_that_changes_with_the_embedding_is_warned_of(tied, tmp_path):
    adapter = hand_made(tmp_path / "adapter", factors("lm_head", 64, 32))
    reference = ModelReference(str(tied), adapter=str(adapter))
    with pytest.warns(UserWarning, match="lm_head.weight and model.embed_tokens.weight are one"):
        open_source(reference)


def test_pickled_adapters_are_refused_with_the_command_that_converts_them(llama, tmp_path):
    adapter = hand_made(tmp_path / "adapter", factors(QUERY, 32, 32))
    whole = opened(llama, adapter).load(f"{QUERY}.weight")
    file = adapter / "adapter_model.safetensors"
    from safetensors.torch import load_file

    torch.save(load_file(file), adapter / "adapter_model.bin")
    file.unlink()
    message = error_of(llama, adapter, CheckpointError)
    assert message.startswith(f"{adapter / 'adapter_model.bin'}: a pickle")
    command = message.splitlines()[1].strip().removesuffix(" (in that folder)")
    command = command.replace("python", sys.executable, 1)
    subprocess.run(command, shell=True, cwd=adapter, check=True)
    np.testing.assert_array_equal(opened(llama, adapter).load(f"{QUERY}.weight"), whole)


def test_folders_that_are_no_adapters_say_so(llama, tmp_path):
    assert "a model, not a LoRA adapter" in error_of(llama, llama)
    (tmp_path / "empty").mkdir()
    assert "it has no adapter_config.json" in error_of(llama, tmp_path / "empty")
    (tmp_path / "empty" / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    assert "no weights; expected adapter_model.safetensors" in error_of(llama, tmp_path / "empty")
    assert "no such folder" in error_of(llama, tmp_path / "missing", CheckpointError)
