"""What a config.json says layer by layer, for a stack of layers that come from several models.

A merge may repeat, leave out or reorder layers. Which of them attend to a window, have no
rotary embedding or hold experts then follows the layers, not their new positions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evomerge.checkpoint.in_place import check_may_move
from evomerge.errors import MergeError
from evomerge.families import LAYER_COUNTS, PER_LAYER_LISTS

Config = Mapping[str, object]

# Without layer_types, every n-th layer of these attends fully and the others to a window.
# transformers 5, configuration_<model type>.py.
FULL_ATTENTION_EVERY = {"gemma2": 2, "gemma3_text": 6, "cohere2": 4, "olmo3": 4, "gpt_oss": 2}

# Without no_rope_layers, every n-th layer of these has no rotary embedding.
NO_ROPE_EVERY = {"smollm3": 4}

# Keys that say "the first k layers".
THRESHOLDS = ("max_window_layers", "first_k_dense_replace")

# Which layers have one feed-forward block instead of experts (Qwen's mixtures).
DENSE = ("decoder_sparse_step", "mlp_only_layers")

# Both say of a layer's number what it is.
RULES = (*THRESHOLDS, *DENSE)

# All that follows the layers of a stack.
OF_LAYERS = frozenset([*LAYER_COUNTS, *PER_LAYER_LISTS, *RULES])


@dataclass(frozen=True)
class LayerOrigin:
    """The layer of a source model that an output layer comes from.

    Attributes:
        config: the text part of that model's config.json.
        layer: its number there, from 0.
    """

    config: Config
    layer: int


def restacked(donor: Config, origins: Sequence[LayerOrigin]) -> dict[str, object]:
    """The per-layer entries of the output's config: those that differ from the donor's.

    Args:
        donor: the text part of the config.json that the output's is made from.
        origins: where each output layer comes from.

    Raises:
        MergeError: the models state an entry in ways that do not fit together, or the stack is
            none that this family's config can describe.
    """
    changes: dict[str, object] = {}
    for key in PER_LAYER_LISTS:
        entries = _gather(key, origins)
        stated = donor.get(key)
        if entries is not None and entries != stated and not _is_default(key, donor, entries):
            changes[key] = entries
    configs = [donor, *(origin.config for origin in origins)]
    moved = [origin.layer for origin in origins] != list(range(_count(donor)))
    if moved:
        check_may_move(configs)
    if moved or any(config.get(key) != donor.get(key) for config in configs for key in RULES):
        changes |= _thresholds(donor, origins) | _experts(donor, origins)
    return changes


def _gather(key: str, origins: Sequence[LayerOrigin]) -> list[object] | None:
    """One entry a layer, or None where no model has any."""
    lists = {id(origin.config): _entries(key, origin.config) for origin in origins}
    found = [lists[id(origin.config)] for origin in origins]
    if all(entries is None for entries in found):
        return None
    gathered = []
    for origin, entries in zip(origins, found, strict=True):
        if entries is None or origin.layer >= len(entries):
            raise MergeError(
                f"config.json: one model has '{key}' for its layers and another has none for "
                f"layer {origin.layer}; save the models with one version of transformers"
            )
        gathered.append(entries[origin.layer])
    return gathered


def _entries(key: str, config: Config) -> list[object] | None:
    """What the config states for its layers, or implies."""
    stated = config.get(key)
    if isinstance(stated, list):
        return stated
    implied: Callable[[Config], list[object] | None] | None = _IMPLIED.get(key)
    return None if implied is None else implied(config)


def _is_default(key: str, donor: Config, entries: list[object]) -> bool:
    """Whether a reader of the donor's config would take these entries from what it implies."""
    return key not in donor and entries == _entries(key, {**donor, **_resized(donor, len(entries))})


def _resized(config: Config, layers: int) -> dict[str, object]:
    return dict.fromkeys((key for key in LAYER_COUNTS if key in config), layers)


def _implied_layer_types(config: Config) -> list[object] | None:
    """Full attention or a window, by the rule of the model type."""
    period = FULL_ATTENTION_EVERY.get(str(config.get("model_type")))
    if period is not None:
        period = _integer(config, "sliding_window_pattern", period)
        full = [(layer + 1) % period == 0 for layer in range(_count(config))]
    elif "max_window_layers" in config:
        slides = config.get("use_sliding_window") and config.get("sliding_window") is not None
        first = _integer(config, "max_window_layers", 0) if slides else _count(config)
        full = [layer < first for layer in range(_count(config))]
    else:
        return None
    return ["full_attention" if f else "sliding_attention" for f in full]


def _implied_no_rope(config: Config) -> list[object] | None:
    """1 for a rotary embedding, 0 for none."""
    interval = NO_ROPE_EVERY.get(str(config.get("model_type")))
    if interval is None:
        return None
    interval = _integer(config, "no_rope_layer_interval", interval)
    return [int((layer + 1) % interval != 0) for layer in range(_count(config))]


_IMPLIED: Mapping[str, Callable[[Config], list[object] | None]] = {
    "layer_types": _implied_layer_types,
    "no_rope_layers": _implied_no_rope,
}


def _thresholds(donor: Config, origins: Sequence[LayerOrigin]) -> dict[str, object]:
    """Keys that say "the first k layers": k is again the number of such layers in front."""
    changes: dict[str, object] = {}
    for key in THRESHOLDS:
        if not isinstance(donor.get(key), int):
            continue
        first = [origin.layer < _integer(origin.config, key, 0) for origin in origins]
        if first == sorted(first, reverse=True):
            changes[key] = sum(first)
        elif key == "first_k_dense_replace":
            raise MergeError(
                f"config.json: {key} says that the first layers have no experts, but in this "
                f"stack layer {first.index(True, first.index(False))} has none either; keep "
                f"the layers without experts in front"
            )
    return changes


def _experts(donor: Config, origins: Sequence[LayerOrigin]) -> dict[str, object]:
    """Which layers have one feed-forward block instead of experts (Qwen's mixtures)."""
    if not any(key in donor for key in DENSE):
        return {}
    dense = [number for number, origin in enumerate(origins) if not _has_experts(origin)]
    return {"decoder_sparse_step": 1, "mlp_only_layers": dense}


def _has_experts(origin: LayerOrigin) -> bool:
    dense = origin.config.get("mlp_only_layers")
    if isinstance(dense, list) and origin.layer in dense:
        return False
    return (origin.layer + 1) % (_integer(origin.config, "decoder_sparse_step", 1) or 1) == 0


def _count(config: Config) -> int:
    return next((_integer(config, key, 0) for key in LAYER_COUNTS if key in config), 0)


def _integer(config: Config, key: str, default: int) -> int:
    value = config.get(key, default)
    return value if isinstance(value, int) else default
