"""Thinning task vectors: by the rank of a magnitude, by chance, or by chance that follows rank."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from evomerge.kernels.block import Counts
from evomerge.kernels.primitives import (
    both_magnitude_sums,
    count_magnitudes,
    count_within,
    magnitude_sums,
    nth_equal,
    row_cuts,
    tallies,
)
from evomerge.kernels.sums import Floats
from evomerge.kernels.thinning import (
    EVERY_POSITION,
    NO_POSITION,
    NOTHING_ABOVE,
    Chance,
    Cuts,
    Thinning,
    Window,
    nothing,
)
from evomerge.methods.base import Blocks, Param
from evomerge.methods.recent import Recent

# L1 norms smaller than this are not rescaled by, as in mergekit.
MIN_L1 = 1e-7

# Answers remembered of each tensor: a search returns to the same densities, within a generation.
ANSWERS = 64

DENSITY = Param(
    "density", 1.0, "fraction of each task vector that is kept", per_model=True, search=(0.05, 1.0)
)


class Magnitudes:
    """What is known of the magnitudes in a tensor, or in a pool of tensors; found when asked for.

    Nothing is sorted. Magnitudes are counted by the upper half of their float32 bits; the bin that
    holds the wanted rank is counted again by the lower half, which names the magnitude exactly; and
    of the elements that have just this magnitude the first ones, by position, stand above the cut.

    A search asks for ever new ranks of the same tensors, so the counts are kept, and the latest
    answers. From the second question on every single magnitude is counted, if they are not too
    many, and ranks are found without a look at the blocks. These are not kept, but given each time.
    """

    def __init__(self, size: int) -> None:
        """``size`` is that of one model's tensor, or of its pool."""
        self.size = size
        self._lock = Lock()
        self._ladders: list[Ladder] | None = None
        self._values: list[Ladder] = []
        self._tallied = False
        self._cuts: Recent[list[Cuts]] = Recent(ANSWERS)
        self._norms: Recent[Floats] = Recent(ANSWERS)

    def norms(self, blocks: Blocks, thinning: Thinning = None) -> Floats:
        """``(models,)``: the L1 norm of each task vector, or of what survives of it."""
        key = _key(thinning, blocks)
        if key is None:
            return magnitude_sums(blocks, thinning)
        with self._lock:
            return self._norms.get(key, lambda: magnitude_sums(blocks, thinning))

    def norms_around(self, blocks: Blocks, thinning: Thinning) -> tuple[Floats, Floats]:
        """``(models,)`` twice: the L1 norm of each task vector, and of what survives of it."""
        with self._lock:
            if _key(None, blocks) not in self._norms:  # then both are found in one pass
                before, after = both_magnitude_sums(blocks, thinning)
                self._norms.get(_key(None, blocks), lambda: before)
                if (key := _key(thinning, blocks)) is not None:
                    self._norms.get(key, lambda: after)
                return before, after
        return self.norms(blocks), self.norms(blocks, thinning)

    def cuts(self, blocks: Blocks, *ranks: Sequence[int]) -> list[Cuts]:
        """For each list of ranks the cut above which stand the ``rank_i`` largest of model i."""
        asked = tuple(tuple(int(rank) for rank in each) for each in ranks)
        with self._lock:
            return self._cuts.get(asked, lambda: self._find(blocks, asked))

    def sizes(self, blocks: Blocks, ranks: Sequence[int]) -> Floats:
        """``(ranks,)``: of the first model, what magnitude has each rank, from 1; in float32."""
        with self._lock:
            bits, _, _ = self._locate(blocks, np.zeros(len(ranks), np.int64), ranks)
        return bits.astype(np.int32).view(np.float32).astype(np.float64)

    def _find(self, blocks: Blocks, asked: tuple[tuple[int, ...], ...]) -> list[Cuts]:
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
        wanted = [asked[query][model] for query, model in open_queries]
        models = np.array([model for _, model in open_queries])
        bits, inside, ties = self._locate(blocks, models, wanted)
        for i, (query, model) in enumerate(open_queries):
            position = EVERY_POSITION
            # Which of several zeros stand above a cut changes nothing.
            if inside[i] < ties[i] and bits[i] > 0:
                position = 1 + nth_equal(blocks, model, int(bits[i]), int(inside[i]))
            found[query].bits[model, 0] = bits[i]
            found[query].positions[model, 0] = position
        return found

    def _locate(
        self, blocks: Blocks, models: Counts, ranks: Sequence[int]
    ) -> tuple[Counts, Counts, Counts]:
        """Each rank's magnitude bits, its place among those of that magnitude, and their number."""
        if self._ladders is not None and not self._tallied:  # asked again, so in a search
            self._tallied = True
            found = tallies(blocks, blocks.models, most_magnitudes(self.size))
            self._values = [Ladder.of(counts, bits) for bits, counts in found or ()]
        pairs = list(zip(models, ranks, strict=True))
        if self._values:
            bits, inside, ties = np.array([self._values[m].find(rank) for m, rank in pairs]).T
            return bits, inside, ties
        if self._ladders is None:
            self._ladders = [Ladder.of(counts) for counts in count_magnitudes(blocks)]
        upper, left, _ = np.array([self._ladders[model].find(rank) for model, rank in pairs]).T
        within = zip(count_within(blocks, models, upper), left, strict=True)
        lower, inside, ties = np.array([Ladder.of(counts).find(rank) for counts, rank in within]).T
        return (upper << 16) | lower, inside, ties


