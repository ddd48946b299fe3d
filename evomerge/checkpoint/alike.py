"""What of a config.json shapes its layers, and is stated once for all of them.

Layers of several models can stand in one model only if they agree in it. The epsilons of norms
are left out: fine-tunes of one model differ in them, and so little that it does not show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Config = Mapping[str, object]

# Those that decide shapes come first, as the reason why others differ. transformers 5,
# configuration_<model type>.py.
WIDTHS = (
    "hidden_size", "n_embd", "num_attention_heads", "n_head", "num_key_value_heads",
    "num_kv_heads", "head_dim", "intermediate_size", "n_inner", "ffn_hidden_size",
    "moe_intermediate_size", "shared_expert_intermediate_size", "q_lora_rank", "kv_lora_rank",
    "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "num_local_experts", "num_experts",
    "n_routed_experts", "n_shared_experts",
)  # fmt: skip
ARITHMETIC = (
    "hidden_act", "hidden_activation", "activation_function", "activation", "attention_bias",
    "mlp_bias", "use_bias", "bias", "qkv_bias", "use_qkv_bias", "use_qk_norm", "qk_layernorm",
    "rotary_dim", "rope_interleave", "alibi", "sliding_window", "query_pre_attn_scalar",
    "attn_logit_softcapping", "attention_multiplier", "residual_multiplier", "scale_attn_weights",
    "scale_attn_by_inverse_layer_idx", "clip_qkv", "use_bidirectional_attention",
    "use_parallel_residual", "parallel_attn", "multi_query", "new_decoder_architecture",
    "num_ln_in_parallel_attn", "apply_residual_connection_post_layernorm", "num_experts_per_tok",
    "norm_topk_prob", "n_group", "topk_group", "topk_method", "scoring_func",
    "routed_scaling_factor",
)  # fmt: skip
# What readers take where a config of before these keys does not say.
UNSTATED: Config = {
    "rope_theta": 10000.0,
    "rope_type": "default",
    "attention_bias": False,
    "mlp_bias": False,
}
# The names of rotary settings in configs that transformers 4 wrote.
ROTARY = {
    "rope_theta": "rope_theta",
    "rotary_emb_base": "rope_theta",
    "partial_rotary_factor": "partial_rotary_factor",
    "rotary_pct": "partial_rotary_factor",
    "rope_local_base_freq": "sliding_attention.rope_theta",
}


@dataclass(frozen=True)
class Difference:
    """A key in which two configs differ, and what each of them has."""

    key: str
    one: object
    other: object


def difference(one: Config, other: Config) -> Difference | None:
    """The first key that shapes layers in which two configs differ; None if they are alike.

    Where only one of them states a key, the other counts as having what readers take instead, as
    far as that is known.
    """
    if one is other:
        return None
    mine, others = _facts(one), _facts(other)
    for key in dict.fromkeys([*mine, *others]):
        unstated = UNSTATED.get(key.rpartition(".")[2], ...)
        found = Difference(key, mine.get(key, unstated), others.get(key, unstated))
        if ... not in (found.one, found.other) and found.one != found.other:
            return found
    return None


def _facts(config: Config) -> dict[str, object]:
    """What shapes the layers, with what follows from the rest written out."""
    facts = {key: config[key] for key in WIDTHS if key in config}
    heads, width = config.get("num_attention_heads"), config.get("hidden_size")
    if isinstance(heads, int) and isinstance(width, int):
        _fill(facts, "num_key_value_heads", heads)
        _fill(facts, "head_dim", width // heads)
    if isinstance(config.get("n_embd"), int):
        _fill(facts, "n_inner", 4 * facts["n_embd"])  # type: ignore[operator]
    facts |= {key: config[key] for key in ARITHMETIC if key in config}
    if config.get("use_sliding_window") is False:
        facts["sliding_window"] = None
    return facts | _rotary(config)


def _fill(facts: dict[str, object], key: str, value: object) -> None:
    if facts.get(key) is None:
        facts[key] = value


def _rotary(config: Config) -> dict[str, object]:
    """The settings of rotary embeddings, as transformers 5 names them."""
    facts = {new: config[old] for old, new in ROTARY.items() if config.get(old) is not None}
    for stated in (config.get("rope_scaling"), config.get("rope_parameters")):
        if isinstance(stated, Mapping):
            facts |= _flat(stated)
    return facts


def _flat(stated: Mapping[str, object]) -> dict[str, object]:
    """Settings by name; where there are some for each type of layers, other types by both names."""
    flat: dict[str, object] = {}
    for key, value in stated.items():
        if isinstance(value, Mapping):
            inside = _flat(value)
            before = "" if key == "full_attention" else f"{key}."
            flat |= {f"{before}{name}": each for name, each in inside.items()}
        else:
            flat["rope_type" if key == "type" else key] = value
    return flat
