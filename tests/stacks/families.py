"""Tiny random models of all families that are known by name, and of switches they may have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import transformers
from torch import nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
)

from evomerge.zoo import random_models
from evomerge.zoo.random_models import SPREAD, Options, random_model

LAYERS = 4
VOCABULARY = 64

_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "initializer_range": SPREAD,
    "tie_word_embeddings": False,
}
_GPT = {"n_embd": 32, "n_layer": LAYERS, "n_head": 4, "n_positions": 64, "rotary_dim": 4}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_LATENT = {
    "kv_lora_rank": 8,
    "q_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "head_dim": 4,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
_PAD = {"pad_token_id": 0}

# By the name of the config's class, and what it needs beside the sizes.
OTHERS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "gemma": ("GemmaConfig", {}),
    "ministral": ("MinistralConfig", {"sliding_window": 16}),
    "qwen2_moe": ("Qwen2MoeConfig", {**_EXPERTS, "shared_expert_intermediate_size": 16}),
    "olmo": ("OlmoConfig", {"clip_qkv": 0.5}),
    "olmo3": ("Olmo3Config", {"sliding_window": 16}),
    "phi": ("PhiConfig", {"qk_layernorm": True}),
    "granite": ("GraniteConfig", {"residual_multiplier": 0.3, "embedding_multiplier": 5.0}),
    "smollm3": ("SmolLM3Config", _PAD),
    "stablelm": ("StableLmConfig", {"qk_layernorm": True, "use_qkv_bias": True}),
    "stablelm_parallel": ("StableLmConfig", {"use_parallel_residual": True}),
    "starcoder2": ("Starcoder2Config", {}),
    "cohere": ("CohereConfig", {"use_qk_norm": True, **_PAD}),
    "cohere2": ("Cohere2Config", {"sliding_window": 16, **_PAD}),
    "deepseek2": ("DeepseekV2Config", _LATENT),
    "deepseek3": ("DeepseekV3Config", _LATENT),
    "gpt_neox_sequential": ("GPTNeoXConfig", {"use_parallel_residual": False}),
    "gptj": ("GPTJConfig", _GPT),
    "bloom": ("BloomConfig", _GPT),
    "falcon": ("FalconConfig", {"new_decoder_architecture": False}),
    "falcon_new": ("FalconConfig", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon_sequential": ("FalconConfig", {"parallel_attn": False, "alibi": True}),
    "olmo2_biases": ("Olmo2Config", {"attention_bias": True}),
    "llama_biases": ("LlamaConfig", {"attention_bias": True, "mlp_bias": True}),
}
KINDS = (*random_models.FAMILIES, *OTHERS)


def architecture(kind: str) -> str:
    """The class of its models, as config.json names it."""
    name, _ = {**random_models.FAMILIES, **OTHERS}[kind]
    return MODEL_FOR_CAUSAL_LM_MAPPING[getattr(transformers, name)].__name__


def made(folder: Path, kind: str, **config: object) -> Path:
    """Writes a model; ``config`` changes its config.json before the weights are drawn."""
    if kind in random_models.FAMILIES and not config:
        return random_model(folder, kind, options=Options(layers=LAYERS))
    name, extra = {**random_models.FAMILIES, **OTHERS}[kind]
    make = getattr(transformers, name)
    default = make()
    sizes = {key: value for key, value in _SIZES.items() if _is_set_by(default, key)}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(make(**{**sizes, **extra, **config}))
        for parameter in model.parameters():
            parameter.add_(SPREAD * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return folder


def _is_set_by(config: PreTrainedConfig, key: str) -> bool:
    return hasattr(config, key) and not isinstance(getattr(type(config), key, None), property)


def loaded(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def without_epsilons(model: PreTrainedModel) -> PreTrainedModel:
    """The model with norms that divide by the norm itself."""
    for module in model.modules():
        for name in ("eps", "variance_epsilon"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
        if type(module).__name__ == "OlmoLayerNorm":  # its epsilon stands in its code
            module.forward = lambda x, m=module: nn.functional.layer_norm(
                x, m.normalized_shape, eps=0.0
            )
    return model
