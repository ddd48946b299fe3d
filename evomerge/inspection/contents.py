"""The tensors of a model, counted by kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from evomerge.checkpoint.tensors import TensorInfo
from evomerge.dtypes import dtype_name
from evomerge.families import Family

Kind = Literal["embeddings", "attention", "mlp", "norms", "head", "buffers", "other"]

KINDS: tuple[Kind, ...] = (
    "embeddings", "attention", "mlp", "norms", "head", "buffers", "other"
)  # fmt: skip

# Parts of names; the first kind that has one of them decides: "post_attention_layernorm" is a norm.
_SIGNS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("norms", ("norm", "ln_")),
    ("attention", ("attn", "attention")),
    ("mlp", ("mlp", "moe", "expert", "feed_forward", "ffn")),
    ("embeddings", ("embed", "wte", "wpe")),
)


@dataclass(frozen=True)
class Group:
    """Tensors of one kind.

    Attributes:
        kind: which.
        tensors: how many.
        parameters: their elements together.
        nbytes: what they take in a file.
    """

    kind: Kind
    tensors: int
    parameters: int
    nbytes: int


@dataclass(frozen=True)
class Contents:
    """The tensors of a model.

    Attributes:
        layers: how many.
        parameters: elements of all tensors, buffers left out.
        nbytes: what all of them take in a file.
        dtypes: the elements of each element type, the most frequent first.
        tied: whether the head is the embedding.
        vocabulary: rows of the embedding; None without one.
        groups: by kind, those that there are.
    """

    layers: int
    parameters: int
    nbytes: int
    dtypes: Mapping[str, int]
    tied: bool
    vocabulary: int | None
    groups: tuple[Group, ...]


def group_of(family: Family, name: str) -> Kind:
    """The kind of a tensor, from its name on disk."""
    if family.is_buffer(name):
        return "buffers"
    if name.startswith(family.head.removesuffix("weight")):
        return "head"
    if family.is_embedding(name):
        return "embeddings"
    bare = family.bare(name)
    return next((kind for kind, signs in _SIGNS if any(s in bare for s in signs)), "other")


def contents_of(
    family: Family, layers: int, infos: Sequence[TensorInfo], *, tied: bool
) -> Contents:
    """Counts the tensors of a model; ``tied`` says whether its head is its embedding."""
    groups = tuple(_groups(family, infos))
    dtypes: dict[str, int] = {}
    for info in infos:
        dtypes[dtype_name(info.dtype)] = dtypes.get(dtype_name(info.dtype), 0) + info.size
    embeddings = [info for info in infos if family.is_embedding(info.name)]
    return Contents(
        layers,
        sum(group.parameters for group in groups if group.kind != "buffers"),
        sum(info.nbytes for info in infos),
        dict(sorted(dtypes.items(), key=lambda item: -item[1])),
        tied,
        embeddings[0].shape[0] if embeddings else None,
        groups,
    )


def _groups(family: Family, infos: Iterable[TensorInfo]) -> Iterable[Group]:
    members: dict[Kind, list[TensorInfo]] = {kind: [] for kind in KINDS}
    for info in infos:
        members[group_of(family, info.name)].append(info)
    for kind, found in members.items():
        if found:
            elements, nbytes = sum(info.size for info in found), sum(info.nbytes for info in found)
            yield Group(kind, len(found), elements, nbytes)
