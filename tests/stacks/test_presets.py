"""Promises of the stacks that can be asked for by name."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import RecipeError
from evomerge.recipe import ModelReference
from evomerge.stacks import Hop
from evomerge.stacks.hops import intact, seams
from evomerge.stacks.presets import (
    backwards,
    interleaved,
    joined,
    repeated,
    scaled,
    shared,
    shuffled,
    skipped,
    upscaled,
)

A, B = (ModelReference(name) for name in "ab")

depths = st.integers(1, 20)


@st.composite
def middles(draw):
    """A number of layers, and some of them."""
    layers = draw(depths)
    start = draw(st.integers(0, layers - 1))
    return layers, range(start, draw(st.integers(start + 1, layers)))


def numbers(stack):
    return [hop.layer for hop in stack]


def test_solar_has_48_layers():
    stack = upscaled(A, 32, 8)
    assert numbers(stack) == [*range(24), *range(8, 32)]
    assert list(seams(stack)) == [24]


@given(depths, st.data())
def test_upscaling_counts(layers, data):
    dropped = data.draw(st.integers(0, layers - 1))
    assert len(upscaled(A, layers, dropped)) == 2 * (layers - dropped)


def test_goliath_has_nine_blocks():
    stack = interleaved([(A, 80), (B, 80)], 16, 8)
    assert len(stack) == 9 * 16
    starts = [stack[0], *(stack[position] for position in seams(stack))]
    assert starts == [Hop([A, B][n % 2], 8 * n) for n in range(9)]
    assert stack[-1] == Hop(A, 79)


@given(depths, st.integers(1, 20), st.data())
def test_blocks_leave_no_gap(layers, length, data):
    step = data.draw(st.integers(1, length))
    stack = interleaved([(A, layers), (B, layers)], length, step)
    assert set(numbers(stack)) == set(range(layers))
    assert stack[0] == Hop(A, 0)
    assert stack[-1].layer == layers - 1


@given(depths)
def test_blocks_side_by_side_take_every_layer_once(layers):
    assert numbers(interleaved([(A, layers), (B, layers)], 3, 3)) == list(range(layers))


def test_twenty_and_twenty():
    stack = joined([(A, 32), (B, 40)], 20, 20)
    assert stack == tuple(Hop(A, n) for n in range(20)) + tuple(Hop(B, n) for n in range(20, 40))
    assert joined([(A, 4), (A, 4)], 4, 0) == intact(A, 4)


@given(middles())
def test_painters_keep_what_is_outside_the_middle(drawn):
    layers, middle = drawn
    before, after = intact(A, layers)[: middle.start], intact(A, layers)[middle.stop :]
    for made in (shared, backwards):
        stack = made(A, layers, middle)
        assert stack[: middle.start] == before
        assert stack[middle.stop :] == after
        assert len(stack) == layers
    assert skipped(A, layers, middle) == before + after
    assert repeated(A, layers, middle, 1) == intact(A, layers)


@given(middles(), st.integers(1, 4))
def test_repeating_counts(drawn, times):
    layers, middle = drawn
    found = Counter(numbers(repeated(A, layers, middle, times)))
    assert found == {n: times if n in middle else 1 for n in range(layers)}


@given(middles())
def test_the_middle_backwards_twice_is_the_middle(drawn):
    layers, middle = drawn
    assert numbers(backwards(A, layers, middle))[middle.start : middle.stop] == list(middle)[::-1]


@given(middles())
def test_one_layer_stands_for_the_middle(drawn):
    layers, middle = drawn
    (one,) = set(numbers(shared(A, layers, middle))[middle.start : middle.stop])
    assert abs((one - middle.start) - (middle.stop - 1 - one)) <= 1


@given(middles(), st.integers(0, 9))
def test_a_shuffled_middle_has_the_same_layers(drawn, seed):
    layers, middle = drawn
    stack = shuffled(A, layers, middle, seed)
    assert sorted(numbers(stack)) == list(range(layers))
    assert stack == shuffled(A, layers, middle, seed)
    outside = [n for n in range(layers) if n not in middle]
    assert all(stack[n] == Hop(A, n) for n in outside)


def test_another_seed_shuffles_otherwise():
    assert len({shuffled(A, 12, range(2, 10), seed) for seed in range(10)}) == 10


def test_a_scale_stands_at_every_seam_and_nowhere_else():
    stack = scaled(interleaved([(A, 8), (B, 8)], 4, 2), 0.9)
    assert [n for n, hop in enumerate(stack) if hop.scale != 1] == list(seams(stack)) == [4, 8]
    assert {hop.scale for hop in stack} == {1, 0.9}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: upscaled(A, 4, 4),
            "cannot drop 4 of the 4 layers of a; give",
        ),
        (lambda: upscaled(A, 4, -1), "cannot drop -1"),
        (lambda: interleaved([(A, 4), (B, 4)], 2, 3), "a step of 3; give a number from 1 to 2"),
        (lambda: interleaved([(A, 4), (B, 4)], 2, 0), "a step of 0"),
        (lambda: interleaved([(A, 4), (B, 6)], 2, 1), "a has 4, b has 6 layers; name models of"),
        (lambda: joined([(A, 4), (B, 6)], 5, 1), "cannot take 5 of the 4 layers of a"),
        (lambda: joined([(A, 4), (B, 6)], 1, 7), "cannot take 7 of the 6 layers of b"),
        (lambda: repeated(A, 4, range(1, 2), 0), "found 0 times; give 1 or more"),
    ],
)
def test_what_cannot_be_built_is_refused(build, message):
    with pytest.raises(RecipeError, match=message):
        build()