@dataclass(frozen=True)
class Ladder:
    """Counts by bin, from the largest bin down; bins that hold nothing are left out.

    Attributes:
        bins: their numbers, descending.
        reached: how many elements each of them and those before it hold.
    """

    bins: Counts
    reached: Counts

    @classmethod
    def of(cls, counts: Counts, bins: Counts | None = None) -> Ladder:
        """``(bins,)`` counts, the smallest bin first; ``bins`` are their numbers if not 0, 1, …."""
        held = np.flatnonzero(counts != 0)[::-1]  # of booleans: ten times as fast
        reached = np.cumsum(counts[held])
        # Half the size where that is enough: a search keeps thousands of them.
        fitting = np.int32 if counts.sum() < 1 << 31 else np.int64
        return cls((held if bins is None else bins[held]).astype(np.int32), reached.astype(fitting))

    def find(self, rank: int) -> tuple[int, int, int]:
        """The bin that holds ``rank``, from 1; the rank's place in it; how many it holds."""
        step = int(np.searchsorted(self.reached, rank))
        before = int(self.reached[step - 1]) if step else 0
        return int(self.bins[step]), rank - before, int(self.reached[step]) - before


def _key(thinning: Thinning, blocks: Blocks) -> Hashable | None:
    """What decides which elements survive; None where that would be long."""
    if isinstance(thinning, Window):
        cuts = (thinning.low, thinning.high)
        return b"".join(cut.bits.tobytes() + cut.positions.tobytes() for cut in cuts)
    if isinstance(thinning, Chance):
        return thinning.thresholds.tobytes(), blocks.keys
    return "all" if thinning is None else None


def _trivial(ranks: Sequence[int], size: int) -> Cuts:
    """The cuts at rank zero and at the end; the others are still to be found."""
    everything = np.array([rank >= size for rank in ranks])[:, None]
    return Cuts(
        np.where(everything, 0, NOTHING_ABOVE).astype(np.int64),
        np.where(everything, EVERY_POSITION, NO_POSITION).astype(np.int64),
    )


def most_magnitudes(size: int) -> int:
    """How many single magnitudes of a tensor are remembered, 8 bytes each."""
    return min(max(size >> 7, 1 << 14), 1 << 19)


def kept_count(density: float, size: int) -> int:
    """How many of ``size`` elements a magnitude trim to ``density`` keeps: at least one."""
    if density >= 1.0:
        return size
    return max(1, int(density * size)) if density > 0.0 else 0


def in_part(densities: Floats) -> bool:
    """Whether any task vector is neither kept nor dropped as a whole."""
    return bool(((densities > 0.0) & (densities < 1.0)).any())


def trim(magnitudes: Magnitudes, blocks: Blocks, densities: Floats) -> Thinning:
    """Keeps the largest ``density_i`` of each model's elements (TIES)."""
    if (densities >= 1.0).all():
        return None
    ranks = [kept_count(float(density), magnitudes.size) for density in densities]
    (low,) = magnitudes.cuts(blocks.whole, ranks)
    return Window(low, nothing(len(ranks)))


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


def middle(magnitudes: Magnitudes, blocks: Blocks, densities: Floats, gammas: Floats) -> Thinning:
    """Drops the largest and the smallest elements of each model's task vector (Breadcrumbs)."""
    if (densities >= 1.0).all():
        return None
    ranks = middle_ranks(densities, gammas, magnitudes.size)
    low, high = magnitudes.cuts(blocks.whole, *ranks)
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
    counted = blocks.whole if isinstance(thinning, Window) else blocks
    before, after = magnitudes.norms_around(counted, thinning)
    usable = (before >= MIN_L1) & (after >= MIN_L1)
    factors: Floats = np.where(usable, before / np.where(usable, after, 1.0), 1.0)
    return factors
