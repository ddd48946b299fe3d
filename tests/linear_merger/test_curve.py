"""The line between two networks, and the barrier on it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from evomerge.linear_merger import Curve, barrier, interpolation_curve
from tests.linear_merger.networks import network

values = st.floats(-100, 100)


def weight(value: float) -> nn.Module:
    """A network that is one number."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def number(layer: nn.Module) -> float:
    return layer.weight.item()


def test_a_parabola_by_hand():
    curve = interpolation_curve(weight(0), weight(2), lambda layer: 4 - number(layer) ** 2, 5)
    assert curve.shares == (0, 0.25, 0.5, 0.75, 1)
    assert curve.values == pytest.approx((4, 3.75, 3, 1.75, 0))
    assert curve.barrier == pytest.approx(1)


@given(values, values)
def test_a_straight_line_has_no_barrier(first: float, second: float):
    assert barrier(weight(first), weight(second), number) == pytest.approx(0, abs=1e-4)


@given(st.lists(values, min_size=3, max_size=9))
def test_a_barrier_is_never_negative_and_the_same_from_both_ends(heights: list[float]):
    shares = tuple(index / (len(heights) - 1) for index in range(len(heights)))
    curve = Curve(shares, tuple(heights))
    assert curve.barrier >= 0
    assert Curve(shares, tuple(reversed(heights))).barrier == pytest.approx(curve.barrier)


@given(st.lists(values, min_size=3, max_size=9), values, values)
def test_a_tilt_does_not_change_a_barrier(heights: list[float], level: float, slope: float):
    shares = tuple(index / (len(heights) - 1) for index in range(len(heights)))
    tilted = tuple(h + level + slope * t for h, t in zip(heights, shares, strict=True))
    assert Curve(shares, tilted).barrier == pytest.approx(
        Curve(shares, tuple(heights)).barrier, abs=1e-9
    )


def test_the_ends_are_the_networks_themselves():
    first, second = network(0, 4, 3), network(1, 4, 3)
    curve = interpolation_curve(first, second, lambda model: model[0].weight.sum().item(), 3)
    assert curve.values[0] == first[0].weight.sum().item()
    assert curve.values[2] == second[0].weight.sum().item()


def test_two_points_are_refused():
    with pytest.raises(ValueError, match="points: found 2; expected 3 or more"):
        barrier(weight(0), weight(1), number, points=2)
