"""How much memory a token takes in the cache of keys and values."""

from __future__ import annotations

from transformers import PreTrainedConfig

# Layers of these kinds keep a state of one size, however many tokens there are.
CONSTANT = ("linear_attention", "mamba", "conv", "recurrent", "rwkv")


def numbers_per_token(config: PreTrainedConfig) -> int:
    """The numbers that all layers together keep for a token of a long text.

    A layer keeps a key and a value for each key-value head. Those with a sliding window count as
    if they kept them all. Of multi-head latent attention (DeepSeek) the latent vector and the
    rotary key are counted, which is what engines for serving keep.
    """
    text = config.get_text_config()
    return _caching_layers(text) * _numbers_per_layer(text)


def _caching_layers(config: PreTrainedConfig) -> int:
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        return int(config.num_hidden_layers)
    return sum(not str(kind).startswith(CONSTANT) for kind in kinds)


def _numbers_per_layer(config: PreTrainedConfig) -> int:
    latent = getattr(config, "kv_lora_rank", None)
    if latent is not None:
        return int(latent + config.qk_rope_head_dim)
    heads = int(config.num_attention_heads)
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    if getattr(config, "multi_query", False):  # GPTBigCode, Falcon
        return 2 * int(size)
    return 2 * int(getattr(config, "num_key_value_heads", None) or heads) * int(size)
