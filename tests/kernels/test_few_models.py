"""The unrolled kernels compute what the general loops do, to the last bit."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.dtypes import BFLOAT16, FLOAT32
from evomerge.kernels import few_models, fused
from evomerge.kernels.block import Block
from evomerge.kernels.sums import Election, Shares
from evomerge.kernels.thinning import Chance, Cuts, Window
from tests.kernels.in_blocks import blocks_of, models, same_bits

WEIGHTS = st.floats(-2, 2, width=32)


def both(block: Block, work, dtype=FLOAT32) -> None:
    """The same bits with the unrolled kernels and without them."""
    written = replace(block, out=np.empty((block.rows, block.where.columns), dtype))
    ours = work(written).copy()
    with patch.object(few_models, "MOST", 0):
        theirs = work(written)
    if dtype == BFLOAT16:
        ours, theirs = ours.astype(FLOAT32), theirs.astype(FLOAT32)
    same_bits(ours, theirs)


@given(st.data(), models(), st.sampled_from([FLOAT32, BFLOAT16]))
def test_weighted_sums(data, found, dtype):
    inputs, base = found
    values = np.array([data.draw(WEIGHTS) for _ in inputs])
    (block,) = blocks_of(inputs, base)
    both(block, lambda each: fused.weighted_sum(each, Shares(values)), dtype)


def cuts(data, count: int, size: int) -> Cuts:
    """Cuts at magnitudes that occur, at positions in, before and behind the block."""
    bits = st.sampled_from([0, 1, 0x3F000000, 0x3F800000, 0x3FC00000, 0x7FFFFFFF])
    places = st.integers(-2, size + 2) | st.just(1 << 62)
    return Cuts(
        np.array([[data.draw(bits)] for _ in range(count)], np.int64),
        np.array([[data.draw(places)] for _ in range(count)], np.int64),
    )


def elections(data, count: int, thinning: object) -> Election:
    factors, weights = (np.array([data.draw(WEIGHTS) for _ in range(count)]) for _ in range(2))
    flags = data.draw(st.booleans()), data.draw(st.booleans())
    elect, normalize = flags[0], flags[0] and flags[1]
    return Election(thinning, factors, weights, elect, normalize, data.draw(WEIGHTS))


@given(st.data(), models(base=True), st.sampled_from([FLOAT32, BFLOAT16]), st.integers(0, 50))
def test_elections_after_magnitude_trims(data, found, dtype, pool):
    inputs, base = found
    (block,) = blocks_of(inputs, base, row=1, pool=pool)
    whole = block.where.pool + block.where.offset + block.size
    thinning = Window(cuts(data, len(inputs), whole), cuts(data, len(inputs), whole))
    election = elections(data, len(inputs), data.draw(st.sampled_from([thinning, None])))
    both(block, lambda each: fused.elected_sum(each, election), dtype)


@given(st.data(), models(base=True), st.sampled_from([FLOAT32, BFLOAT16]))
def test_elections_after_drops_by_chance(data, found, dtype):
    """Also where the index of an element outgrows 32 bits, within the block and before it."""
    inputs, base = found
    columns = inputs[0].shape[1]
    row = data.draw(st.sampled_from([0, 3, (1 << 32) // columns - 1, (1 << 33) // columns]))
    (block,) = blocks_of(inputs, base, row=row)
    densities = tuple(data.draw(st.sampled_from([0.0, 0.3, 0.9, 1.0])) for _ in inputs)
    election = elections(data, len(inputs), Chance.of(densities))
    both(block, lambda each: fused.elected_sum(each, election), dtype)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("elect", [True, False])
def test_what_is_not_finite(special, elect):
    rng = np.random.default_rng(0)
    base, *inputs = rng.standard_normal((4, 3, 40)).astype(np.float32)
    inputs[1][1, 7] = special
    (block,) = blocks_of(inputs, base)
    limits = Cuts(np.full((3, 1), 0x3F000000), np.full((3, 1), 1 << 62))
    above = Cuts(np.full((3, 1), 0x7FFFFFFF), np.zeros((3, 1), np.int64))
    for thinning in (None, Window(limits, above), Chance.of((0.9, 1.0, 0.9))):
        election = Election(thinning, np.ones(3), np.ones(3), elect, elect, 1.0)
        both(block, lambda each, asked=election: fused.elected_sum(each, asked))


@pytest.mark.parametrize("count", [1, few_models.MOST, few_models.MOST + 1])
def test_any_number_of_models(count):
    rng = np.random.default_rng(count)
    base, *inputs = rng.standard_normal((count + 1, 4, 300)).astype(np.float32)
    (block,) = blocks_of(inputs, base)
    weights = rng.random(count)
    election = Election(Chance.of((0.5,) * count), weights, weights, True, True, 1.1)
    both(block, lambda each: fused.elected_sum(each, election), BFLOAT16)
    both(block, lambda each: fused.weighted_sum(each, Shares(weights)), BFLOAT16)
    assert few_models.weighted_sum(block, Shares(weights), np.empty(1200, np.float32)) == (
        count <= few_models.MOST
    )
