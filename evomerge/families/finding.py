"""The family of a checkpoint, from its config.json and the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from evomerge.errors import CheckpointError
from evomerge.families.family import Family
from evomerge.families.known import FAMILIES

# Lists in config.json that hold one entry for each layer.
PER_LAYER_LISTS = (
    "layer_types",
    "mlp_layer_types",
    "no_rope_layers",
    "attention_layers",
    "layers_block_type",
    "sliding_window_pattern",
)
LAYER_COUNTS = ("num_hidden_layers", "n_layer", "num_layers")

_BY_ARCHITECTURE = {architecture: f for f in FAMILIES for architecture in f.architectures}

# What an inferred family takes for a tensor behind the layers.
_AFTER = ("norm", "ln_f", "final_layer", "lm_head", "head", "embed_out", "score")
# What it looks for in the names of a layer's attention and feed-forward tensors.
_ATTENTION = ("self_attn", "self_attention", "attn", ".attention.")
_MLP = ("mlp", "block_sparse_moe", "feed_forward", "ffn")
_NUMBERED = re.compile(r"^(.*?\.)(\d+)\.")


def architecture_of(config: Mapping[str, object], where: str) -> str:
    """The one architecture that a config.json names.

    Raises:
        CheckpointError: it names none, or several.
    """
    names = config.get("architectures")
    if not isinstance(names, list) or len(names) != 1:
        raise CheckpointError(
            f"{where}: config.json names the architectures {names}; expected exactly one"
        )
    return str(names[0])


def family_of(config: Mapping[str, object], names: Iterable[str], where: str) -> Family:
    """The family of a checkpoint, from its config and, when that is not listed, its tensors.

    Where the config has a switch under which layers write to the residual stream in another way,
    the family's name says so, and that way is not known.

    Args:
        config: the content of config.json.
        names: the names of the checkpoint's tensors, on disk.
        where: the checkpoint, for messages.

    Raises:
        CheckpointError: the architecture is not listed and the tensors number no layers.
    """
    architecture = architecture_of(config, where)
    if architecture in _BY_ARCHITECTURE:
        return _as_configured(_BY_ARCHITECTURE[architecture], config)
    names = list(names)
    prefixes = [found[1] for found in map(_NUMBERED.match, names) if found]
    count = next((key for key in LAYER_COUNTS if key in config), None)
    if not prefixes or len(set(prefixes)) > 1 or count is None:
        raise CheckpointError(
            f"{where}: architecture {architecture} is not a known family, and its tensors do not "
            f"show one stack of layers; known: {', '.join(sorted(_BY_ARCHITECTURE))}"
        )
    embedding = next((name for name in names if "embed" in name), "")
    after = tuple(n for n in names if not _NUMBERED.match(n) and any(a in n for a in _AFTER))
    attention, mlp = (
        next((part for part in parts if any(part in name for name in names)), parts[0])
        for parts in (_ATTENTION, _MLP)
    )
    return Family(
        f"{architecture} (inferred)", (architecture,), prefixes[0], embedding,
        after=after, roots=("",), layer_count=count, attention=attention, mlp=mlp,
    )  # fmt: skip


def _as_configured(family: Family, config: Mapping[str, object]) -> Family:
    switch = None if family.residual is None else family.residual.unless
    if switch is None or not config.get(switch):
        return family
    return replace(family, name=f"{family.name} with {switch}", residual=None)


def layers_in(config: Mapping[str, object], family: Family, where: str) -> int:
    """The number of layers a config.json states.

    Raises:
        CheckpointError: the family's key is missing or not a number.
    """
    count = config.get(family.layer_count)
    if not isinstance(count, int):
        raise CheckpointError(f"{where}: config.json has no number under '{family.layer_count}'")
    return count
