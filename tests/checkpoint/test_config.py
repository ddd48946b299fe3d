"""Promises of the merged config.json: transformers builds from it what the weights need."""

from __future__ import annotations

import json

import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig

from evomerge.checkpoint.config import merged_config, with_token_ids
from evomerge.dtypes import BFLOAT16, FLOAT16, FLOAT32
from evomerge.errors import MergeError
from evomerge.families import Family, family_of

LAYERS = 8

# Families whose layers differ, each as transformers 5 saves it.
UNEVEN = {
    "Gemma2Config": {},
    "Gemma3TextConfig": {"head_dim": 16},
    "Qwen2Config": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 3},
    "Qwen3Config": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0},
    "Cohere2Config": {},
    "Olmo3Config": {},
    "SmolLM3Config": {"use_sliding_window": True, "sliding_window": 8},
}
UNSTATED = ("layer_types", "no_rope_layers")


def saved(name, **settings):
    """The config.json that transformers writes."""
    sizes = {"num_hidden_layers": LAYERS, "hidden_size": 64, "architectures": ["SomeForCausalLM"]}
    return json.loads(
        getattr(transformers, name)(**sizes | settings).to_json_string(use_diff=False)
    )


def as_in_transformers_4(config):
    """The same model, saved before configs listed their layers."""
    return {key: value for key, value in config.items() if key not in UNSTATED}


def read(config):
    config = dict(config)
    return AutoConfig.for_model(config.pop("model_type"), **config)


def merged(donor, layers, family=None, **settings):
    defaults = {"vocabulary_size": None, "dtype": BFLOAT16, "tied": False}
    family = family or Family("any", ())
    return merged_config(donor, family=family, layers=layers, **defaults | settings)


def whole(config):
    return [(config, layer) for layer in range(config["num_hidden_layers"])]


stacks = st.lists(st.integers(0, LAYERS - 1), min_size=1, max_size=16)


@pytest.mark.parametrize("name", UNEVEN)
@pytest.mark.parametrize("form", ["transformers 5", "transformers 4"])
@given(stack=stacks)
def test_a_layer_keeps_its_kind_wherever_it_goes(name, form, stack):
    config = saved(name, **UNEVEN[name])
    donor = config if form == "transformers 5" else as_in_transformers_4(config)
    result = read(merged(donor, [(donor, layer) for layer in stack]))
    assert result.num_hidden_layers == len(stack)
    for key in UNSTATED:
        if key in config:
            assert getattr(result, key) == [config[key][layer] for layer in stack]


@pytest.mark.parametrize("name", UNEVEN)
@pytest.mark.parametrize("form", ["transformers 5", "transformers 4"])
def test_whole_models_change_nothing_layer_by_layer(name, form):
    donor = saved(name, **UNEVEN[name])
    if form == "transformers 4":
        donor = as_in_transformers_4(donor)
    result = merged(donor, whole(donor), dtype=FLOAT32)
    touched = {"dtype", "tie_word_embeddings"}
    assert {k: v for k, v in result.items() if k not in touched} == {
        k: v for k, v in donor.items() if k not in touched
    }


@given(cut=st.integers(0, 12))
def test_each_layer_follows_the_model_it_came_from(cut):
    even = saved("Gemma2Config") | {"layer_types": ["full_attention"] * LAYERS}
    odd = saved("Gemma2Config") | {"layer_types": ["sliding_attention"] * LAYERS}
    layers = [(even if position < cut else odd, position % LAYERS) for position in range(12)]
    kinds = merged(even, layers)["layer_types"]
    assert kinds == ["full_attention"] * cut + ["sliding_attention"] * (12 - cut)


def test_models_saved_by_different_releases_agree():
    new = saved("Gemma3TextConfig", head_dim=16)
    old = as_in_transformers_4(new)
    layers = [(old if layer % 2 else new, layer) for layer in range(LAYERS)]
    assert merged(new, layers)["layer_types"] == new["layer_types"]
    assert "layer_types" not in merged(old, layers)


def test_a_list_that_one_model_lacks_is_an_error():
    lists = {"num_hidden_layers": 2, "mlp_layer_types": ["dense", "sparse"]}
    none = {"num_hidden_layers": 2}
    with pytest.raises(MergeError, match="one model has 'mlp_layer_types'"):
        merged(lists, [(lists, 0), (none, 1)])


@given(stack=stacks)
def test_windows_begin_where_the_windowed_layers_begin(stack):
    donor = saved("Qwen2Config", **UNEVEN["Qwen2Config"])
    result = merged(donor, [(donor, layer) for layer in sorted(stack)])
    assert result["max_window_layers"] == sum(layer < 3 for layer in stack)


