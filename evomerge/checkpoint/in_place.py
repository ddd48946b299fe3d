"""Layers that work only where they are: they compute with their number, or look at another layer.

A stack that moves them would load, and be another model than its layers make.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evomerge.errors import MergeError

Config = Mapping[str, object]

# Keys of config.json under which that is so, if they are more than their value here. Found in
# transformers 5, modeling_<model type>.py, wherever a layer's number is used.
KEYS: Mapping[str, tuple[int, str]] = {
    "scale_attn_by_inverse_layer_idx": (0, "divides attention by the number of the layer"),
    "num_kv_shared_layers": (0, "lets layers use the keys and values of other layers"),
    "attn_layer_period": (1, "says which layers attend by their number"),
    "expert_layer_period": (1, "says which layers have experts by their number"),
    "moe_layer_interval": (1, "says which layers have experts by their number"),
    "moe_layer_freq": (1, "says which layers have experts by their number"),
    "interleave_moe_layer_step": (1, "says which layers have experts by their number"),
    "num_dense_layers": (0, "says which layers have experts by their number"),
}
# Types of models whose layers always do.
TYPES: Mapping[str, str] = {
    "diffllama": "weighs its attentions by the number of the layer",
    "minimax": "lets attention decay by the number of the layer",
}


def check_may_move(configs: Iterable[Config]) -> None:
    """Refuses to move the layers of models whose layers work only where they are.

    Raises:
        MergeError: one of the configs is of such a model.
    """
    for config in configs:
        kind = str(config.get("model_type"))
        found = (f"model_type: {kind}", TYPES[kind]) if kind in TYPES else _key(config)
        if found is not None:
            entry, why = found
            raise MergeError(
                f"config.json: {entry}: {why}; such layers can be merged where they are, "
                "but not repeated, left out or moved"
            )


def _key(config: Config) -> tuple[str, str] | None:
    for key, (harmless, why) in KEYS.items():
        value = config.get(key)
        if isinstance(value, int) and value > harmless:
            return f"{key}: {str(value).lower()}", why
    return None
