"""Promises of the torch kernels on a GPU: what they give on the CPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evomerge.dtypes import BFLOAT16, FLOAT32
from evomerge.kernels import primitives
from evomerge.kernels.sums import Election, Shares
from evomerge.kernels.thinning import Chance, Ranked, Window, nothing
from evomerge.noise import DRAWS
from tests.kernels.in_blocks import blocks_of

pytestmark = pytest.mark.gpu


@pytest.fixture(params=[BFLOAT16, FLOAT32], ids=str)
def data(request):
    rng = np.random.default_rng(0)
    return [rng.standard_normal((7, 1500)).round(1).astype(request.param) for _ in range(4)]


def on_both(arrays, row=0):
    """The blocks of the compiled kernels, and the same on the GPU."""
    from evomerge.kernels import reference

    cpu = blocks_of(arrays[:3], arrays[3], height=3, row=row)
    gpu = [
        replace(block, inputs=[array.cuda() for array in block.inputs], base=block.base.cuda())
        for block in blocks_of(arrays[:3], arrays[3], engine=reference, height=3, row=row)
    ]
    return cpu, gpu


def results(primitive, sides, *arguments):
    return [
        np.concatenate([np.asarray(getattr(r, "cpu", lambda r=r: r)()) for r in parts])
        for parts in ([primitive(block, *arguments) for block in blocks] for blocks in sides)
    ]


@pytest.mark.parametrize("per", ["tensor", "row", "column"])
def test_weighted_sums(data, per):
    size = {"tensor": (3,), "row": (3, 7), "column": (3, 1500)}[per]
    shares = Shares(np.random.default_rng(1).standard_normal(size), per)
    np.testing.assert_array_equal(*results(primitives.weighted_sum, on_both(data), shares))


def thinnings(sides):
    cuts = [primitives.row_cuts(blocks, np.array([100, 700, 1500])) for blocks in sides]
    np.testing.assert_array_equal(cuts[0].bits, cuts[1].bits)
    np.testing.assert_array_equal(cuts[0].positions, cuts[1].positions)
    high = primitives.row_cuts(sides[0], np.array([0, 10, 20]))
    rising = np.stack([np.linspace(0.1, 0.9, 1500) * DRAWS] * 3).astype(np.int64)
    kept = [primitives.ranked_chance(blocks, rising) for blocks in sides]
    np.testing.assert_array_equal(kept[0].bits, kept[1].bits)
    gains = DRAWS / rising
    return [None, Window(cuts[0], high), Chance.of((0.3, 0.7, 1.0)), kept[0], Ranked(rising, gains)]


@pytest.mark.parametrize("elect", [True, False])
def test_elected_sums(data, elect):
    weights = np.array([1.0, 0.5, -0.25])
    sides = on_both(data)
    for thinning in thinnings(sides):
        election = Election(thinning, weights, weights, elect, elect, 0.7)
        np.testing.assert_array_equal(*results(primitives.elected_sum, sides, election))


def test_masks_beyond_32_bits(data):
    election = Election(Chance.of((0.3, 0.5, 0.7)), np.ones(3), np.ones(3), False, False, 1.0)
    sides = on_both(data, row=2**32 // 1500)
    np.testing.assert_array_equal(*results(primitives.elected_sum, sides, election))


def test_folds(data):
    cpu, gpu = on_both(data)
    for fold in (primitives.gram, primitives.row_gram, primitives.magnitude_sums):
        np.testing.assert_allclose(fold(cpu), fold(gpu), rtol=1e-12, atol=1e-12)
    left, right = (primitives.column_gram(blocks, 1500) for blocks in (cpu, gpu))
    np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-12)
    counts = [primitives.count_magnitudes(blocks) for blocks in (cpu, gpu)]
    np.testing.assert_array_equal(*counts)
    assert [b.engine.all_finite(b) for b in cpu] == [b.engine.all_finite(b) for b in gpu]
    upper = np.array([int(counts[0][0].argmax())])
    within = [primitives.count_within(blocks, np.array([0]), upper) for blocks in (cpu, gpu)]
    np.testing.assert_array_equal(*within)
    bits = int(upper[0]) << 16 | int(within[0][0].argmax())
    for nth in (1, 2, 5):
        found = [primitives.nth_equal(blocks, 0, bits, nth) for blocks in (cpu, gpu)]
        assert found[0] == found[1]
    assert nothing(1).positions.item() == 0
