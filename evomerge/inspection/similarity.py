"""How alike the residual streams of two models, or of one, are between their layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from evomerge.errors import MergeError
from evomerge.evaluators.base import LoadedModel, Tick, no_tick
from evomerge.inspection.streams import check_tokens_alike, streams, windows_of


@dataclass(frozen=True)
class Similarity:
    """Cosines of residual streams, in [-1, 1].

    Attributes:
        rows: the model whose streams the rows are: the first is what its embeddings give, row
            l + 1 what layer l hands on.
        columns: the model of the columns, likewise.
        cosines: ``(layers of one + 1, layers of the other + 1)``, each a mean over the tokens.
        tokens: how many.
    """

    rows: str
    columns: str
    cosines: tuple[tuple[float, ...], ...]
    tokens: int


def similarity(
    one: LoadedModel,
    other: LoadedModel,
    documents: Sequence[str],
    *,
    tick: Tick = no_tick,
) -> Similarity:
    """The cosines between the streams of two models over a text; they may be the same model.

    Raises:
        MergeError: their streams differ in width.
        VocabularyError: they read the text as different tokens.
        CheckpointError: the layers of a model are not known.
    """
    check_tokens_alike(one, other, documents)
    check_widths_alike(one, other)
    windows = windows_of(one, documents)
    total: NDArray[np.float64] | None = None
    theirs = (None for _ in windows) if one is other else streams(other, windows, tick=tick)
    for ours, again in zip(streams(one, windows, tick=tick), theirs, strict=True):
        unit = directions(ours)
        against = unit if again is None else directions(again)
        # Summed over tokens and width alike: the products of unit vectors, token by token.
        summed = (unit.flatten(1) @ against.flatten(1).T.to(unit.device)).double().cpu().numpy()
        total = summed if total is None else total + summed
    tokens = sum(map(len, windows))
    means = () if total is None else tuple(map(tuple, (total / tokens).tolist()))
    return Similarity(one.label, other.label, means, tokens)


def check_widths_alike(one: LoadedModel, other: LoadedModel) -> None:
    """Checks that the streams of two models can be compared.

    Raises:
        MergeError: they differ in width.
    """
    ours, theirs = one.model.config.hidden_size, other.model.config.hidden_size
    if ours != theirs:
        raise MergeError(
            f"{other.label}: its residual stream is {theirs} wide, that of {one.label} {ours}; "
            "only streams of one width can be compared"
        )


def directions(stream: Tensor) -> Tensor:
    """``(..., width)`` -> the same in float32, of length 1; zero stays zero."""
    return normalize(stream.float(), dim=-1)
