"""The symmetries of the families that are known, by the family's name.

What is exact, and what looks like a symmetry and is none, is in docs/alignment.md with figures;
tests plant elements of every group in models of every family.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from evomerge.alignment.places import (
    DOWNS,
    FREE,
    GAINS,
    GATES,
    KEY_GAINS,
    KEYS,
    OUTPUTS,
    QUERIES,
    QUERY_GAINS,
    READS,
    UPS,
    VALUES,
    WRITES,
    Along,
    Place,
)
from evomerge.alignment.symmetry import Symmetry

Tensors = dict[str, tuple[Along, ...]]

# Their experts could change places, and with them the rows of the router.
MIXTURES = frozenset({"Mixtral", "Qwen2-MoE", "Qwen3-MoE", "DeepSeek"})


def _linear(name: str, out: Along | Place, into: Along | Place) -> Tensors:
    """A linear layer with its bias, if it has one: ``(out, in)``."""
    rows, columns = _along(out), _along(into)
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _transposed(name: str, out: Along | Place, into: Along | Place) -> Tensors:
    """A linear layer of GPT-2: ``(in, out)``."""
    rows, columns = _along(into), _along(out)
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (columns,)}


def _norm(name: str, gains: Place = GAINS) -> Tensors:
    along = Along((gains,))
    return {f"{name}.weight": (along,), f"{name}.bias": (along,)}


def _along(what: Along | Place) -> Along:
    return what if isinstance(what, Along) else Along((what,))


_ENDS: Tensors = {
    "embed_tokens.weight": (FREE, Along((WRITES,))),
    **_norm("norm"),
    "lm_head.weight": (FREE, Along((READS,))),
}
_ATTENTION: Tensors = {
    **_linear("layers.{}.self_attn.q_proj", QUERIES, READS),
    **_linear("layers.{}.self_attn.k_proj", KEYS, READS),
    **_linear("layers.{}.self_attn.v_proj", VALUES, READS),
    **_linear("layers.{}.self_attn.o_proj", WRITES, OUTPUTS),
}
_GATED: Tensors = {
    **_linear("layers.{}.mlp.gate_proj", GATES, READS),
    **_linear("layers.{}.mlp.up_proj", UPS, READS),
    **_linear("layers.{}.mlp.down_proj", WRITES, DOWNS),
}
_BEFORE: Tensors = _norm("layers.{}.input_layernorm")
_BETWEEN: Tensors = _norm("layers.{}.post_attention_layernorm")
_BESIDE_MLP: Tensors = {
    **_norm("layers.{}.pre_feedforward_layernorm"),
    **_norm("layers.{}.post_feedforward_layernorm"),
}
# One gain for each number of a head, which all heads share.
_SHARED_NORMS: Tensors = {
    "layers.{}.self_attn.q_norm.weight": (FREE,),
    "layers.{}.self_attn.k_norm.weight": (FREE,),
}

_LLAMA: Tensors = {**_ENDS, **_ATTENTION, **_GATED, **_BEFORE, **_BETWEEN}
_OLMO2: Tensors = {
    **_ENDS,
    **_ATTENTION,
    **_GATED,
    **_BETWEEN,
    **_norm("layers.{}.post_feedforward_layernorm"),
    "layers.{}.self_attn.q_norm.weight": (Along((QUERY_GAINS,)),),
    "layers.{}.self_attn.k_norm.weight": (Along((KEY_GAINS,)),),
}
_PHI3: Tensors = {
    **_ENDS,
    **_BEFORE,
    **_BETWEEN,
    **_linear("layers.{}.self_attn.qkv_proj", Along((QUERIES, KEYS, VALUES)), READS),
    **_linear("layers.{}.self_attn.o_proj", WRITES, OUTPUTS),
    **_linear("layers.{}.mlp.gate_up_proj", Along((GATES, UPS)), READS),
    **_linear("layers.{}.mlp.down_proj", WRITES, DOWNS),
}
_PHI: Tensors = {
    "embed_tokens.weight": (FREE, Along((WRITES,))),
    **_norm("final_layernorm"),
    **_linear("lm_head", FREE, READS),
    **_BEFORE,
    **_linear("layers.{}.self_attn.q_proj", QUERIES, READS),
    **_linear("layers.{}.self_attn.k_proj", KEYS, READS),
    **_linear("layers.{}.self_attn.v_proj", VALUES, READS),
    **_linear("layers.{}.self_attn.dense", WRITES, OUTPUTS),
    **_linear("layers.{}.mlp.fc1", GATES, READS),
    **_linear("layers.{}.mlp.fc2", WRITES, DOWNS),
}
_GPT_NEOX: Tensors = {
    "embed_in.weight": (FREE, Along((WRITES,))),
    **_norm("final_layer_norm"),
    "embed_out.weight": (FREE, Along((READS,))),
    "lm_head.weight": (FREE, Along((READS,))),  # its name in memory
    **_BEFORE,
    **_BETWEEN,
    **_linear(
        "layers.{}.attention.query_key_value", Along((QUERIES, KEYS, VALUES), in_turn=True), READS
    ),
    **_linear("layers.{}.attention.dense", WRITES, OUTPUTS),
    **_linear("layers.{}.mlp.dense_h_to_4h", GATES, READS),
    **_linear("layers.{}.mlp.dense_4h_to_h", WRITES, DOWNS),
}
_GPT2: Tensors = {
    "wte.weight": (FREE, Along((WRITES,))),
    "wpe.weight": (FREE, Along((WRITES,))),
    **_norm("ln_f"),
    "lm_head.weight": (FREE, Along((READS,))),
    **_norm("h.{}.ln_1"),
    **_norm("h.{}.ln_2"),
    **_transposed("h.{}.attn.c_attn", Along((QUERIES, KEYS, VALUES)), READS),
    **_transposed("h.{}.attn.c_proj", WRITES, OUTPUTS),
    **_transposed("h.{}.mlp.c_fc", GATES, READS),
    **_transposed("h.{}.mlp.c_proj", WRITES, DOWNS),
}

# What is read behind which norm.
_PRE_NORMS = MappingProxyType(
    {
        "layers.{}.self_attn.": "layers.{}.input_layernorm.weight",
        "layers.{}.mlp.": "layers.{}.post_attention_layernorm.weight",
        "lm_head.": "norm.weight",
    }
)

SYMMETRIES: Mapping[str, Symmetry] = MappingProxyType(
    {
        "Llama": Symmetry(_LLAMA, norms=_PRE_NORMS, widens=True),
        "Mistral": Symmetry(_LLAMA, norms=_PRE_NORMS, widens=True),
        "Qwen2": Symmetry(_LLAMA, norms=_PRE_NORMS, widens=True),
        "Qwen3": Symmetry({**_LLAMA, **_SHARED_NORMS}, normed=True, norms=_PRE_NORMS),
        "Gemma": Symmetry(_LLAMA, norms=_PRE_NORMS, base=1.0),
        "Gemma 2": Symmetry({**_LLAMA, **_BESIDE_MLP}),
        "Gemma 3": Symmetry({**_LLAMA, **_BESIDE_MLP, **_SHARED_NORMS}, normed=True),
        "OLMo 2": Symmetry(_OLMO2, normed=True),
        "Phi-1/2": Symmetry(_PHI, signed=False, scaled=False, rotary=0.5),
        "Phi-3": Symmetry(_PHI3, norms=_PRE_NORMS, widens=True),
        "GPT-NeoX": Symmetry(_GPT_NEOX, signed=False, scaled=False, rotary=0.25),
        "GPT-2": Symmetry(_GPT2, signed=False, scaled=False, rotary=0.0),
    }
)
