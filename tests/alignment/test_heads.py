"""Heads are compared whatever their gauges; gauges are balanced first, and then turned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.alignment.attention import Attention
from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import Heads, nothing
from evomerge.alignment.gauges import balancing, best_gauge
from evomerge.alignment.layout import HeadGroup, Layout, Span
from evomerge.alignment.likeness import likeness
from evomerge.alignment.moving import moved
from evomerge.alignment.places import KEYS, OUTPUTS, QUERIES, VALUES

# Turned as a whole, in part, not at all; with norms behind.
GROUPS = [
    HeadGroup(4, 2, 6, rotary, normed) for rotary, normed in ((6, False), (4, False), (0, False))
] + [HeadGroup(4, 2, 6, 6, normed=True)]
NUMBERS = 20


def drawn(group: HeadGroup, seed: int) -> Attention:
    random = np.random.default_rng(seed)
    blocks = (group.heads, group.groups, group.groups, group.heads)
    return Attention(group, *(random.normal(size=(n, group.width, NUMBERS)) for n in blocks))


def acted(one: Attention, heads: Heads) -> Attention:
    """As an element acts on the four matrices."""
    parts = zip(
        (one.queries, one.keys, one.values, one.outputs),
        (QUERIES, KEYS, VALUES, OUTPUTS),
        strict=True,
    )
    changed = []
    for blocks, place in parts:
        action = heads.at(Span("heads.0", place))
        rows = blocks[action.order]
        changed.append(rows if action.factors is None else action.factors @ rows)
    return Attention(one.group, *changed)


def planted(group: HeadGroup, seed: int, *kinds: str) -> Heads:
    layout = Layout({"heads.0": replace(group, moving=frozenset(kinds))}, {})
    element = random_element(layout, seed)["heads.0"]
    assert isinstance(element, Heads)
    return element


@pytest.mark.parametrize("group", GROUPS)
@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_likeness_does_not_see_gauges(group, seed):
    first, other = drawn(group, seed), drawn(group, seed + 1)
    turned = acted(other, planted(group, seed, "keys", "values"))
    np.testing.assert_allclose(likeness(first, turned), likeness(first, other), atol=1e-9)


@pytest.mark.parametrize("group", GROUPS)
def test_a_head_is_most_like_itself(group):
    one = drawn(group, 0)
    alike = likeness(one, one)
    assert np.trace(alike) == pytest.approx(2)
    assert (alike.argmax(1) == np.arange(group.heads)).all()


@pytest.mark.parametrize("group", GROUPS[:3])
@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_in_balance_values_weigh_as_much_as_outputs_and_keys_as_queries(group, seed):
    one = drawn(group, seed)
    even = acted(one, balancing(one))
    for written, read in ((even.values, even.outputs), (even.keys, even.queries)):
        of_writing = np.square(written).sum((1, 2))
        of_reading = np.square(read).sum((1, 2)).reshape(2, 2).sum(1)
        np.testing.assert_allclose(of_writing, of_reading, rtol=1e-9)
    np.testing.assert_allclose(likeness(even, even), likeness(one, one), atol=1e-9)


@pytest.mark.parametrize("group", GROUPS)
@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_of_a_balanced_copy_the_gauge_is_found_again(group, seed):
    one = drawn(group, seed)
    other = acted(one, planted(group, seed, "keys", "values"))
    first, second = (acted(each, balancing(each)) for each in (one, other))
    found, near = best_gauge(first, second, np.arange(group.heads))
    back = acted(second, found)
    for mine, theirs in zip(vars(first).values(), vars(back).values(), strict=True):
        if isinstance(mine, np.ndarray):
            np.testing.assert_allclose(theirs, mine, atol=1e-8)
    assert near == pytest.approx(sum(np.square(v).sum() for v in list(vars(first).values())[1:]))


@pytest.mark.parametrize("group", GROUPS)
def test_the_best_gauge_is_orthogonal_and_no_worse_than_none(group):
    first, other = drawn(group, 0), drawn(group, 1)
    found, near = best_gauge(first, other, np.arange(group.heads))
    for factors in (found.keys, found.values):
        one = np.broadcast_to(np.eye(group.width), factors.shape)
        np.testing.assert_allclose(factors @ factors.swapaxes(1, 2), one, atol=1e-12)
    pairs = zip(list(vars(first).values())[1:], list(vars(other).values())[1:], strict=True)
    assert near >= sum((mine * theirs).sum() for mine, theirs in pairs)


def test_a_head_that_lacks_rank_keeps_its_gauge():
    group = GROUPS[0]
    one = drawn(group, 0)
    one.values[:, 1] = one.values[:, 0]
    assert (balancing(one).values == nothing(group).values).all()


def test_moving_acts_as_these_tests_do():
    group = GROUPS[1]
    one, heads = drawn(group, 0), planted(group, 3, "heads", "keys", "values")
    spans = ((Span("heads.0", QUERIES),), ())
    flat = one.queries.reshape(-1, NUMBERS)
    found = moved(flat, spans, {"heads.0": heads})
    np.testing.assert_allclose(found, acted(one, heads).queries.reshape(-1, NUMBERS))
