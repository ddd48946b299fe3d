"""Promises of families: where a tensor stands, and what it is called in another layer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import CheckpointError
from evomerge.families import FAMILIES, architecture_of, family_of, layers_in

# Architecture, root, name with {} for the layer, layer, part.
TENSORS = [
    ("LlamaForCausalLM", "model.", "embed_tokens.weight", None, "before"),
    ("LlamaForCausalLM", "model.", "layers.{}.mlp.up_proj.weight", 0, "layer"),
    ("LlamaForCausalLM", "model.", "layers.{}.input_layernorm.weight", 11, "layer"),
    ("LlamaForCausalLM", "model.", "norm.weight", None, "after"),
    ("LlamaForCausalLM", "", "lm_head.weight", None, "after"),
    ("MixtralForCausalLM", "model.", "layers.{}.experts.3.w1.weight", 1, "layer"),
    ("Olmo2ForCausalLM", "model.", "layers.{}.post_feedforward_layernorm.weight", 2, "layer"),
    ("GPT2LMHeadModel", "transformer.", "wte.weight", None, "before"),
    ("GPT2LMHeadModel", "", "wpe.weight", None, "before"),
    ("GPT2LMHeadModel", "", "h.{}.attn.c_attn.bias", 3, "layer"),
    ("GPT2LMHeadModel", "transformer.", "h.{}.attn.c_attn.bias", 3, "layer"),
    ("GPT2LMHeadModel", "", "ln_f.bias", None, "after"),
    ("GPTNeoXForCausalLM", "gpt_neox.", "embed_in.weight", None, "before"),
    ("GPTNeoXForCausalLM", "gpt_neox.", "layers.{}.attention.dense.bias", 5, "layer"),
    ("GPTNeoXForCausalLM", "gpt_neox.", "final_layer_norm.weight", None, "after"),
    ("GPTNeoXForCausalLM", "", "embed_out.weight", None, "after"),
    ("BloomForCausalLM", "transformer.", "word_embeddings_layernorm.weight", None, "before"),
    ("FalconForCausalLM", "transformer.", "h.{}.ln_attn.weight", 0, "layer"),
]


def family(architecture, names=()):
    return family_of({"architectures": [architecture]}, names, "model")


@pytest.mark.parametrize(("architecture", "root", "generic", "layer", "part"), TENSORS)
def test_every_tensor_has_its_place(architecture, root, generic, layer, part):
    found, name = family(architecture), root + generic.format(layer)
    assert found.layer_of(name) == layer
    assert found.part_of(name) == part
    assert found.unnumbered(name) == generic


@pytest.mark.parametrize("known", FAMILIES, ids=lambda known: known.name)
@given(layer=st.integers(0, 999))
def test_renumbering_undoes_unnumbering(known, layer):
    for root in known.roots:
        name = f"{root}{known.layers}{layer}.mlp.experts.7.weight"
        assert known.layer_of(name) == layer
        assert known.numbered(known.unnumbered(name), layer) == known.bare(name)


@pytest.mark.parametrize("known", FAMILIES, ids=lambda known: known.name)
def test_the_ends_are_where_the_family_says(known):
    for root in known.roots:
        assert known.is_embedding(root + known.embedding)
        assert known.part_of(root + known.embedding) == "before"
        assert all(known.part_of(f"{root}{name}weight") == "after" for name in known.after)
    assert known.part_of(known.head) == "after"
    assert not known.is_embedding(known.head)


def test_an_architecture_belongs_to_one_family():
    listed = [name for known in FAMILIES for name in known.architectures]
    assert len(listed) == len(set(listed))


NAMES = ["model.embed.weight", "model.blocks.0.a", "model.blocks.1.a", "model.norm.weight"]


def test_an_unknown_family_is_read_off_its_tensors():
    config = {"architectures": ["NewForCausalLM"], "num_layers": 2}
    found = family_of(config, NAMES, "model")
    assert [found.layer_of(name) for name in NAMES] == [None, 0, 1, None]
    assert [found.part_of(name) for name in NAMES] == ["before", "layer", "layer", "after"]
    assert found.is_embedding("model.embed.weight")
    assert layers_in(config, found, "model") == 2


@pytest.mark.parametrize(
    ("names", "config"),
    [
        (["model.embed.weight", "model.norm.weight"], {"num_layers": 2}),
        ([*NAMES, "encoder.blocks.0.a"], {"num_layers": 2}),
        (NAMES, {}),
    ],
    ids=["no layers", "two stacks", "no count"],
)
def test_what_shows_no_one_stack_is_refused_with_what_is_known(names, config):
    with pytest.raises(CheckpointError, match=r"(?s)words: .*NewForCausalLM.*LlamaForCausalLM"):
        family_of({"architectures": ["NewForCausalLM"], **config}, names, "words")


@pytest.mark.parametrize("architectures", [None, [], ["A", "B"], "LlamaForCausalLM"])
def test_a_config_names_exactly_one_architecture(architectures):
    with pytest.raises(CheckpointError, match=r"words: config.json names .* expected exactly one"):
        architecture_of({"architectures": architectures}, "words")


@pytest.mark.parametrize("count", [None, "2", 2.0])
def test_the_number_of_layers_is_a_number(count):
    config = {"architectures": ["GPT2LMHeadModel"], "n_layer": count}
    with pytest.raises(CheckpointError, match=r"words: .*'n_layer'"):
        layers_in(config, family("GPT2LMHeadModel"), "words")


@pytest.mark.parametrize(
    ("names", "attention", "mlp"),
    [
        (["blocks.0.attn.w", "blocks.0.ffn.w"], "attn", "ffn"),
        (["blocks.0.self_attention.w", "blocks.0.mlp.w"], "self_attention", "mlp"),
        (["blocks.0.attention.w", "blocks.0.post_attention_norm.w"], ".attention.", "mlp"),
    ],
)
def test_attention_and_feed_forward_of_a_new_family_are_looked_for(names, attention, mlp):
    config = {"architectures": ["NewForCausalLM"], "num_hidden_layers": 1}
    found = family_of(config, names, "model")
    assert (found.attention, found.mlp) == (attention, mlp)


@pytest.mark.parametrize(
    ("family", "required", "optional"),
    [
        ("Llama", ["mlp.up_proj.weight"], ["self_attn.q_proj.bias", "lm_head.weight"]),
        ("Qwen2", ["self_attn.q_proj.bias"], ["self_attn.o_proj.bias"]),
        ("GPT-2", ["attn.c_attn.bias", "ln_f.bias"], ["h.0.attn.bias", "h.0.attn.masked_bias"]),
        ("GPT-NeoX", ["attention.dense.bias"], ["layers.0.attention.bias", "embed_out.weight"]),
        ("StableLM", ["input_layernorm.bias"], ["self_attn.q_proj.bias"]),
    ],
)
def test_what_every_model_of_a_family_has(family, required, optional):
    (found,) = (each for each in FAMILIES if each.name == family)
    assert all(found.requires(name) for name in required)
    assert not any(found.requires(name) for name in optional)
