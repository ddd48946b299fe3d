"""What PEFT calls a parameter -> what the checkpoint on disk calls it.

PEFT names parameters as they were in memory when the adapter was trained. On disk a prefix may be
missing or added, some modules have other names, and a tied head is not there at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from evomerge.checkpoint.adapter_parts import Base
from evomerge.errors import AdapterError, CheckpointError
from evomerge.families import Family, family_of

# Names in memory since transformers 5, and those that checkpoints keep on disk.
_RENAMED = ((".mlp.", ".block_sparse_moe."), ("lm_head.", "embed_out."))


class Tie(NamedTuple):
    """Two names of one matrix, of which only the embedding is on disk."""

    head: str
    embedding: str


class Names:
    """Finds the tensors of a checkpoint under the names of an adapter."""

    def __init__(self, checkpoint: Base) -> None:
        self._checkpoint = checkpoint
        self._names = frozenset(checkpoint.names())

    def find(self, parameter: str) -> str | None:
        """The tensor that is the parameter, or None.

        Raises:
            AdapterError: it could be several.
        """
        spellings = _spellings(parameter)
        for name in spellings:
            if name in self._names:
                return name
        for name in spellings:
            found = self._by_end.get(name) or [end for end in _ends(name) if end in self._names]
            if len(found) > 1:
                raise AdapterError(
                    f"{self._checkpoint.label}: the adapter's '{parameter}' could be "
                    f"{' or '.join(sorted(found))}"
                )
            if found:
                return found[0]
        return None

    def is_head(self, parameter: str) -> bool:
        """Whether the parameter is the head of a model that ties it to the embedding."""
        return self.tie is not None and self.tie.head in _spellings(parameter)

    def is_vocabulary(self, name: str) -> bool:
        """Whether the tensor has a row for each token: an embedding or a head."""
        family = self._family
        return family is not None and (name == family.head or family.is_embedding(name))

    @cached_property
    def tie(self) -> Tie | None:
        """Head and embedding, if only the embedding is on disk because the head is the same."""
        family = self._family
        if family is None or self.find(family.head):
            return None
        embeddings = [name for name in self._checkpoint.names() if family.is_embedding(name)]
        return Tie(family.head, embeddings[0]) if embeddings else None

    @cached_property
    def _family(self) -> Family | None:
        """None if it is not known: who merges will say so, and what an adapter does is clear."""
        try:
            return family_of(self._checkpoint.config, self._names, self._checkpoint.label)
        except CheckpointError:
            return None

    @cached_property
    def _by_end(self) -> dict[str, list[str]]:
        ends: dict[str, list[str]] = {}
        for name in self._names:
            for end in _ends(name):
                ends.setdefault(end, []).append(name)
        return ends


def _spellings(parameter: str) -> list[str]:
    """The names a parameter may have, the given one first."""
    return [parameter, *(parameter.replace(new, old) for new, old in _RENAMED if new in parameter)]


def _ends(name: str) -> Iterator[str]:
    """A name without its first part, without its first two, and so on: ``a.b.c`` -> b.c, c."""
    while "." in name:
        name = name.partition(".")[2]
        yield name
