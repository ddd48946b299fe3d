"""Promises of spaces: between a point and the unit cube nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evomerge.space import ChoiceDimension, FloatDimension, IntDimension, Space, rounded

units = st.floats(0, 1)
ends = st.floats(-1e9, 1e9, allow_subnormal=False).map(rounded)
positive = st.floats(1e-12, 1e12).map(rounded)


@st.composite
def floats(draw, name="x"):
    log = draw(st.booleans())
    low, high = sorted([draw(positive if log else ends), draw(positive if log else ends)])
    # An end so small beside the other that their difference does not show it is no end.
    assume(low == high or ((high - low != high or low == 0) and (high - low != -low or high == 0)))
    return FloatDimension(name, low, high, log)


@st.composite
def ints(draw, name="x"):
    low = draw(st.integers(-(10**6), 10**6))
    return IntDimension(name, low, low + draw(st.integers(0, 10**6)))


words = st.text(min_size=1, max_size=3)


@st.composite
def choices(draw, name="x"):
    return ChoiceDimension(name, tuple(draw(st.lists(words, min_size=1, max_size=5, unique=True))))


dimensions = floats() | ints() | choices()


@st.composite
def spaces(draw):
    kinds = draw(st.lists(st.sampled_from([floats, ints, choices]), max_size=5))
    return Space(tuple(draw(kind(f"x{i}")) for i, kind in enumerate(kinds)))


@given(spaces(), st.data())
def test_decoding_undoes_encoding(space, data):
    unit = data.draw(st.lists(units, min_size=len(space), max_size=len(space)))
    point = space.decode(unit)
    assert space.decode(space.encode(point)) == point


@given(floats(), st.data())
def test_a_float_that_points_can_keep_is_kept(dimension, data):
    value = dimension.nearest(data.draw(st.floats(dimension.low, dimension.high)))
    assert dimension.nearest(value) == value
    assert dimension.decode(dimension.encode(value)) == value


@given(ints(), st.data())
def test_every_whole_number_is_kept(dimension, data):
    value = data.draw(st.integers(dimension.low, dimension.high))
    assert dimension.decode(dimension.encode(value)) == value


@given(choices())
def test_every_option_is_kept(dimension):
    for option in dimension.options:
        assert dimension.decode(dimension.encode(option)) == option


@given(dimensions, st.floats(-1, 2))
def test_what_is_decoded_belongs_to_the_dimension(dimension, unit):
    assert dimension.admits(dimension.decode(unit))


@given(dimensions)
def test_the_ends_of_the_unit_interval_are_the_ends(dimension):
    ends = dimension.decode(0.0), dimension.decode(1.0)
    if isinstance(dimension, ChoiceDimension):
        assert ends == (dimension.options[0], dimension.options[-1])
    else:
        assert ends == (dimension.low, dimension.high)


@given(floats() | ints(), units, units)
def test_decoding_keeps_the_order(dimension, one, other):
    low, high = sorted([one, other])
    assert dimension.decode(low) <= dimension.decode(high)


@given(floats(), units)
def test_encoding_stays_in_the_unit_interval(dimension, unit):
    assert 0.0 <= dimension.encode(dimension.decode(unit)) <= 1.0


def test_values_by_hand():
    assert FloatDimension("x", -1.0, 1.0).decode(0.75) == 0.5
    assert FloatDimension("x", 0.01, 1.0, log=True).decode(0.5) == 0.1
    assert FloatDimension("x", 0.0, 1.0).decode(1 / 3) == 0.333333
    assert FloatDimension("x", -1.0, 1.0).decode(0.5 + 1e-13) == 0.0
    assert FloatDimension("x", 0.5, 0.5).decode(0.9) == 0.5
    assert [IntDimension("x", 1, 3).decode(u) for u in (0.0, 0.3, 0.4, 0.7, 1.0)] == [1, 1, 2, 3, 3]
    assert ChoiceDimension("x", ("a", "b")).encode("b") == 0.75


def test_the_middle_is_in_the_middle():
    space = Space(
        (
            FloatDimension("a", 0.0, 3.0),
            IntDimension("b", 1, 3),
            ChoiceDimension("c", ("x", "y", "z")),
        )
    )
    assert space.middle() == {"a": 1.5, "b": 2, "c": "y"}
    assert space.names == ("a", "b", "c")
    assert space.floats == space.dimensions[:1]
    assert space.choices == space.dimensions[2:]


@pytest.mark.parametrize(
    ("dimension", "value"),
    [
        (FloatDimension("x", 0.0, 1.0), 1.5),
        (FloatDimension("x", 0.0, 1.0), True),
        (FloatDimension("x", 0.0, 1.0), "0.5"),
        (FloatDimension("x", 0.0, 1.0), float("nan")),
        (IntDimension("x", 0, 2), 3),
        (IntDimension("x", 0, 2), 1.0),
        (IntDimension("x", 0, 2), False),
        (ChoiceDimension("x", ("a",)), "b"),
        (ChoiceDimension("x", ("a",)), 0),
    ],
)
def test_what_is_no_value_is_not_admitted(dimension, value):
    assert not dimension.admits(value)


def test_a_point_has_every_dimension_and_no_other():
    space = Space((FloatDimension("a", 0.0, 1.0), IntDimension("b", 0, 1)))
    assert space.admits({"b": 1, "a": 0})
    assert not space.admits({"a": 0.5})
    assert not space.admits({"a": 0.5, "b": 1, "c": 0})
    assert not space.admits({"a": 2.0, "b": 1})
