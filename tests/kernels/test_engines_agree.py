"""The two engines: the same bits elementwise, the same sums up to the order of adding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.dtypes import BFLOAT16, FLOAT32
from evomerge.kernels import fused, primitives, reference
from evomerge.kernels.sums import Election, Shares
from evomerge.kernels.thinning import EVERY_POSITION, Chance, Cuts, Kept, Ranked, Window
from evomerge.noise import DRAWS
from tests.kernels.in_blocks import blocks_of, models, same_bits, whole

FACTORS = st.sampled_from([1.0, -1.0, 0.5, 0.3, -0.2, 1e-3, 0.0, 2.0])
SUMS = {"rtol": 1e-14, "atol": 0.0}


@st.composite
def factors(draw, *shape):
    size = int(np.prod(shape))
    return np.array(draw(st.lists(FACTORS, min_size=size, max_size=size))).reshape(shape)


@st.composite
def thinnings(draw, count, rows, columns):
    """One of each kind, or none."""
    chances = st.sampled_from([0, 1, DRAWS // 3, DRAWS // 2, DRAWS - 1, DRAWS])

    def table(elements, *shape):
        size = int(np.prod(shape))
        listed = draw(st.lists(elements, min_size=size, max_size=size))
        return np.array(listed, np.int64).reshape(shape)

    def cuts(groups):
        bits = np.array([0, 1, 0x3F000000, 0x3F800000, 0x7FFFFFFF])
        positions = np.array([0, 1, columns, rows * columns, EVERY_POSITION])
        which = table(st.integers(0, 4), 2, count, groups)
        # A cut among the zeros has all of them above: which ones are kept changes nothing.
        return Cuts(bits[which[0]], np.where(which[0] == 0, EVERY_POSITION, positions[which[1]]))

    kind = draw(st.sampled_from(["none", "window", "rows", "chance", "kept", "ranked"]))
    if kind == "none":
        return None
    if kind in {"window", "rows"}:
        groups = 1 if kind == "window" else rows
        return Window(cuts(groups), cuts(groups))
    if kind == "chance":
        return Chance(table(chances, count))
    if kind == "kept":
        return Kept(np.packbits(table(st.integers(0, 1), count, rows, columns) > 0, axis=2))
    gains = 1.0 + table(st.integers(0, 9), count, columns) / 7
    return Ranked(table(chances, count, columns), gains)


@st.composite
def thinned_models(draw, **options):
    inputs, base = draw(models(**options))
    return inputs, base, draw(thinnings(len(inputs), *inputs[0].shape))


@given(st.data(), models(), st.sampled_from(["tensor", "row", "column"]))
def test_weighted_sums_have_the_same_bits(data, found, per):
    inputs, base = found
    rows, columns = inputs[0].shape
    shape = {"tensor": (), "row": (rows,), "column": (columns,)}[per]
    shares = Shares(data.draw(factors(len(inputs), *shape)), per)
    both = [
        whole(primitives.weighted_sum, blocks_of(inputs, base, engine=engine, height=2), shares)
        for engine in (fused, reference)
    ]
    same_bits(*both)


@given(st.data(), thinned_models(), st.booleans(), st.booleans())
def test_elected_sums_have_the_same_bits(data, found, elect, normalize):
    inputs, base, thinning = found
    weights, scaled = data.draw(factors(2, len(inputs)))
    election = Election(thinning, weights * scaled, weights, elect, normalize, 0.7)
    both = [
        whole(primitives.elected_sum, blocks_of(inputs, base, engine=engine, height=2), election)
        for engine in (fused, reference)
    ]
    same_bits(*both)


@given(models())
def test_gram_matrices_agree(found):
    inputs, base = found
    columns = inputs[0].shape[1]
    left, right = (
        blocks_of(inputs, base, engine=engine, height=2) for engine in (fused, reference)
    )
    largest = np.abs(primitives.gram(left)).max()
    for fold in (
        primitives.gram,
        primitives.row_gram,
        lambda blocks: primitives.column_gram(blocks, columns),
    ):
        np.testing.assert_allclose(fold(left), fold(right), rtol=1e-14, atol=1e-15 * largest)


@given(thinned_models())
def test_magnitudes_sum_to_the_same(found):
    inputs, base, thinning = found
    both = [
        primitives.magnitude_sums(blocks_of(inputs, base, engine=engine, height=2), thinning)
        for engine in (fused, reference)
    ]
    np.testing.assert_allclose(*both, **SUMS)


@given(thinned_models())
def test_both_norms_have_the_bits_of_each(found):
    inputs, base, thinning = found
    for engine in (fused, reference):
        blocks = blocks_of(inputs, base, engine=engine, height=2)
        before, after = primitives.both_magnitude_sums(blocks, thinning)
        assert before.tobytes() == primitives.magnitude_sums(blocks).tobytes()
        assert after.tobytes() == primitives.magnitude_sums(blocks, thinning).tobytes()


@given(st.data(), models())
def test_magnitudes_are_counted_and_found_alike(data, found):
    inputs, base = found
    left, right = (
        blocks_of(inputs, base, engine=engine, height=2) for engine in (fused, reference)
    )
    counts = primitives.count_magnitudes(left)
    np.testing.assert_array_equal(counts, primitives.count_magnitudes(right))
    asked = np.array(data.draw(st.lists(st.integers(0, len(inputs) - 1), min_size=1, max_size=3)))
    bins = np.array([data.draw(st.sampled_from(np.flatnonzero(counts[m]))) for m in asked])
    within = primitives.count_within(left, asked, bins)
    np.testing.assert_array_equal(within, primitives.count_within(right, asked, bins))
    bits = int(bins[0]) << 16 | int(data.draw(st.sampled_from(np.flatnonzero(within[0]))))
    for nth in range(1, inputs[0].size + 2):
        first, second = (primitives.nth_equal(b, int(asked[0]), bits, nth) for b in (left, right))
        assert first == second


@given(st.data(), models())
def test_rows_are_ranked_and_cut_alike(data, found):
    inputs, base = found
    columns = inputs[0].shape[1]
    left, right = (
        blocks_of(inputs, base, engine=engine, height=2) for engine in (fused, reference)
    )
    ranks = np.array([data.draw(st.integers(0, columns + 1)) for _ in inputs])
    first, second = primitives.row_cuts(left, ranks), primitives.row_cuts(right, ranks)
    np.testing.assert_array_equal(first.bits, second.bits)
    np.testing.assert_array_equal(first.positions, second.positions)
    steps = np.linspace(0.1, 0.9, columns) * DRAWS
    thresholds = np.stack([steps.astype(np.int64)] * len(inputs))
    thresholds[-1] = data.draw(st.sampled_from([0, DRAWS // 2, DRAWS]))
    first, second = (primitives.ranked_chance(blocks, thresholds) for blocks in (left, right))
    np.testing.assert_array_equal(first.bits, second.bits)


@given(st.data(), models())
def test_what_is_not_finite_is_found_alike(data, found):
    inputs, base = found
    arrays = [*inputs, *([] if base is None else [base])]
    spoilt = [data.draw(st.sampled_from([None, np.nan, -np.nan, np.inf, -np.inf])) for _ in arrays]
    for array, value in zip(arrays, spoilt, strict=True):
        if value is not None:
            array[-1, -1] = value
    for engine in (fused, reference):
        (block,) = blocks_of(inputs, base, engine=engine)
        assert engine.all_finite(block) == [value is None for value in spoilt]


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16])
def test_lanes_and_tiles_beyond_one_agree(dtype):
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((7, 2600)).astype(dtype) for _ in range(3)]
    base = rng.standard_normal((7, 2600)).astype(dtype)
    chance = Chance.of((0.3, 0.5, 1.0))
    election = Election(chance, np.array([0.7, 1.0, -0.4]), np.ones(3), True, True, 1.3)
    left, right = (
        blocks_of(inputs, base, engine=engine, height=3, tile_rows=1)
        for engine in (fused, reference)
    )
    same_bits(*(whole(primitives.elected_sum, blocks, election) for blocks in (left, right)))
    np.testing.assert_allclose(primitives.gram(left), primitives.gram(right), rtol=1e-12)
    both = (primitives.magnitude_sums(blocks, chance) for blocks in (left, right))
    np.testing.assert_allclose(*both, rtol=1e-13)
