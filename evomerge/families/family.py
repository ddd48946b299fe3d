"""What is known of a family: where its layers are, and how they use the residual stream."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Part = Literal["before", "layer", "after"]

# Ends of the names of what is not trained, though early releases of transformers stored it: causal
# masks, and the frequencies of rotary embeddings. Some checkpoints have them and others of the same
# model do not.
BUFFERS = (".attn.bias", ".attention.bias", ".masked_bias", ".inv_freq")


@dataclass(frozen=True)
class Residual:
    """What a family's layers do with the residual stream, for folding a scale of it into weights.

    A layer that sees the stream divided by S, and whose output is divided by S too, is the same
    function of the stream, wherever norms do not see the scale of what they read. All are parts
    of the names of tensors.

    Attributes:
        writers: whose output is added to the stream: divided by S.
        gains: of norms behind a layer's parts, stored as their difference from 1: the whole gain
            is divided by S.
        readers: which read the stream as it is, without a norm: times S, so that what follows
            them in the layer is as it was.
        unless: a key of config.json under which all this is not so.
    """

    writers: tuple[str, ...] = ()
    gains: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    unless: str | None = None


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
        residual: how its layers write to the residual stream; None if that is not known.
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
    residual: Residual | None = None

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
