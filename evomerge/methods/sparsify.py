"""Thinning task vectors: by the rank of a magnitude, by chance, or by chance that follows rank."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np

from evomerge.kernels.block import Counts
from evomerge.kernels.primitives import (
    count_magnitudes,
    count_within,
    magnitude_sums,
    nth_equal,
    row_cuts,
)
from evomerge.kernels.sums import Floats
from evomerge.kernels.thinning import (
    EVERY_POSITION,
    NO_POSITION,
    NOTHING_ABOVE,
    Cuts,
    Thinning,
    Window,
)
from evomerge.methods.base import Blocks, Param

# L1 norms smaller than this are not rescaled by, as in mergekit.
MIN_L1 = 1e-7

DENSITY = Param(
    "density", 1.0, "fraction of each task vector that is kept", per_model=True, search=(0.05, 1.0)
)


class Magnitudes:
    """What is known of the magnitudes in a tensor, or in a pool of tensors; found when asked for.

    Nothing is sorted. Magnitudes are counted by the upper half of their float32 bits; the bin that
    holds the wanted rank is counted again by the lower half, which names the magnitude exactly; and
    of the elements that have just this magnitude the first ones, by position, stand above the cut.
    """

    def __init__(self, blocks: Blocks) -> None:
        """``blocks`` are walked as often as needed, not before."""
        self.size = blocks.size
        self._blocks = blocks
        self._lock = Lock()
        self._cuts: dict[tuple[tuple[int, ...], ...], list[Cuts]] = {}
        self._counts: Counts | None = None
        self._norms: dict[bytes, Floats] = {}

    def norms(self, window: Window | None = None) -> Floats:
        """``(models,)``: the L1 norm of each task vector, or of what a window keeps of it."""
        cuts = [] if window is None else [window.low, window.high]
        key = b"".join(cut.bits.tobytes() + cut.positions.tobytes() for cut in cuts)
        with self._lock:
            if key not in self._norms:
                self._norms[key] = magnitude_sums(self._blocks, window)
            return self._norms[key]

    def cuts(self, *ranks: Sequence[int]) -> list[Cuts]:
        """For each list of ranks the cut above which stand the ``rank_i`` largest of model i."""
        asked = tuple(tuple(int(rank) for rank in each) for each in ranks)
        with self._lock:
            if asked not in self._cuts:
                self._cuts[asked] = self._find(asked)
            return self._cuts[asked]

    def _find(self, asked: tuple[tuple[int, ...], ...]) -> list[Cuts]:
        size = self.size
        found = [_trivial(ranks, size) for ranks in asked]
        open_queries = [
            (query, model)
            for query, ranks in enumerate(asked)
            for model, rank in enumerate(ranks)
            if 0 < rank < size
        ]
        if not open_queries:
            return found
        wanted = np.array([asked[query][model] for query, model in open_queries])
        models = np.array([model for _, model in open_queries])
        bits, inside, ties = self._locate(models, wanted)
        for i, (query, model) in enumerate(open_queries):
            position = EVERY_POSITION
            # Which of several zeros stand above a cut changes nothing.
            if inside[i] < ties[i] and bits[i] > 0:
                position = 1 + nth_equal(self._blocks, model, int(bits[i]), int(inside[i]))
            found[query].bits[model, 0] = bits[i]
            found[query].positions[model, 0] = position
        return found

    def _locate(self, models: Counts, ranks: Counts) -> tuple[Counts, Counts, Counts]:
        """Each rank's magnitude bits, its place among those of that magnitude, and their number."""
        if self._counts is None:
            self._counts = count_magnitudes(self._blocks)
        upper, left, _ = _descend(self._counts[models], ranks)
        lower, inside, ties = _descend(count_within(self._blocks, models, upper), left)
        return (upper << 16) | lower, inside, ties


def _trivial(ranks: Sequence[int], size: int) -> Cuts:
    """The cuts at rank zero and at the end; the others are still to be found."""
    everything = np.array([rank >= size for rank in ranks])[:, None]
    return Cuts(
        np.where(everything, 0, NOTHING_ABOVE).astype(np.int64),
        np.where(everything, EVERY_POSITION, NO_POSITION).astype(np.int64),
    )


