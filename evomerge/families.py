"""Facts about model families, as data: where the layers are, and what config.json says about them.

Names are those of the files on disk. A family that is not listed is inferred from its tensor
names, as long as they number its layers (``….<layer>.…``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from evomerge.errors import CheckpointError

Part = Literal["before", "layer", "after"]

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

# Ends of the names of what is not trained, though early releases of transformers stored it: causal
# masks, and the frequencies of rotary embeddings. Some checkpoints have them and others of the same
# model do not.
BUFFERS = (".attn.bias", ".attention.bias", ".masked_bias", ".inv_freq")

_QKV_BIASES = ("q_proj.bias", "k_proj.bias", "v_proj.bias")


@dataclass(frozen=True)
class Family:
    """One family of architectures.

    Attributes:
        name: what people call it.
        architectures: values of ``architectures[0]`` in config.json.
        layers: what stands before the layer index in a tensor's name, without its root.
        embedding: the token embedding, without its root.
        head: the output matrix, which may be absent because it is tied to the embedding.
        after: beginnings of the names of tensors behind the last layer, without their root.
        roots: prefixes that stand, or do not stand, before every name but the head's.
        layer_count: the key of config.json that holds the number of layers.
        attention: what the names of a layer's attention tensors have in common, and no others.
        mlp: the same of its feed-forward tensors.
        biases: ends of the names of the biases that every model of the family has; other biases
            depend on its config.
    """

    name: str
    architectures: tuple[str, ...]
    layers: str = "layers."
    embedding: str = "embed_tokens.weight"
    head: str = "lm_head.weight"
    after: tuple[str, ...] = ("norm.",)
    roots: tuple[str, ...] = ("model.", "")
    layer_count: str = "num_hidden_layers"
    attention: str = "self_attn"
    mlp: str = "mlp"
    biases: tuple[str, ...] = ()

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        roots = "|".join(re.escape(root) for root in self.roots)
        return re.compile(rf"^((?:{roots}){re.escape(self.layers)})(\d+)(\..*)$")

    def layer_of(self, name: str) -> int | None:
        """The layer a tensor belongs to, or None when it stands outside the layers."""
        found = self._pattern.match(name)
        return int(found[2]) if found else None

    def unnumbered(self, name: str) -> str:
        """The bare name with ``{}`` for the layer: the same for that tensor of every layer."""
        return self.bare(self._pattern.sub(r"\g<1>{}\g<3>", name))

    def numbered(self, generic: str, layer: int) -> str:
        """The bare name of a tensor of one layer."""
        return generic.replace("{}", str(layer), 1)

    def part_of(self, name: str) -> Part:
        """Whether a tensor stands before, in or after the layers."""
        if self._pattern.match(name):
            return "layer"
        if name == self.head:
            return "after"
        return "after" if self.bare(name).startswith(self.after) else "before"

    def is_embedding(self, name: str) -> bool:
        """Whether the tensor is the token embedding, which a tied head shares."""
        return self.bare(name) == self.embedding

    def is_buffer(self, name: str) -> bool:
        """Whether the tensor is a constant of the architecture, which is not merged."""
        return name.endswith(BUFFERS)

    def requires(self, name: str) -> bool:
        """Whether every model has this tensor if one has it: not so heads, buffers, some biases."""
        if name == self.head or self.is_buffer(name):
            return False
        return name.endswith((".weight", *self.biases))

    def bare(self, name: str) -> str:
        """The name without its root, under which tensors of two checkpoints are the same."""
        for root in self.roots:
            if root and name.startswith(root):
                return name[len(root) :]
        return name


def _decoder(name: str, *architectures: str, biases: tuple[str, ...] = ()) -> Family:
    return Family(name, architectures, biases=biases)


FAMILIES: tuple[Family, ...] = (
    _decoder("Llama", "LlamaForCausalLM"),
    _decoder("Mistral", "MistralForCausalLM", "MinistralForCausalLM", "Ministral3ForCausalLM"),
    Family("Mixtral", ("MixtralForCausalLM",), mlp="block_sparse_moe"),
    _decoder("Qwen2", "Qwen2ForCausalLM", biases=_QKV_BIASES),
    _decoder("Qwen2-MoE", "Qwen2MoeForCausalLM", biases=_QKV_BIASES),
    _decoder("Qwen3", "Qwen3ForCausalLM"),
    _decoder("Qwen3-MoE", "Qwen3MoeForCausalLM"),
    _decoder("Gemma", "GemmaForCausalLM"),
    _decoder("Gemma 2", "Gemma2ForCausalLM"),
    _decoder("Gemma 3", "Gemma3ForCausalLM"),
    _decoder("OLMo", "OlmoForCausalLM"),
    _decoder("OLMo 2", "Olmo2ForCausalLM", "Olmo3ForCausalLM"),
    Family(
        "Phi-1/2",
        ("PhiForCausalLM",),
        after=("final_layernorm.",),
        biases=(".bias",),
    ),
    _decoder("Phi-3", "Phi3ForCausalLM"),
    _decoder("Granite", "GraniteForCausalLM"),
    _decoder("SmolLM3", "SmolLM3ForCausalLM"),
    _decoder("StableLM", "StableLmForCausalLM", biases=("norm.bias",)),
    _decoder("Starcoder 2", "Starcoder2ForCausalLM", biases=(".bias",)),
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
    ),
    Family(
        "Falcon",
        ("FalconForCausalLM",),
        attention="self_attention.",
        layers="h.",
        embedding="word_embeddings.weight",
        after=("ln_f.",),
        roots=("transformer.", ""),
    ),
)
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

    Args:
        config: the content of config.json.
        names: the names of the checkpoint's tensors, on disk.
        where: the checkpoint, for messages.

    Raises:
        CheckpointError: the architecture is not listed and the tensors number no layers.
    """
    architecture = architecture_of(config, where)
    if architecture in _BY_ARCHITECTURE:
        return _BY_ARCHITECTURE[architecture]
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


def layers_in(config: Mapping[str, object], family: Family, where: str) -> int:
    """The number of layers a config.json states.

    Raises:
        CheckpointError: the family's key is missing or not a number.
    """
    count = config.get(family.layer_count)
    if not isinstance(count, int):
        raise CheckpointError(f"{where}: config.json has no number under '{family.layer_count}'")
    return count
