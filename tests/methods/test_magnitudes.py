"""Promises of `Magnitudes`: the cuts of a plain sort, without sorting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evomerge.dtypes import BFLOAT16, FLOAT32
from evomerge.kernels.primitives import elected_sum
from evomerge.kernels.sums import Election
from evomerge.kernels.thinning import Chance, Window, nothing
from evomerge.methods.sparsify import ANSWERS, Magnitudes
from tests.kernels.in_blocks import NUMBERS
from tests.methods.in_memory import tensor_blocks


def sorted_out(array, rank):
    """The ``rank`` largest magnitudes; of equal ones the first. Everything else is zero."""
    flat = array.astype(np.float32).ravel()
    chosen = np.argsort(-np.abs(flat.astype(np.float64)), kind="stable")[:rank]
    kept = np.zeros_like(flat)
    kept[chosen] = flat[chosen]
    return kept.reshape(array.shape)


def above(inputs, ranks, **options):
    """For each model what stands above the cut at its rank."""
    blocks = tensor_blocks(inputs, **options)
    (cuts,) = Magnitudes(blocks.size).cuts(blocks, ranks)
    window = Window(cuts, nothing(len(inputs)))
    found = []
    for only in np.eye(len(inputs)):
        election = Election(window, only, only, False, False, 1.0)
        parts = [np.asarray(elected_sum(block, election)) for block in blocks]
        found.append(np.concatenate(parts).reshape(inputs[0].shape))
    return found


@given(
    st.data(),
    arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 60)), elements=NUMBERS),
)
def test_cuts_are_those_of_a_sort(data, models):
    inputs = list(models.astype(data.draw(st.sampled_from([FLOAT32, BFLOAT16]))))
    ranks = [data.draw(st.integers(0, models.shape[1])) for _ in inputs]
    for reference in (False, True):
        for found, model, rank in zip(
            above(inputs, ranks, reference=reference), inputs, ranks, strict=True
        ):
            np.testing.assert_array_equal(found, sorted_out(model, rank))


TILES = (5, 40_000)  # three tiles, cut within a row of ties


@pytest.mark.parametrize("rank", [0, 1, 39_999, 70_001, 100_000, 150_000, 199_999, 200_000])
@pytest.mark.parametrize(
    "values",
    [
        np.array([1.0, -1.0]),  # nothing but ties
        np.array([0.0, -0.0, 1.0]),
        np.array([1e-45, -3e-45, 1e-40, 0.0]),  # below the normal range
        np.array([1.0, 1.0 + 2.0**-23, -1.0 - 2.0**-22]),  # one upper bin, many lower ones
        np.linspace(-1, 1, 999),
    ],
    ids=["ties", "zeros", "denormals", "neighbours", "many"],
)
def test_ties_are_broken_by_position_across_blocks(values, rank):
    rng = np.random.default_rng(rank)
    models = [rng.choice(values, TILES).astype(np.float32) for _ in range(2)]
    ranks = [rank, TILES[0] * TILES[1] - rank]
    for found, model, each in zip(above(models, ranks), models, ranks, strict=True):
        np.testing.assert_array_equal(found, sorted_out(model, each))


def test_task_vectors_are_ranked_not_models():
    rng = np.random.default_rng(0)
    base = rng.standard_normal((20, 30)).astype(np.float32)
    model = (base + 0.01 * rng.standard_normal((20, 30))).astype(np.float32)
    blocks = tensor_blocks([model], base)
    (cuts,) = Magnitudes(blocks.size).cuts(blocks, [100])
    limit = np.sort(np.abs(model - base).ravel())[-100]
    assert cuts.bits.item() == limit.view(np.int32)


@given(st.data(), st.booleans())
def test_the_second_answer_is_as_good_as_the_first(data, narrow):
    """From then on single magnitudes are counted, where they are few enough; here, in bfloat16."""
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    inputs = list(rng.standard_normal((2, 70, 1000)).astype(BFLOAT16 if narrow else FLOAT32))
    blocks, magnitudes = tensor_blocks(inputs), Magnitudes(70_000)
    for number in range(3):
        ranks = [data.draw(st.integers(1, 69_990)) + number for _ in inputs]
        (found,) = magnitudes.cuts(blocks, ranks)
        (fresh,) = Magnitudes(70_000).cuts(blocks, ranks)
        np.testing.assert_array_equal(found.bits, fresh.bits)
        np.testing.assert_array_equal(found.positions, fresh.positions)
    assert not magnitudes._values or narrow
    assert magnitudes._tallied == (len(magnitudes._cuts) > 1)


def test_several_cuts_are_found_at_once():
    blocks = tensor_blocks([np.arange(100, dtype=np.float32)])
    low, high = Magnitudes(blocks.size).cuts(blocks, [90], [10])
    assert low.bits.astype(np.int32).view(np.float32).item() == 10
    assert high.bits.astype(np.int32).view(np.float32).item() == 90


def test_what_was_found_is_remembered():
    blocks = tensor_blocks([np.arange(100, dtype=np.float32)])
    magnitudes = Magnitudes(100)
    first = magnitudes.cuts(blocks, [10])
    magnitudes.cuts(blocks, [20])
    assert magnitudes.cuts(blocks, [10])[0] is first[0]
    assert magnitudes.norms(blocks) is magnitudes.norms(blocks)


def test_norms_before_and_after_are_found_together_and_remembered_apart():
    blocks = tensor_blocks([np.arange(100, dtype=np.float32)])
    magnitudes, half = Magnitudes(100), Chance.of((0.5,))
    before, after = magnitudes.norms_around(blocks, half)
    assert before.tolist() == [4950.0]
    assert 0 < after[0] < 4950
    assert magnitudes.norms(blocks) is before
    assert magnitudes.norms(blocks, half) is after
    assert magnitudes.norms_around(blocks, Chance.of((0.25,)))[0] is before


def test_what_survives_by_chance_is_remembered_by_its_noise():
    arrays = [np.ones(1000, np.float32), np.full(1000, 2.0, np.float32)]
    magnitudes, half = Magnitudes(1000), Chance.of((0.5, 0.5))
    first, other = tensor_blocks(arrays, seed=0), tensor_blocks(arrays, seed=1)
    norms = magnitudes.norms(first, half)
    assert magnitudes.norms(first, half) is norms
    assert (magnitudes.norms(other, half) != norms).any()
    assert (magnitudes.norms(first, Chance.of((0.5, 0.6))) != norms)[1]


def test_ever_new_questions_take_no_more_memory():
    blocks = tensor_blocks([np.arange(2000, dtype=np.float32)])
    magnitudes = Magnitudes(2000)
    for rank in range(1, 2000):
        magnitudes.cuts(blocks, [rank])
    assert len(magnitudes._cuts) == ANSWERS
    (again,) = magnitudes.cuts(blocks, [7])
    assert again.bits.astype(np.int32).view(np.float32).item() == 1993


def test_norms_are_of_all_or_of_a_window():
    blocks = tensor_blocks([np.array([1.0, -5.0, 2.0, 0.5], np.float32)])
    magnitudes = Magnitudes(4)
    assert magnitudes.norms(blocks).tolist() == [8.5]
    (cuts,) = magnitudes.cuts(blocks, [2])
    assert magnitudes.norms(blocks, Window(cuts, nothing(1))).tolist() == [7.0]
    (cuts,) = magnitudes.cuts(blocks, [1])
    assert magnitudes.norms(blocks, Window(cuts, nothing(1))).tolist() == [5.0]


@given(arrays(np.float32, st.integers(1, 40), elements=NUMBERS), st.data())
def test_the_magnitudes_at_ranks(array, data):
    ranks = data.draw(st.lists(st.integers(1, array.size), min_size=1, max_size=4))
    magnitudes = Magnitudes(array.size)
    expected = np.sort(np.abs(array))[::-1][np.array(ranks) - 1]
    for _ in range(3):  # counted at first, and known from then on
        found = magnitudes.sizes(tensor_blocks([array]), ranks)
        np.testing.assert_array_equal(found, expected)
