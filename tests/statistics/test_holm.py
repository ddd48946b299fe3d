"""Promises of Holm's procedure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.statistics.holm import holm, holm_levels

PS = st.lists(st.floats(0, 1), max_size=8)
LEVELS = st.floats(0.001, 0.2)


def found_by_definition(ps, level):
    """Holm's own words: reject the smallest while p <= level / (number not yet rejected)."""
    found = set()
    while len(found) < len(ps):
        left = [index for index in range(len(ps)) if index not in found]
        smallest = min(left, key=lambda index: ps[index])
        if ps[smallest] * len(left) > level:
            break
        found.add(smallest)
    return found


@given(ps=PS, level=LEVELS)
def test_what_is_found_is_what_the_definition_finds(ps, level):
    adjusted = holm(ps)
    found = {index for index, p in enumerate(adjusted) if p <= level}
    by_definition = found_by_definition(ps, level)
    # Tests with equal p-values are found together: Holm's words leave open which comes first.
    assert {ps[index] for index in found} == {ps[index] for index in by_definition}


@given(ps=PS)
def test_adjusting_keeps_the_order_and_never_lowers_a_p(ps):
    adjusted = holm(ps)
    assert all(p <= after <= 1 for p, after in zip(ps, adjusted, strict=True))
    for i, first in enumerate(ps):
        for j, second in enumerate(ps):
            if first <= second:
                assert adjusted[i] <= adjusted[j]


@given(ps=PS, level=LEVELS)
def test_a_test_below_its_own_level_is_a_finding(ps, level):
    for p, own, adjusted in zip(ps, holm_levels(ps, level), holm(ps), strict=True):
        assert level / len(ps) <= own <= level
        if p < own * (1 - 1e-9):
            assert adjusted <= level
        if p > own * (1 + 1e-9):
            assert adjusted > level


def test_three_tests_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_levels([0.01, 0.04, 0.004], 0.025) == pytest.approx([0.0125, 0.025, 0.025 / 3])


def test_one_test_alone_is_left_as_it_is():
    assert holm([0.02]) == [0.02]
    assert holm_levels([0.02], 0.025) == [0.025]
