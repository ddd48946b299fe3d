"""The primitives in torch, on any device and for any floating-point type.

Elementwise results have the same bits as the compiled kernels'; sums in float64 may differ in the
last place, because torch chooses their order.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from evomerge.kernels.block import Block, Counts
from evomerge.kernels.primitives import LOWER_BINS, UPPER_BINS
from evomerge.kernels.sums import Election, Floats, Shares
from evomerge.kernels.thinning import (
    EVERY_POSITION,
    NOTHING_ABOVE,
    Chance,
    Cuts,
    Kept,
    Ranked,
    Thinning,
    Window,
)
from evomerge.noise import DRAWS, FIRST, GOLDEN, SECOND, Key

_WORD = 0xFFFFFFFF


def weighted_sum(block: Block, shares: Shares) -> Tensor:
    """See ``primitives.weighted_sum``."""
    values = shares.values
    if shares.per == "row":
        values = values[:, block.where.row : block.where.row + block.rows, None]
    elif shares.per == "column":
        first = block.where.offset
        values = values.take(range(first, first + block.size), axis=1, mode="wrap")
        values = values.reshape(len(values), block.rows, -1)
    else:
        values = values[:, None, None]
    total: Tensor | None = None
    for delta, share in zip(_deltas(block), values, strict=True):
        part = delta * torch.as_tensor(share).to(delta)
        total = part if total is None else total + part
    return _on_base(block, total)


def elected_sum(block: Block, election: Election) -> Tensor:
    """See ``primitives.elected_sum``."""
    votes = [
        _thinned(block, election.thinning, model, delta) * _factor(factor, delta)
        for model, (delta, factor) in enumerate(zip(_deltas(block), election.factors, strict=True))
    ]
    total = sum(votes[1:], votes[0])
    if election.elect:
        total = _elected(votes, total, election)
    return _on_base(block, total * _factor(election.scale, total))


def all_finite(block: Block) -> list[bool]:
    """See ``Engine.all_finite``."""
    arrays = [*block.inputs, *([] if block.base is None else [block.base])]
    return [bool(torch.isfinite(_tensor(array)).all()) for array in arrays]


def gram(block: Block, span: int) -> Floats:
    """See ``Engine.gram``."""
    stacked = torch.stack([delta.reshape(-1) for delta in _deltas(block)]).double()
    parts = [part @ part.T for part in torch.split(stacked, span, dim=1)]
    return torch.stack(parts).cpu().numpy()


def column_gram(block: Block, total: Floats) -> None:
    """See ``Engine.column_gram``."""
    stacked = torch.stack([delta.reshape(-1) for delta in _deltas(block)]).double()
    columns, lower, start = total.shape[2], np.tri(len(stacked))[:, :, None], 0
    while start < block.size:
        column = (block.where.offset + start) % columns
        part = stacked[:, start : start + columns - column]
        products = (part[:, None] * part).cpu().numpy()
        total[:, :, column : column + part.shape[1]] += lower * products
        start += part.shape[1]


def magnitude_sums(block: Block, thinning: Thinning, *, before: bool) -> Floats:
    """See ``Engine.magnitude_sums``."""
    columns = []
    for model, delta in enumerate(_deltas(block)):
        kinds = [delta] * before + [_thinned(block, thinning, model, delta)]
        columns.append(torch.stack([_tile_sums(block, kind.abs()) for kind in kinds], dim=1))
    return torch.stack(columns, dim=2).cpu().numpy()


def count_magnitudes(block: Block, counts: Counts) -> None:
    """See ``Engine.count_magnitudes``."""
    for model, delta in enumerate(_deltas(block)):
        upper = (_bits(delta) >> 16).reshape(-1)
        counts[model] += torch.bincount(upper, minlength=UPPER_BINS).cpu().numpy()


def count_within(block: Block, models: Counts, bins: Counts, counts: Counts) -> None:
    """See ``Engine.count_within``."""
    deltas = list(_deltas(block))
    for query, (model, wanted) in enumerate(zip(models, bins, strict=True)):
        bits = _bits(deltas[model])
        lower = bits[bits >> 16 == int(wanted)] & 0xFFFF
        counts[query] += torch.bincount(lower, minlength=LOWER_BINS).cpu().numpy()


def tally(block: Block, model: int, keys: Counts, counts: Counts, room: int) -> int:  # noqa: ARG001
    """See ``Engine.tally``: always -1, as torch has no hash tables."""
    return -1


def nth_equal(block: Block, model: int, bits: int, nth: int) -> tuple[int, int]:
    """See ``Engine.nth_equal``."""
    found = torch.nonzero((_bits(list(_deltas(block))[model]) == bits).reshape(-1)).reshape(-1)
    if len(found) >= nth:
        return int(found[nth - 1]), 0
    return -1, nth - len(found)


def ranked_chance(block: Block, thresholds: Counts) -> npt.NDArray[np.uint8]:
    """See ``Engine.ranked_chance``."""
    kept = [_ranked(block, model, d, thresholds)[0] for model, d in enumerate(_deltas(block))]
    return np.stack([np.packbits(flags.cpu().numpy(), axis=1) for flags in kept])


def row_cuts(block: Block, ranks: Counts) -> Cuts:
    """See ``Engine.row_cuts``."""
    rows, columns = block.rows, block.where.columns
    starts = block.where.offset + columns * np.arange(rows)
    bits = np.full((len(ranks), rows), NOTHING_ABOVE, np.int64)
    positions = np.zeros((len(ranks), rows), np.int64)
    for model, (rank, delta) in enumerate(zip(ranks, _deltas(block), strict=True)):
        if rank >= columns:
            bits[model], positions[model] = 0, EVERY_POSITION
        elif rank > 0:
            sorted_bits = torch.sort(_bits(delta), dim=1, stable=True, descending=True)
            bits[model] = sorted_bits.values[:, int(rank) - 1].cpu().numpy()
            positions[model] = starts + 1 + sorted_bits.indices[:, int(rank) - 1].cpu().numpy()
    return Cuts(bits, positions)


def row_divergences(block: Block, floor: float) -> Floats:
    """See ``primitives.row_divergences``."""
    before = torch.softmax(_tensor(block.base).double(), dim=1) + floor
    after = [torch.softmax(_tensor(array).double(), dim=1) + floor for array in block.inputs]
    return torch.stack([(p * (p / before).log()).sum(dim=1) for p in after]).cpu().numpy()


def _tensor(array: object) -> Tensor:
    return array if isinstance(array, Tensor) else torch.as_tensor(array)


def _wide(array: object) -> Tensor:
    tensor = _tensor(array)
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _deltas(block: Block) -> Iterator[Tensor]:
    base = None if block.base is None else _wide(block.base)
    for array in block.inputs:
        yield _wide(array) if base is None else _wide(array) - base


def _tile_sums(block: Block, values: Tensor) -> Tensor:
    """``(tiles,)``, float64."""
    parts = torch.split(values.reshape(-1).double(), block.where.tile)
    return torch.stack([part.sum() for part in parts])


def _elected(votes: list[Tensor], total: Tensor, election: Election) -> Tensor:
    """The sum of the votes that agree with the sign of ``total``, the sum of all."""
    sign = torch.where(total >= 0, 1.0, -1.0).to(total)
    agreeing = [vote * sign for vote in votes]
    elected = sum((a.clamp(min=0) for a in agreeing), torch.zeros_like(total)) * sign
    if not election.normalize:
        return elected
    parts = [(a > 0).to(a) * _factor(w, a) for a, w in zip(agreeing, election.weights, strict=True)]
    divisor = sum(parts[1:], parts[0])
    return elected / torch.where(divisor != 0, divisor, 1.0)


def _factor(value: float, like: Tensor) -> float:
    """A factor rounded to the precision of the arithmetic, as the compiled kernels round it."""
    return float(value) if like.dtype == torch.float64 else float(np.float32(value))


def _on_base(block: Block, delta: Tensor | None) -> Tensor:
    if delta is None:
        raise ValueError("a block without inputs")
    return delta if block.base is None else _wide(block.base) + delta


def _bits(delta: Tensor) -> Tensor:
    """The bits of the magnitudes as float32, int64."""
    return (delta.float().view(torch.int32) & 0x7FFFFFFF).long()


def _flat_index(block: Block, like: Tensor) -> Tensor:
    start = block.where.offset
    return torch.arange(start, start + block.size, device=like.device).view(block.rows, -1)


def _draws(block: Block, key: Key, like: Tensor) -> Tensor:
    """``evomerge.noise.draws`` in int64, which torch has on every device."""
    index = _flat_index(block, like)
    inner = _scramble((index & _WORD) ^ key[0])
    return _scramble(inner ^ key[1] ^ (((index >> 32) * GOLDEN) & _WORD))


def _scramble(bits: Tensor) -> Tensor:
    bits = ((bits ^ (bits >> 16)) * FIRST) & _WORD
    bits = ((bits ^ (bits >> 15)) * SECOND) & _WORD
    return bits ^ (bits >> 16)


def _above(block: Block, cuts: Cuts, model: int, delta: Tensor) -> Tensor:
    bits, positions = cuts.bits[model], cuts.positions[model]
    if len(bits) > 1:
        rows = slice(block.where.row, block.where.row + block.rows)
        bits, positions = bits[rows, None], positions[rows, None]
    cut = torch.as_tensor(bits, device=delta.device)
    before = _flat_index(block, delta) + block.where.pool < torch.as_tensor(
        positions, device=delta.device
    )
    found = _bits(delta)
    return (found > cut) | ((found == cut) & before)


def _ranked(block: Block, model: int, delta: Tensor, thresholds: Counts) -> tuple[Tensor, Tensor]:
    """What survives, ``(rows, columns)`` bool, and the columns of each row by ascending rank."""
    order = torch.sort(_bits(delta), dim=1, stable=True).indices
    limits = torch.as_tensor(thresholds[model], device=delta.device).expand(order.shape)
    by_column = torch.empty_like(order).scatter_(1, order, limits)
    return _draws(block, block.where.keys[model], delta) < by_column, order


def _thinned(block: Block, thinning: Thinning, model: int, delta: Tensor) -> Tensor:
    if isinstance(thinning, Window):
        low = _above(block, thinning.low, model, delta)
        kept = low & ~_above(block, thinning.high, model, delta)
    elif isinstance(thinning, Chance):
        if thinning.thresholds[model] >= DRAWS:
            return delta
        kept = _draws(block, block.where.keys[model], delta) < int(thinning.thresholds[model])
    elif isinstance(thinning, Kept):
        rows = thinning.bits[model, block.where.row : block.where.row + block.rows]
        flags = np.unpackbits(rows, axis=1, count=block.where.columns)
        kept = torch.as_tensor(flags, device=delta.device).bool()
    elif isinstance(thinning, Ranked):
        kept, order = _ranked(block, model, delta, thinning.thresholds)
        by_rank = torch.as_tensor(thinning.gains[model].astype(np.float32), device=delta.device)
        gains = torch.empty_like(delta).scatter_(1, order, by_rank.to(delta).expand(order.shape))
        delta = delta * gains
    else:
        return delta
    return torch.where(kept, delta, 0.0)
