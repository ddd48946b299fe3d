"""Promises of McNemar's test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from evomerge.statistics.mcnemar import mcnemar
from evomerge.statistics.power import fewest_wins

COUNTS = st.integers(0, 400)


@given(gained=COUNTS, lost=COUNTS)
def test_swapping_the_models_swaps_the_tails(gained, lost):
    assert mcnemar(lost, gained) == pytest.approx(mcnemar(gained, lost)[::-1], abs=1e-12)


@given(gained=COUNTS, lost=COUNTS)
def test_it_is_the_binomial_tail_with_half_of_what_was_seen(gained, lost):
    tosses = binom(gained + lost, 0.5)
    expected = tosses.sf(gained) + tosses.pmf(gained) / 2
    assert mcnemar(gained, lost).greater == pytest.approx(expected, rel=1e-9, abs=1e-15)


@given(gained=COUNTS, lost=COUNTS)
def test_one_more_win_never_raises_p(gained, lost):
    assert mcnemar(gained + 1, lost).greater <= mcnemar(gained, lost).greater


def test_three_wins_of_three_by_hand():
    assert mcnemar(3, 0).greater == 1 / 16


def test_models_that_agree_everywhere_are_even():
    assert mcnemar(0, 0) == (0.5, 0.5)


@pytest.mark.parametrize("tosses", [10, 37, 75, 300])
@pytest.mark.parametrize("level", [0.005, 0.025])
def test_it_rarely_finds_what_is_not_there(tosses, level):
    """The mid-p test may exceed its level, but by little [Fagerland et al. 2013]."""
    gained = np.arange(tosses + 1)
    found = np.array([mcnemar(int(k), int(tosses - k)).greater <= level for k in gained])
    assert binom(tosses, 0.5).pmf(gained)[found].sum() <= 1.25 * level


@given(level=st.floats(1e-6, 0.4))
def test_fewest_wins_are_just_enough(level):
    wins = fewest_wins(level)
    assert mcnemar(wins, 0).greater <= level * (1 + 1e-9)
    assert wins == 1 or mcnemar(wins - 1, 0).greater > level * (1 - 1e-9)
