"""Every primitive, in both engines, against plain NumPy in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.dtypes import BFLOAT16, FLOAT32, FLOAT64
from evomerge.kernels import primitives, reference
from evomerge.kernels.sums import Election, Shares
from evomerge.kernels.thinning import Chance, Cuts, Kept, Ranked, Window, everything, nothing
from evomerge.noise import DRAWS, FIRST, SECOND, draws
from tests.kernels.in_blocks import AWKWARD, ENGINES, blocks_of, deltas, models, whole

WEIGHTS = np.array([0.7, 1.0, -0.4])


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


@pytest.fixture(params=[FLOAT32, BFLOAT16], ids=str)
def dtype(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["base", "no base"])
def three(request, dtype):
    """Three inputs of 7 rows and 1500 columns, with a base or without."""
    rng = np.random.default_rng(0)
    found = [rng.standard_normal((7, 1500)).astype(dtype) for _ in range(4)]
    return found[:3], found[3] if request.param else None


def exact(inputs, base):
    """Task vectors in float64, after the one rounding that kernels make."""
    return deltas(inputs, base).astype(np.float64)


def on_base(delta, base):
    return delta if base is None else delta + base.astype(np.float64)


def votes_counted(votes, weights, *, normalize):
    """Sign election as the paper has it: a sum of zero elects plus."""
    sign = np.where(votes.sum(axis=0) >= 0, 1.0, -1.0)
    agree = np.sign(votes) == sign
    total = (votes * agree).sum(axis=0)
    divisor = (weights[:, None, None] * agree).sum(axis=0)
    return total / np.where(divisor != 0, divisor, 1.0) if normalize else total


def order(magnitudes):
    """Indices from the largest to the smallest; of equal ones the first comes first."""
    return np.argsort(-np.abs(magnitudes.astype(np.float64)), axis=-1, kind="stable")


@pytest.mark.parametrize("per", ["tensor", "row", "column"])
def test_weighted_sums(engine, three, per):
    inputs, base = three
    shape = {"tensor": (1, 1), "row": (7, 1), "column": (1, 1500)}[per]
    shares = np.random.default_rng(1).standard_normal((3, *shape))
    blocks = blocks_of(inputs, base, engine=engine, height=3)
    flat = shares.reshape(3, -1) if per != "tensor" else shares.reshape(3)
    found = whole(primitives.weighted_sum, blocks, Shares(flat, per))
    expected = on_base((exact(inputs, base) * shares).sum(axis=0), base)
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-6)


def test_column_shares_may_span_several_rows(engine):
    # A tensor of three axes: one share for what stands under one index of the first.
    x = np.arange(24, dtype=np.float32).reshape(8, 3)
    shares = np.linspace(-1, 1, 6)
    found = whole(
        primitives.weighted_sum,
        blocks_of([x], engine=engine, height=4),
        Shares(shares[None], "column"),
    )
    expected = x.reshape(4, 6) * shares.astype(np.float32)
    np.testing.assert_array_equal(found.reshape(4, 6), expected)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("elect", [True, False])
def test_elected_sums(engine, three, elect, normalize):
    inputs, base = three
    election = Election(None, WEIGHTS * 1.5, WEIGHTS, elect, normalize, 1.3)
    found = whole(
        primitives.elected_sum, blocks_of(inputs, base, engine=engine, height=2), election
    )
    votes = exact(inputs, base) * (WEIGHTS * 1.5)[:, None, None]
    total = votes_counted(votes, WEIGHTS, normalize=normalize) if elect else votes.sum(axis=0)
    clear = np.abs(votes.sum(axis=0)) > 1e-6 * np.abs(votes).sum(axis=0)
    assert clear.mean() > 0.99
    expected = on_base(1.3 * total, base)
    np.testing.assert_allclose(found[clear], expected[clear], rtol=1e-5, atol=1e-5)


def elected(engine, values, weights, *, normalize=True):
    """The election at one element."""
    inputs = [np.array([[value]], np.float32) for value in values]
    weights = np.array(weights)
    election = Election(None, weights, weights, True, normalize, 1.0)
    return whole(primitives.elected_sum, blocks_of(inputs, engine=engine), election).item()


@pytest.mark.parametrize(
    ("values", "weights", "result"),
    [
        ([2, -2], [1, 1], 2.0),  # a tie elects plus
        ([-2, 2], [1, 1], 2.0),
        ([1, -3], [1, 1], -3.0),
        ([1, -3, 1.5], [1, 0.5, 1], 1.25),  # (1 + 1.5) / 2: the third outvotes the second
        ([1, 1], [1, -2], 1.0),  # votes 1 and -2, minus wins: -2 / -2
        ([1, 1], [1, -1], 1.0),  # votes 1 and -1 tie: 1 / 1
        ([0, 0], [1, 1], 0.0),
        ([0, -1], [5, 1], -1.0),  # a zero neither votes nor divides
        ([3, 1], [1, 3], 1.5),  # (3 + 3) / 4
    ],
)
def test_elections_by_hand(engine, values, weights, result):
    assert elected(engine, values, weights) == result


def test_a_divisor_of_zero_does_not_divide(engine):
    # Votes 2 and 1 agree, but their weights, 1 and -1, sum to zero.
    assert elected(engine, [2, -1], [1, -1]) == 3.0


def test_without_normalize_agreeing_votes_are_summed(engine):
    assert elected(engine, [1, -3, 1.5], [1, 0.5, 1], normalize=False) == 2.5


def test_not_a_number_stays_visible_in_an_election(engine):
    assert np.isnan(elected(engine, [np.nan, 1, -2], [1, 1, 1]))


def test_inner_products(engine, three):
    inputs, base = three
    x = exact(inputs, base)
    blocks = blocks_of(inputs, base, engine=engine, height=2)
    for found, products in (
        (primitives.gram(blocks), "arc,brc->ab"),
        (primitives.row_gram(blocks), "arc,brc->rab"),
        (primitives.column_gram(blocks, 1500), "arc,brc->cab"),
    ):
        expected = np.einsum(products, x, x)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


def test_products_of_columns_may_span_several_rows(engine):
    x = np.random.default_rng(0).standard_normal((2, 8, 3)).astype(np.float32)
    blocks = blocks_of(list(x), engine=engine, height=2)
    columns = x.reshape(2, 4, 6).astype(np.float64)
    expected = np.einsum("arc,brc->cab", columns, columns)
    np.testing.assert_allclose(primitives.column_gram(blocks, 6), expected, rtol=1e-13, atol=1e-13)


def random_thinnings(rows, columns):
    """One of each kind for three models, with the elements each keeps, and what they gain."""
    rng = np.random.default_rng(2)
    kept = rng.random((3, rows, columns)) < 0.5
    low, high = np.array([[0.25, 1.0, 0.0], [1.5, 9.0, 0.75]], np.float32)
    positions = np.array([rows * columns // 2, 0, 10**9])[:, None]
    positions = np.array([rows * columns // 2, 0, 10**9])
    window = Window(*(Cuts(bits_of(cut)[:, None], positions[:, None]) for cut in (low, high)))

    def inside(x):
        return above(x, low, positions) & ~above(x, high, positions)

    thresholds = np.array([DRAWS // 2, DRAWS, 0])
    return {
        "none": (None, lambda x: x),
        "window": (window, lambda x: x * inside(x)),
        "chance": (Chance(thresholds), lambda x: x * drawn(thresholds, *x.shape[1:])),
        "kept": (Kept(np.packbits(kept, axis=2)), lambda x: x * kept),
    }


def bits_of(numbers):
    return numbers.view(np.int32).astype(np.int64)


def above(x, cut, positions):
    """What is larger than the cut, and of what equals it that which stands before the position."""
    size, cut = np.abs(x), cut.astype(np.float64)[:, None, None]
    index = np.arange(x[0].size).reshape(x[0].shape)
    return (size > cut) | ((size == cut) & (index < positions[:, None, None]))


def drawn(thresholds, rows, columns):
    (block,) = blocks_of([np.zeros((rows, columns), np.float32)] * len(thresholds))
    found = [draws(key, 0, rows * columns).reshape(rows, columns) for key in block.where.keys]
    return np.stack(found).astype(np.int64) < thresholds[:, None, None]


@pytest.mark.parametrize("kind", ["none", "window", "chance", "kept"])
def test_thinning(engine, three, kind):
    inputs, base = three
    thinning, thinned = random_thinnings(7, 1500)[kind]
    expected = thinned(exact(inputs, base))
    blocks = blocks_of(inputs, base, engine=engine, height=2)
    norms = np.abs(expected).sum(axis=(1, 2))
    np.testing.assert_allclose(primitives.magnitude_sums(blocks, thinning), norms, rtol=1e-12)
    for model in range(3):
        factors = np.eye(3)[model]
        election = Election(thinning, factors, factors, False, False, 1.0)
        found = whole(primitives.elected_sum, blocks, election)
        only = on_base(expected[model], base).astype(np.float32)
        np.testing.assert_allclose(found, only, rtol=0, atol=5e-7)


def test_a_chance_that_follows_rank(engine, three):
    inputs, base = three
    x = exact(inputs, base)
    thresholds = np.sort(np.random.default_rng(3).integers(0, DRAWS, (3, 1500)), axis=1)
    gains = np.linspace(1, 3, 3 * 1500).reshape(3, 1500)
    ranks = np.argsort(np.argsort(np.abs(x), axis=2, kind="stable"), axis=2, kind="stable")
    numbers = np.stack(
        [draws(key, 0, 7 * 1500).reshape(7, 1500) for key in blocks_of(inputs)[0].where.keys]
    )
    kept = numbers.astype(np.int64) < np.take_along_axis(thresholds[:, None], ranks, axis=2)
    blocks = blocks_of(inputs, base, engine=engine, height=2)
    found = primitives.ranked_chance(blocks, thresholds)
    np.testing.assert_array_equal(np.unpackbits(found.bits, axis=2, count=1500), kept)
    gained = x * kept * np.take_along_axis(gains[:, None], ranks, axis=2)
    sums = primitives.magnitude_sums(blocks, Ranked(thresholds, gains))
    np.testing.assert_allclose(sums, np.abs(gained).sum(axis=(1, 2)), rtol=1e-6)


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 63, 130, 900]),
    st.sampled_from([1, 2, 5, 100, 10**6]),
    st.sampled_from(["rising", "falling", "level", "unordered"]),
)
def test_ranks_decide_however_many_elements_are_equal(seed, columns, values, course):
    rng = np.random.default_rng(seed)
    grid = rng.standard_normal(values).astype(np.float32) * np.float32(10.0) ** rng.integers(-30, 9)
    grid[0] = rng.choice([0.0, 1e-45, grid[0]])
    x = grid[rng.integers(0, values, (4, columns))] * rng.choice([-1, 1], (4, columns))
    thresholds = np.sort(rng.integers(0, DRAWS, columns))
    if course == "falling":
        thresholds = thresholds[::-1].copy()
    elif course == "level":
        thresholds[:] = DRAWS // 2
    elif course == "unordered":
        rng.shuffle(thresholds)
    blocks = blocks_of([x.astype(np.float32)], height=3)
    found = primitives.ranked_chance(blocks, thresholds[None])
    ranks = np.argsort(np.argsort(np.abs(x), axis=1, kind="stable"), axis=1, kind="stable")
    numbers = draws(blocks[0].where.keys[0], 0, 4 * columns).reshape(4, columns).astype(np.int64)
    kept = np.unpackbits(found.bits[0], axis=1, count=columns)
    np.testing.assert_array_equal(kept, numbers < thresholds[ranks])


@given(models(most=2))
def test_counts_of_magnitudes(found):
    inputs, base = found
    bits = deltas(inputs, base).view(np.int32).reshape(len(inputs), -1) & 0x7FFFFFFF
    for engine in ENGINES.values():
        blocks = blocks_of(inputs, base, engine=engine, height=2)
        counts = primitives.count_magnitudes(blocks)
        for model, each in enumerate(bits):
            expected = np.bincount(each >> 16, minlength=primitives.UPPER_BINS)
            np.testing.assert_array_equal(counts[model], expected)
            upper = int(each[0]) >> 16
            (within,) = primitives.count_within(blocks, np.array([model]), np.array([upper]))
            expected = np.bincount(each[each >> 16 == upper] & 0xFFFF, minlength=1 << 16)
            np.testing.assert_array_equal(within, expected)
            equal = np.flatnonzero(each == each[0])
            places = [
                primitives.nth_equal(blocks, model, int(each[0]), nth + 1)
                for nth in range(len(equal) + 1)
            ]
            assert places == [*equal, -1]


@given(st.data(), models(most=2))
def test_cuts_of_rows(data, found):
    inputs, base = found
    x = deltas(inputs, base)
    rows, columns = x.shape[1:]
    ranks = np.array([data.draw(st.integers(0, columns)) for _ in inputs])
    expected = np.zeros_like(x)
    for model, rank in enumerate(ranks):
        first = order(x[model])[:, :rank]
        np.put_along_axis(expected[model], first, np.take_along_axis(x[model], first, 1), 1)
    for engine in ENGINES.values():
        blocks = blocks_of(inputs, base, engine=engine, height=2)
        window = Window(primitives.row_cuts(blocks, ranks), nothing(len(inputs)))
        if rows > 1:
            window = Window(window.low, primitives.row_cuts(blocks, 0 * ranks))
        for model in range(len(inputs)):
            factors = np.eye(len(inputs))[model]
            election = Election(window, factors, factors, False, False, 1.0)
            as_deltas = blocks_of(list(x), engine=engine, height=2)
            kept = whole(primitives.elected_sum, as_deltas, election)
            np.testing.assert_array_equal(kept, expected[model])


def test_the_trivial_cuts_keep_everything_and_nothing(engine):
    x = np.array([AWKWARD], np.float32)
    blocks = blocks_of([x], engine=engine)
    for low, high, kept in (
        (everything(1), nothing(1), 1),
        (nothing(1), nothing(1), 0),
        (everything(1), everything(1), 0),
    ):
        election = Election(Window(low, high), np.ones(1), np.ones(1), False, False, 1.0)
        np.testing.assert_array_equal(whole(primitives.elected_sum, blocks, election), kept * x)


@settings(max_examples=30)
@given(
    st.sampled_from([1, 7, 63, 1500]),
    st.sampled_from([0, 2**32 - 1, 2**32, 2**32 + 1, 5 * 2**32 - 2000]),
    st.integers(0, 1499),
)
def test_draws_have_the_bits_of_the_definition(columns, near, index):
    # An element is kept at its draw plus one, and dropped at its draw: that shows all 32 bits.
    row = near // columns
    for engine in ENGINES.values():
        (block,) = blocks_of([np.ones((2, columns), np.float32)], engine=engine, row=row)
        expected = draws(block.where.keys[0], row * columns, 2 * columns)
        limit = int(expected[index % len(expected)])
        for threshold in (limit, limit + 1):
            chance = Chance(np.array([threshold]))
            election = Election(chance, np.ones(1), np.ones(1), False, False, 1.0)
            kept = whole(primitives.elected_sum, [block], election).reshape(-1)
            np.testing.assert_array_equal(kept, expected < threshold)
            flat = np.full((1, columns), threshold)
            ranked = primitives.ranked_chance([block], flat)
            found = np.unpackbits(ranked.bits[0], axis=1, count=columns).reshape(-1)
            np.testing.assert_array_equal(found, expected < threshold)


def with_largest_draw():
    """Noise keys under which the first element draws the largest of all numbers."""
    bits = DRAWS - 1  # the scrambling of `evomerge.noise`, backwards
    bits = (bits ^ bits >> 16) * pow(SECOND, -1, DRAWS) % DRAWS
    bits = (bits ^ bits >> 15 ^ bits >> 30) * pow(FIRST, -1, DRAWS) % DRAWS
    bits ^= bits >> 16
    return 0, bits  # zero scrambled is zero, to which the second key is added


def test_what_is_kept_for_certain_survives_the_largest_draw(engine):
    (block,) = blocks_of([np.ones((2, 1), np.float32)], engine=engine)
    block = replace(block, where=replace(block.where, keys=(with_largest_draw(),)))
    assert draws(with_largest_draw(), 0, 1).tolist() == [DRAWS - 1]
    certain = np.array([[DRAWS]])
    kept = primitives.ranked_chance([block], certain).bits
    assert np.unpackbits(kept, axis=2, count=1).ravel().tolist() == [1, 1]
    for thinning in (Chance(certain[0]), Ranked(certain, np.ones((1, 1)))):
        election = Election(thinning, np.ones(1), np.ones(1), False, False, 1.0)
        assert whole(primitives.elected_sum, [block], election).ravel().tolist() == [1, 1]


def test_results_are_rounded_once(engine):
    # Each half of the step is lost in bfloat16 when added to 1; both together are not.
    base = np.ones((1, 1), BFLOAT16)
    step = np.array([[1 + 2.0**-7]], BFLOAT16)
    (block,) = blocks_of([step, step], base, engine=engine)
    out = np.empty((1, 1), BFLOAT16)
    found = primitives.weighted_sum(replace(block, out=out), Shares(np.array([0.5, 0.5])))
    assert np.asarray(found).astype(np.float32).item() == 1 + 2.0**-7


def test_rounding_is_to_nearest_and_even():
    # Every number between two neighbours in bfloat16, halves and what lies beside them.
    halves = 1 + np.arange(256) * 2.0**-8
    beside = np.nextafter(np.float32(halves), np.float32([[0], [9]]))
    x = np.concatenate([halves, beside.ravel(), np.linspace(1, 4, 999), AWKWARD])
    x = np.concatenate([x, -x]).astype(np.float32)[None]
    (block,) = blocks_of([x])
    out = np.empty(x.shape, BFLOAT16)
    primitives.weighted_sum(replace(block, out=out), Shares(np.ones(1)))
    np.testing.assert_array_equal(out.view(np.uint16), x.astype(BFLOAT16).view(np.uint16))


def test_float64_stays_float64():
    rng = np.random.default_rng(0)
    x, base = rng.standard_normal((3, 4, 5)), rng.standard_normal((4, 5))
    blocks = blocks_of([each.astype(FLOAT64) for each in x], base, engine=reference, height=2)
    delta = x - base
    shares = np.array([0.1, 0.2, 0.3])
    found = np.concatenate([primitives.weighted_sum(b, Shares(shares)).numpy() for b in blocks])
    expected = base + (shares[:, None, None] * delta).sum(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    election = Election(None, shares, shares, True, True, 0.7)
    found = np.concatenate([primitives.elected_sum(b, election).numpy() for b in blocks])
    votes = shares[:, None, None] * delta
    expected = base + 0.7 * votes_counted(votes, shares, normalize=True)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
