"""The families that are known by name.

Names of tensors are those of the files on disk. A family that is not listed is inferred from them,
as long as they number its layers (``….<layer>.…``).
"""

from __future__ import annotations

from evomerge.families.family import Family, Residual

_QKV_BIASES = ("q_proj.bias", "k_proj.bias", "v_proj.bias")
_PROJECTIONS = Residual(("o_proj", "down_proj"))
# Not their biases, which do not depend on the stream.
_READERS = tuple(f"{part}_proj.weight" for part in ("q", "k", "v", "gate", "up"))
_POST_NORMS = ("post_attention_layernorm", "post_feedforward_layernorm")


def _decoder(
    name: str,
    *architectures: str,
    biases: tuple[str, ...] = (),
    residual: Residual = _PROJECTIONS,
) -> Family:
    return Family(name, architectures, biases=biases, residual=residual)


FAMILIES: tuple[Family, ...] = (
    _decoder("Llama", "LlamaForCausalLM"),
    _decoder("Mistral", "MistralForCausalLM", "MinistralForCausalLM", "Ministral3ForCausalLM"),
    Family(
        "Mixtral",
        ("MixtralForCausalLM",),
        mlp="block_sparse_moe",
        residual=Residual(("o_proj", ".w2.")),
    ),
    _decoder("Qwen2", "Qwen2ForCausalLM", biases=_QKV_BIASES),
    _decoder("Qwen2-MoE", "Qwen2MoeForCausalLM", biases=_QKV_BIASES),
    _decoder("Qwen3", "Qwen3ForCausalLM"),
    _decoder("Qwen3-MoE", "Qwen3MoeForCausalLM"),
    _decoder("Gemma", "GemmaForCausalLM"),
    _decoder("Gemma 2", "Gemma2ForCausalLM", residual=Residual(gains=_POST_NORMS)),
    _decoder("Gemma 3", "Gemma3ForCausalLM", residual=Residual(gains=_POST_NORMS)),
    _decoder("OLMo", "OlmoForCausalLM"),
    _decoder(
        "OLMo 2",
        "Olmo2ForCausalLM",
        "Olmo3ForCausalLM",
        residual=Residual(_POST_NORMS, readers=_READERS),
    ),
    Family(
        "Phi-1/2",
        ("PhiForCausalLM",),
        after=("final_layernorm.",),
        biases=(".bias",),
        residual=Residual(("self_attn.dense", "mlp.fc2")),
    ),
    _decoder("Phi-3", "Phi3ForCausalLM"),
    _decoder("Granite", "GraniteForCausalLM"),
    _decoder("SmolLM3", "SmolLM3ForCausalLM"),
    _decoder("StableLM", "StableLmForCausalLM", biases=("norm.bias",)),
    _decoder(
        "Starcoder 2",
        "Starcoder2ForCausalLM",
        biases=(".bias",),
        residual=Residual(("o_proj", "mlp.c_proj")),
    ),
    _decoder("Cohere", "CohereForCausalLM", "Cohere2ForCausalLM"),
    _decoder("DeepSeek", "DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"),
    Family(
        "GPT-2",
        ("GPT2LMHeadModel",),
        biases=(".bias",),
        attention="attn",
        layers="h.",
        embedding="wte.weight",
        after=("ln_f.",),
        roots=("transformer.", ""),
        layer_count="n_layer",
        residual=Residual(("c_proj",)),
    ),
    Family(
        "GPT-NeoX",
        ("GPTNeoXForCausalLM",),
        biases=(".bias",),
        attention=".attention.",  # not post_attention_layernorm
        embedding="embed_in.weight",
        head="embed_out.weight",
        after=("final_layer_norm.",),
        roots=("gpt_neox.", ""),
        residual=Residual(("attention.dense", "mlp.dense_4h_to_h")),
    ),
    Family(
        "GPT-J",
        ("GPTJForCausalLM",),
        biases=(".bias",),
        attention="attn",
        layers="h.",
        embedding="wte.weight",
        after=("ln_f.",),
        roots=("transformer.", ""),
        layer_count="n_layer",
        residual=Residual(("attn.out_proj", "mlp.fc_out")),
    ),
    Family(
        "BLOOM",
        ("BloomForCausalLM",),
        biases=(".bias",),
        attention="self_attention.",
        layers="h.",
        embedding="word_embeddings.weight",
        after=("ln_f.",),
        roots=("transformer.", ""),
        layer_count="n_layer",
        residual=Residual(
            ("self_attention.dense", "mlp.dense_4h_to_h"),
            unless="apply_residual_connection_post_layernorm",
        ),
    ),
    Family(
        "Falcon",
        ("FalconForCausalLM",),
        attention="self_attention.",
        layers="h.",
        embedding="word_embeddings.weight",
        after=("ln_f.",),
        roots=("transformer.", ""),
        residual=Residual(("self_attention.dense", "mlp.dense_4h_to_h")),
    ),
)
