"""Promises of numbers and durations in reports."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.report.words import counted, duration, number, scores, signed
from tests.report.trials import scored


@given(st.floats(-9.999, 9.999))
def test_a_score_is_shown_to_three_decimals(value):
    assert float(number(value)) == pytest.approx(value, abs=0.00051)


@given(st.floats(10, 1e9))
def test_a_large_score_is_shown_to_four_digits(value):
    assert float(number(value)) == pytest.approx(value, rel=0.00051)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.6125, ".613"), (-0.03, "-.030"), (1.0, "1.000"), (0.9999, "1.000"), (12.346, "12.35")],
)
def test_scores_are_written_without_an_idle_zero(value, text):
    assert number(value) == text


def test_a_difference_has_its_sign():
    assert (signed(0.031), signed(-0.031), signed(0.0)) == ("+.031", "-.031", "+.000")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0452, "45 ms"),
        (3.14, "3.1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (240, "4 min"),
        (9000, "2.5 h"),
    ],
)
def test_durations_have_the_unit_that_fits(seconds, text):
    assert duration(seconds) == text


def test_scores_stand_in_the_order_asked_for_and_missing_ones_are_left_out():
    given_scores = scored(words=0.5, sums=0.25)
    assert scores(given_scores, ["sums", "prose", "words"]) == "sums .250  words .500"


def test_one_of_a_kind_is_no_plural():
    assert (counted(1, "trial"), counted(2, "trial")) == ("1 trial", "2 trials")