@given(stack=stacks)
def test_dense_layers_of_a_mixture_stay_dense(stack):
    donor = saved("Qwen3MoeConfig", decoder_sparse_step=2, mlp_only_layers=[3])
    result = merged(donor, [(donor, layer) for layer in stack])
    assert result["decoder_sparse_step"] == 1
    dense = [n for n, layer in enumerate(stack) if layer % 2 == 0 or layer == 3]
    if stack != list(range(LAYERS)):
        assert result["mlp_only_layers"] == dense


def test_dense_layers_in_front_are_counted_again():
    donor = saved("DeepseekV3Config", first_k_dense_replace=2)
    result = merged(donor, [(donor, layer) for layer in (0, 0, 1, 4, 5)])
    assert result["first_k_dense_replace"] == 3
    with pytest.raises(MergeError, match="layer 3 has none either"):
        merged(donor, [(donor, layer) for layer in (0, 1, 4, 0)])


def test_the_number_of_layers_stands_under_the_familys_key():
    donor = saved("GPT2Config", n_layer=3)
    family = family_of({"architectures": ["GPT2LMHeadModel"]}, (), "gpt2")
    result = merged(donor, [(donor, 0), (donor, 2)], family)
    assert result["n_layer"] == 2
    assert read(result).num_hidden_layers == 2


@pytest.mark.parametrize(
    ("stated", "written"),
    [
        ({"torch_dtype": "float32"}, {"torch_dtype": "float16"}),
        ({"dtype": "float32"}, {"dtype": "float16"}),
        ({"torch_dtype": "float32", "dtype": None}, {"torch_dtype": "float16", "dtype": "float16"}),
        ({}, {"torch_dtype": "float16"}),
    ],
)
def test_the_dtype_stands_where_the_donor_had_it(stated, written):
    donor = {"model_type": "llama", "num_hidden_layers": 1, **stated}
    result = merged(donor, [(donor, 0)], dtype=FLOAT16)
    assert {k: v for k, v in result.items() if "dtype" in k} == written
    assert str(read(result).dtype) == "torch.float16"


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("before", [{}, {"tie_word_embeddings": True}])
def test_tied_embeddings_are_what_was_written(tied, before):
    donor = {"model_type": "llama", "num_hidden_layers": 1, **before}
    assert read(merged(donor, [(donor, 0)], tied=tied)).tie_word_embeddings is tied


def test_the_vocabulary_has_the_rows_that_were_written():
    donor = {"model_type": "llama", "num_hidden_layers": 1, "vocab_size": 10}
    assert merged(donor, [(donor, 0)])["vocab_size"] == 10
    assert merged(donor, [(donor, 0)], vocabulary_size=12)["vocab_size"] == 12


def test_everything_else_is_the_donors():
    donor = saved("LlamaConfig", architectures=["LlamaForCausalLM"], transformers_version="4.1")
    donor["made_up"] = {"by": ["somebody"]}
    before = json.dumps(donor)
    result = merged(donor, [(donor, 0)])
    changed = {"dtype", "num_hidden_layers", "tie_word_embeddings"}
    assert {k: v for k, v in result.items() if k not in changed} == {
        k: v for k, v in donor.items() if k not in changed
    }
    assert json.dumps(donor) == before


def test_a_nested_language_model_is_rewritten_where_it_is_described():
    text = {"num_hidden_layers": 2, "layer_types": ["a", "b"], "dtype": "float32", "vocab_size": 9}
    donor = {"text_config": text, "dtype": "float32", "vocab_size": 9, "vision_config": {"x": 1}}
    result = merged(donor, [(donor, 1), (donor, 1)], vocabulary_size=7, tied=True)
    assert result == {
        "text_config": {
            "num_hidden_layers": 2,
            "layer_types": ["b", "b"],
            "dtype": "bfloat16",
            "vocab_size": 7,
            "tie_word_embeddings": True,
        },
        "dtype": "bfloat16",
        "vocab_size": 7,
        "vision_config": {"x": 1},
    }


def test_token_ids_follow_their_tokens():
    config = {"bos_token_id": 1, "eos_token_id": [2, 7, 3], "pad_token_id": None, "top_k": 2}
    assert with_token_ids(config, {1: 10, 2: 20, 3: 30}, {}) == {
        "bos_token_id": 10,
        "eos_token_id": [20, 30],
        "pad_token_id": None,
        "top_k": 2,
    }


def test_a_token_that_is_gone_is_replaced_by_its_role_or_by_nothing():
    config = {"eos_token_id": 9, "bos_token_id": [9], "pad_token_id": 9, "sep_token_id": [9]}
    assert with_token_ids(config, {}, {"eos_token_id": 4, "bos_token_id": 5}) == {
        "eos_token_id": 4,
        "bos_token_id": [5],
        "pad_token_id": None,
        "sep_token_id": None,
    }
