"""Promises of addressed noise: uniform, independent in every part of the address, and pinned."""

from __future__ import annotations

from hashlib import sha256
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.noise import DRAWS, draws, noise_key

MANY = 1_000_000
KEY = noise_key(0, 0, "weight")

# Chi-square with 255 degrees of freedom exceeds this once in a million.
LIMIT = 380.0


def chi_square(bins: np.ndarray) -> float:
    """Of 256 bins that should be equally full."""
    counts = np.bincount(bins, minlength=256)
    expected = len(bins) / 256
    return float(((counts - expected) ** 2 / expected).sum())


def together(left: np.ndarray, right: np.ndarray) -> float:
    """Chi-square of the joint distribution of the two upper half-bytes."""
    return chi_square((left >> 28 << 4 | right >> 28).astype(np.int64))


@pytest.mark.parametrize("start", [0, 123_457, 2**32 - MANY // 2, 2**40])
@pytest.mark.parametrize("shift", [0, 8, 16, 24])
def test_every_byte_is_uniform(start, shift):
    assert chi_square((draws(KEY, start, MANY) >> shift & 0xFF).astype(np.int64)) < LIMIT


@pytest.mark.parametrize("distance", [1, 2, 64, 1024])
def test_neighbours_are_independent(distance):
    found = draws(KEY, 0, MANY + distance)
    assert together(found[:-distance], found[distance:]) < LIMIT


@pytest.mark.parametrize(
    "keys",
    [
        [noise_key(0, model, "weight") for model in range(4)],
        [noise_key(seed, 0, "weight") for seed in (0, 1, 2, -1)],
        [noise_key(0, 0, f"model.layers.{layer}.weight") for layer in range(4)],
    ],
    ids=["models", "seeds", "tensors"],
)
def test_addresses_are_independent(keys):
    for left, right in combinations([draws(key, 0, MANY) for key in keys], 2):
        assert together(left, right) < LIMIT


@pytest.mark.parametrize("high", [1, 2, 3, 1 << 8])
def test_indices_beyond_32_bits_do_not_repeat(high):
    start = high << 32
    assert together(draws(KEY, 0, MANY), draws(KEY, start, MANY)) < LIMIT


def test_a_tensor_is_one_sequence_across_the_border_of_32_bits():
    start = 2**32 - 3
    whole = draws(KEY, start, 8)
    one_by_one = np.concatenate([draws(KEY, start + i, 1) for i in range(8)])
    np.testing.assert_array_equal(one_by_one, whole)


@given(
    st.integers(0, 2**63 - 1000), st.integers(0, 100), st.integers(0, 100), st.text(), st.integers()
)
def test_a_draw_depends_on_its_address_alone(start, before, count, tensor, seed):
    key = noise_key(seed, 3, tensor)
    np.testing.assert_array_equal(
        draws(key, start, before + count)[before:], draws(key, start + before, count)
    )


def test_a_fraction_of_the_draws_lies_below_a_density():
    for density in (0.001, 0.1, 0.5, 0.9):
        kept = int((draws(KEY, 0, MANY) < density * DRAWS).sum())
        assert abs(kept - density * MANY) < 5 * np.sqrt(MANY * density * (1 - density))


def test_the_parts_of_an_address_are_told_apart():
    keys = [noise_key(1, 2, "3"), noise_key(1, 23, ""), noise_key(12, 3, ""), noise_key(12, 3, "x")]
    assert len(set(keys)) == 4


def by_hand(index: int, key: tuple[int, int]) -> int:
    """One draw in whole numbers, step by step."""

    def scrambled(bits: int) -> int:
        bits = (bits ^ bits >> 16) * 0x7FEB352D % 2**32
        bits = (bits ^ bits >> 15) * 0x846CA68B % 2**32
        return bits ^ bits >> 16

    low, high = index % 2**32, index >> 32
    return scrambled(scrambled(low ^ key[0]) ^ key[1] ^ high * 0x9E3779B9 % 2**32)


@given(st.integers(0, 2**62), st.integers(0, DRAWS - 1), st.integers(0, DRAWS - 1))
def test_a_draw_is_what_whole_numbers_make_it(index, first, second):
    assert draws((first, second), index, 1).tolist() == [by_hand(index, (first, second))]


def test_the_bits_are_these():
    # Pinned: other bits would change every DARE and DELLA recipe.
    assert noise_key(7, 1, "model.embed_tokens.weight") == (1505139218, 2588821591)
    assert draws(KEY, 0, 4).tolist() == [1076760130, 1097405852, 2616419042, 558047076]
    assert draws(KEY, 2**32 - 1, 2).tolist() == [391235911, 2131788777]
    found = draws(noise_key(42, 3, "lm_head.weight"), 0, 65536)
    assert sha256(found.astype("<u4").tobytes()).hexdigest()[:16] == "2b4edae7b342aefa"
