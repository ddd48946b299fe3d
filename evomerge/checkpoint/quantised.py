"""Quantised models: their tensors are codes and scales, which no merge method can compute with."""

from __future__ import annotations

from collections.abc import Mapping

from evomerge.checkpoint.config import text_config

# What libraries write into config.json; the second is that of older compressed-tensors.
_KEYS = ("quantization_config", "compression_config")


def quantisation_of(config: Mapping[str, object]) -> str | None:
    """How a model is quantised, such as ``gptq`` or ``bitsandbytes``; None if it is not."""
    for part in (config, text_config(config)):
        for key in _KEYS:
            settings = part.get(key)
            if isinstance(settings, Mapping) and settings:
                return str(settings.get("quant_method") or "in an unnamed way")
    return None
