"""What a PEFT adapter_config.json says, as far as it decides the merged weights.

The meaning of every key is that of PEFT's ``LoraConfig`` [1].

[1] https://huggingface.co/docs/peft/package_reference/lora
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import TypeVar

from evomerge.checkpoint.documents import Document, mapping_in, read_json
from evomerge.errors import AdapterError

Number = TypeVar("Number", int, float)

# Keys that make an adapter something else than a change of weights, or one we do not know how to
# apply. PEFT writes them all, null or false where they are not used.
_REFUSED: Mapping[str, str] = {
    "target_parameters": "changes bare parameters, such as fused experts",
    "layer_replication": "repeats layers of its model",
    "alora_invocation_tokens": "acts from certain tokens on only, which no weights can express",
    "use_qalora": "belongs to a quantised model",
    "use_bdlora": "has block-diagonal factors",
    "arrow_config": "chooses between several adapters token by token",
    "kasa_config": "has changed the weights of its model when it was made",
    "monteclora_config": "draws its weights at random",
    "velora_config": "has projections of its own beside its factors",
}
# Ways to begin that subtract the adapter's first value from the model's own weights, so that the
# adapter means nothing without them.
_UNMERGEABLE_STARTS = ("pissa", "olora", "corda", "loftq", "lora_ga")
# What else PEFT 0.21 writes. These keys say how the adapter was trained, or repeat what the names
# of its tensors say.
_HARMLESS = re.compile(
    "alpha_pattern|auto_mapping|base_model_name_or_path|bias|corda_config|ensure_weight_tying|"
    "eva_config|exclude_modules|fan_in_fan_out|inference_mode|init_lora_weights|layers_pattern|"
    "layers_to_transform|loftq_config|lora_alpha|lora_bias|lora_dropout|lora_ga_config|"
    "megatron_config|megatron_core|modules_to_save|peft_type|peft_version|qalora_group_size|r|"
    "rank_pattern|revision|runtime_config|target_modules|task_type|trainable_token_indices|"
    "use_dora|use_rslora|unsloth_fixed"
)
_DEFAULT = 8  # PEFT's rank and alpha where the file does not say


@dataclass(frozen=True)
class AdapterConfig:
    """The settings of a LoRA adapter.

    Attributes:
        base: the model it was trained on, as its author called it; empty if unknown.
        rank: columns of its factors, where ``rank_pattern`` does not say otherwise.
        alpha: what the product of the factors is scaled by, before division by the rank.
        rank_pattern: regular expressions for the ends of module names, and their ranks.
        alpha_pattern: the same for alpha.
        rank_stabilised: divides by the square root of the rank instead (rsLoRA).
        decomposed: rows are brought to a trained length (DoRA).
        fan_in_fan_out: matrices are stored ``(in, out)``.
        saved: ends of the names of modules that were trained as a whole.
        tokens: rows of the embedding that were trained as a whole; by module if a mapping.
    """

    base: str
    rank: int
    alpha: float
    rank_pattern: Mapping[re.Pattern[str], int]
    alpha_pattern: Mapping[re.Pattern[str], float]
    rank_stabilised: bool
    decomposed: bool
    fan_in_fan_out: bool
    saved: tuple[str, ...]
    tokens: object

    def rank_of(self, module: str) -> int:
        """The rank of the factors for a module."""
        return _match(self.rank_pattern, module, self.rank)

    def scaling_of(self, module: str) -> float:
        """What the product of a module's factors is multiplied by."""
        rank = self.rank_of(module)
        alpha = _match(self.alpha_pattern, module, self.alpha)
        return alpha / (sqrt(rank) if self.rank_stabilised else rank)

    def tokens_of(self, module: str) -> tuple[int, ...]:
        """The rows of an embedding that were trained as a whole."""
        entries = self.tokens
        if isinstance(entries, dict):
            entries = next((rows for end, rows in entries.items() if module.endswith(end)), [])
        return tuple(map(int, entries)) if isinstance(entries, list) else ()

    def saves(self, module: str) -> bool:
        """Whether the module was trained as a whole, in a copy of its own."""
        return module.endswith(self.saved) and not module.endswith(".base_layer")


def read_adapter_config(path: Path) -> AdapterConfig:
    """Reads an adapter_config.json.

    Raises:
        AdapterError: the adapter is not LoRA, or uses a feature that cannot be applied.
        CheckpointError: the file cannot be read.
    """
    return adapter_config_in(read_json(path), path)


def adapter_config_in(document: Document, path: Path) -> AdapterConfig:
    """What the content of an adapter_config.json says; ``path`` is what messages call it.

    Raises:
        AdapterError: the adapter is not LoRA, or uses a feature that cannot be applied.
    """
    _refuse(document, path)
    try:
        return AdapterConfig(
            base=str(document.get("base_model_name_or_path") or ""),
            rank=_rank(document.get("r", _DEFAULT), "r"),
            alpha=_number(document.get("lora_alpha", _DEFAULT), "lora_alpha"),
            rank_pattern=_patterns(document, "rank_pattern", path, _rank),
            alpha_pattern=_patterns(document, "alpha_pattern", path, _number),
            rank_stabilised=bool(document.get("use_rslora")),
            decomposed=bool(document.get("use_dora")),
            fan_in_fan_out=bool(document.get("fan_in_fan_out")),
            saved=_texts(document, "modules_to_save"),
            tokens=document.get("trainable_token_indices"),
        )
    except (TypeError, re.error) as error:
        raise AdapterError(f"{path}: {error}") from error


def _refuse(document: Document, path: Path) -> None:
    kind = document.get("peft_type")
    if kind != "LORA":
        raise AdapterError(
            f"{path}: peft_type is {kind}; only LORA adapters can be applied. Merge others first: "
            "AutoPeftModelForCausalLM.from_pretrained(...).merge_and_unload().save_pretrained(...)"
        )
    for key, reason in _REFUSED.items():
        if document.get(key):
            raise AdapterError(f"{path}: {key} is set; an adapter that {reason} is not supported")
    if unheard := [key for key in document if document[key] and not _HARMLESS.fullmatch(key)]:
        warnings.warn(
            f"{path}: ignored, as they are not known: {', '.join(unheard)}",
            UserWarning,
            stacklevel=2,
        )
    start = str(document.get("init_lora_weights")).lower()
    if start.startswith(_UNMERGEABLE_STARTS):
        raise AdapterError(
            f"{path}: init_lora_weights is '{start}', which changed the model's own weights too; "
            "save the adapter with PEFT's path_initial_model_for_weight_conversion"
        )


def _match(patterns: Mapping[re.Pattern[str], Number], module: str, default: Number) -> Number:
    """The value of the first pattern that matches."""
    return next((value for pattern, value in patterns.items() if pattern.match(module)), default)


def _patterns(
    document: Document, key: str, path: Path, number: Callable[[object, str], Number]
) -> dict[re.Pattern[str], Number]:
    """A mapping from patterns to numbers. As in PEFT, a pattern is the end of a module's name."""
    entries = mapping_in(document, key, str(path))
    return {
        re.compile(rf"(.*\.)?({pattern})$"): number(value, f"{key}.{pattern}")
        for pattern, value in entries.items()
    }


def _number(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"'{key}' is {value!r}; expected a number")
    return value


def _rank(value: object, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise TypeError(f"'{key}' is {value!r}; expected a whole number, at least 1")
    return value


def _texts(document: Document, key: str) -> tuple[str, ...]:
    value = document.get(key)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TypeError(f"'{key}' is {value!r}; expected a list")
    return tuple(str(entry) for entry in value)