def _descend(counts: Counts, ranks: Counts) -> tuple[Counts, Counts, Counts]:
    """From the largest bin down: the bin that holds each rank, the place in it, what it holds."""
    from_top = np.cumsum(counts[:, ::-1], axis=1)
    steps = (from_top < ranks[:, None]).sum(axis=1)
    rows = np.arange(len(ranks))
    bins = counts.shape[1] - 1 - steps
    held = counts[rows, bins]
    return bins, ranks - (from_top[rows, steps] - held), held


def kept_count(density: float, size: int) -> int:
    """How many of ``size`` elements a magnitude trim to ``density`` keeps: at least one."""
    if density >= 1.0:
        return size
    return max(1, int(density * size)) if density > 0.0 else 0


def trim(magnitudes: Magnitudes, densities: Floats, size: int) -> Thinning:
    """Keeps the largest ``density_i`` of the ``size`` elements of each model (TIES)."""
    if (densities >= 1.0).all():
        return None
    ranks = [kept_count(float(density), size) for density in densities]
    (low,) = magnitudes.cuts(ranks)
    return Window(low, _trivial([0] * len(ranks), size))


def middle_ranks(densities: Floats, gammas: Floats, size: int) -> tuple[list[int], list[int]]:
    """The ranks of the two cuts of Breadcrumbs: ``density`` is kept below the top ``gamma``.

    Outliers are dropped only as far as the density allows: what is kept comes first.
    """
    low, high = [], []
    for density, gamma in zip(densities, gammas, strict=True):
        kept = size if density >= 1.0 else max(int(density * size), 0)
        smallest = max(0, size - kept - int(gamma * size))
        low.append(size - smallest)
        high.append(size - smallest - kept)
    return low, high


def middle(magnitudes: Magnitudes, densities: Floats, gammas: Floats, size: int) -> Thinning:
    """Drops the largest and the smallest elements of each model's task vector (Breadcrumbs)."""
    if (densities >= 1.0).all():
        return None
    low, high = magnitudes.cuts(*middle_ranks(densities, gammas, size))
    return Window(low, high)


def middle_by_row(blocks: Blocks, densities: Floats, gammas: Floats) -> Thinning:
    """As ``middle``, with the ranks taken within each row."""
    if (densities >= 1.0).all():
        return None
    low, high = middle_ranks(densities, gammas, blocks.columns)
    return Window(row_cuts(blocks, np.array(low)), row_cuts(blocks, np.array(high)))


def rank_probabilities(densities: Floats, epsilons: Floats, columns: int) -> Floats:
    """``(models, columns)``: the chance to survive by ascending rank in a row (DELLA).

    From ``density - epsilon`` for the smallest to ``density + epsilon`` for the largest.
    """
    rise = np.linspace(-1.0, 1.0, columns) if columns > 1 else np.zeros(1)
    chances = densities[:, None] + epsilons[:, None] * rise
    plain = (densities >= 1.0) | (densities <= 0.0)
    clipped: Floats = np.where(plain[:, None], np.clip(densities, 0.0, 1.0)[:, None], chances)
    return clipped


def l1_factors(magnitudes: Magnitudes, blocks: Blocks, thinning: Thinning) -> Floats:
    """``(models,)``: what restores each task vector's L1 norm after thinning.

    Both norms are of what ``magnitudes`` has counted: of the whole pool where several tensors are
    trimmed as one vector.
    """
    if thinning is None:
        return np.ones(blocks.models)
    before = magnitudes.norms()
    if isinstance(thinning, Window):
        after = magnitudes.norms(thinning)
    else:
        after = magnitude_sums(blocks, thinning)
    usable = (before >= MIN_L1) & (after >= MIN_L1)
    factors: Floats = np.where(usable, before / np.where(usable, after, 1.0), 1.0)
    return factors
