"""The divergence of a row's softmax from the base's: by hand, in both engines, in any blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.dtypes import BFLOAT16, FLOAT32
from evomerge.kernels import divergence, primitives
from tests.kernels.in_blocks import ENGINES, blocks_of


def pair(seed, shape, dtype=FLOAT32, scale=1.0):
    rng = np.random.default_rng(seed)
    return [(scale * rng.standard_normal(shape)).astype(dtype) for _ in range(3)]


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_by_hand(engine):
    base = np.log(np.float32([[1, 3], [1, 1], [2, 2]]))
    model = np.float32([[0, 0], [0, 0], [5, 5]])
    found = primitives.row_divergences(blocks_of([model], base, engine=engine), 0.0)
    np.testing.assert_allclose(found, [[0.5 * np.log(4 / 3), 0, 0]], rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_the_floor_is_added_to_every_probability(engine):
    """Of 1 and 0 against 0 and 1, with a floor of 1/8: 9/8 log 9 less 1/8 log 9."""
    base, model = np.float32([[1000, -1000]]), np.float32([[-1000, 1000]])
    found = primitives.row_divergences(blocks_of([model], base, engine=engine), 0.125)
    np.testing.assert_allclose(found, [[np.log(9)]], rtol=1e-12)


@given(st.integers(0, 99), st.sampled_from([1, 2, 17, 40]), st.sampled_from([FLOAT32, BFLOAT16]))
def test_both_engines_agree_in_any_blocks(seed, columns, dtype):
    base, *models = pair(seed, (7, columns), dtype, scale=3.0)
    found = [
        primitives.row_divergences(blocks_of(models, base, engine=engine, height=height), 1e-8)
        for engine in ENGINES.values()
        for height in (1, 3, 7)
    ]
    assert found[0].shape == (2, 7)
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-10, atol=1e-15)


@given(st.integers(0, 99))
def test_it_is_zero_for_the_base_and_positive_for_others(seed):
    base, model, _ = pair(seed, (5, 9))
    shifted = base + np.float32(4)  # which changes a softmax by rounding only
    blocks = blocks_of([model, base, shifted], base)
    found = primitives.row_divergences(blocks, 1e-8)
    assert (found[0] > 1e-3).all()
    assert (found[1] == 0).all()
    assert (found[2] < 1e-12).all()


def test_pieces_do_not_show():
    base, model, _ = pair(0, (20, 3000))
    whole = divergence.row_divergences([model], base, 1e-8)
    rows = [
        divergence.row_divergences([model[i : i + 1]], base[i : i + 1], 1e-8) for i in range(20)
    ]
    np.testing.assert_array_equal(whole, np.concatenate(rows, axis=1))
