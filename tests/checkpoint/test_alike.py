"""Promises of what models must agree in, if their layers are to stand in one model."""

from __future__ import annotations

import json

import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st

from evomerge.checkpoint.alike import ARITHMETIC, WIDTHS, Difference, difference

LLAMA = {"hidden_size": 64, "num_attention_heads": 4, "hidden_act": "silu", "rms_norm_eps": 1e-6}
FREE = ("vocab_size", "num_hidden_layers", "max_position_embeddings", "_name_or_path", "use_cache")


def saved(name: str, **settings: object) -> dict[str, object]:
    """The config.json that transformers 5 writes."""
    return json.loads(getattr(transformers, name)(**settings).to_json_string(use_diff=False))


@given(st.sampled_from([*WIDTHS, *ARITHMETIC]), st.integers(1, 9), st.integers(1, 9))
def test_what_both_state_must_be_the_same(key, one, other):
    found = difference({key: one}, {key: other})
    assert found == (None if one == other else Difference(key, one, other))


@given(st.sampled_from(FREE), st.integers(), st.integers())
def test_what_does_not_shape_layers_may_differ(key, one, other):
    assert difference(LLAMA | {key: one}, LLAMA | {key: other}) is None


@pytest.mark.parametrize("key", ["num_key_value_heads", "head_dim"])
def test_what_follows_from_the_rest_need_not_be_stated(key):
    value = {"num_key_value_heads": 4, "head_dim": 16}[key]
    for unstated in (LLAMA, LLAMA | {key: None}):
        assert difference(unstated, LLAMA | {key: value}) is None
        assert difference(unstated, LLAMA | {key: 2}) == Difference(key, value, 2)


def test_fine_tunes_may_differ_in_epsilons():
    assert difference(LLAMA, LLAMA | {"rms_norm_eps": 1e-5}) is None


def test_the_width_is_named_before_what_follows_from_it():
    found = difference(LLAMA, LLAMA | {"hidden_size": 32, "head_dim": 4, "hidden_act": "gelu"})
    assert found == Difference("hidden_size", 64, 32)


OLD_AND_NEW = [
    ({"rope_theta": 1e6}, {"rope_theta": 1e6, "rope_type": "default"}),
    ({}, {"rope_theta": 10000, "rope_type": "default"}),
    (
        {"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 4.0}},
        {"rope_theta": 5e5, "rope_type": "linear", "factor": 4.0},
    ),
    (
        {"rope_theta": 1e6, "rope_local_base_freq": 1e4},
        {
            "full_attention": {"rope_theta": 1e6, "rope_type": "default"},
            "sliding_attention": {"rope_theta": 1e4, "rope_type": "default"},
        },
    ),
    ({"rotary_pct": 0.25}, {"rope_theta": 1e4, "partial_rotary_factor": 0.25}),
]


@pytest.mark.parametrize(("old", "new"), OLD_AND_NEW)
def test_configs_of_transformers_4_and_5_say_the_same(old, new):
    assert difference(LLAMA | old, LLAMA | {"rope_parameters": new}) is None


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2), (1, 2)])
def test_other_rotary_embeddings_are_told_apart_in_both_forms(one, other):
    (old_one, new_one), (old_other, new_other) = OLD_AND_NEW[one], OLD_AND_NEW[other]
    assert difference(LLAMA | old_one, LLAMA | old_other)
    assert difference(LLAMA | {"rope_parameters": new_one}, LLAMA | {"rope_parameters": new_other})


def test_a_window_that_is_switched_off_does_not_count():
    off = LLAMA | {"use_sliding_window": False}
    assert difference(off | {"sliding_window": 4096}, off | {"sliding_window": 32768}) is None
    assert difference(LLAMA | {"sliding_window": 4096}, LLAMA | {"sliding_window": None})


@pytest.mark.parametrize(
    "name", ["LlamaConfig", "Qwen2Config", "Gemma3TextConfig", "GPT2Config", "FalconConfig"]
)
def test_two_models_of_one_kind_agree_whatever_their_depth(name):
    one, other = saved(name), saved(name, num_hidden_layers=3, vocab_size=1000)
    assert difference(one, other) is None


def test_every_key_is_one_of_transformers():
    """A misspelt key would never be compared."""
    known = set()
    for name in ("Bloom", "Cohere", "DeepseekV2", "DeepseekV3", "Falcon", "GPT2", "GPTJ", "Gemma2",
                 "Gemma3Text", "GPTNeoX", "Granite", "Llama", "Mixtral", "Olmo", "Phi", "Qwen2Moe",
                 "StableLm", "Starcoder2"):  # fmt: skip
        known |= set(getattr(transformers, f"{name}Config")().to_dict())
    # The remote code of DeepSeek-V3.
    assert set(WIDTHS) | set(ARITHMETIC) <= known | {"scoring_func"}
