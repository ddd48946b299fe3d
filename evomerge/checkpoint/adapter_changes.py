"""What an adapter can do to a tensor of its model."""

from __future__ import annotations

from dataclasses import dataclass, field

from evomerge.checkpoint.tensors import TensorInfo


@dataclass(frozen=True)
class LowRank:
    """Adds ``scaling · up @ down`` to a matrix, or its transpose if ``transposed``.

    Attributes:
        down: the name, in the adapter's file, of ``(rank, in)``.
        up: the name of ``(out, rank)``.
        scaling: alpha / rank, or alpha / √rank.
        transposed: whether the matrix is stored as ``(in, out)``: Conv1D and embeddings.
    """

    down: str
    up: str
    scaling: float
    transposed: bool


@dataclass
class Change:
    """What becomes of one tensor. Names are those of the adapter's file unless said otherwise.

    Attributes:
        info: the tensor as it appears to be.
        source: the tensor of the checkpoint it starts as.
        replacement: what it starts as instead, if anything.
        tokens: a matrix that then replaces some rows, and the indices of these.
        low_rank: products then added.
        added: vectors then added, and their factors.
        magnitude: lengths that its output directions are brought to at last (DoRA).
    """

    info: TensorInfo
    source: str
    replacement: str | None = None
    tokens: tuple[str, tuple[int, ...]] | None = None
    low_rank: list[LowRank] = field(default_factory=list)
    added: list[tuple[str, float]] = field(default_factory=list)
    magnitude: str | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """All that it takes from the adapter."""
        factors = (key for product in self.low_rank for key in (product.up, product.down))
        added = (key for key, _ in self.added)
        tokens = self.tokens and self.tokens[0]
        whole = (self.replacement, tokens, self.magnitude)
        return (*factors, *added, *(key for key in whole if key is not None))
