"""Promises of every way to write a stack down."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.recipe import ModelReference
from evomerge.space import Space
from evomerge.stacks import Hop
from evomerge.stacks.edit_code import EditCode
from evomerge.stacks.edits import Edit
from evomerge.stacks.ground import Ground, Source
from evomerge.stacks.hops import block, intact
from evomerge.stacks.indicator_code import IndicatorCode
from evomerge.stacks.path_code import PathCode
from evomerge.stacks.scripts import script
from evomerge.stacks.variation import crossed, mutated

A, B = ModelReference("a"), ModelReference("b")
SOURCES = {"a": Source(A, 4), "b": Source(B, 5)}

grounds = st.builds(
    lambda keep, low, high, scale: Ground(
        SOURCES, "a", keep, (max(1, sum(keep), low), high), scale
    ),
    st.tuples(st.integers(0, 1), st.integers(0, 1)),
    st.integers(1, 4),
    st.integers(4, 7),
    st.none() | st.just((0.5, 2.0)),
)
codes = st.one_of(
    st.builds(EditCode, grounds, st.just("s"), st.integers(1, 4), st.integers(1, 3)),
    st.builds(IndicatorCode, grounds, st.just("s"), st.integers(1, 2)),
    st.builds(PathCode, grounds, st.just("s")),
)


@st.composite
def coded(draw):
    """A code and a point of it."""
    code = draw(codes)
    units = [draw(st.floats(0, 1)) for _ in code.dimensions]
    return code, Space(code.dimensions).decode(units)


@given(coded())
def test_every_point_is_a_stack_of_the_ground(pair):
    code, point = pair
    stack = code.decode(point)
    middle = code.ground.cut(stack)
    assert middle is not None
    assert code.ground.whole(middle) == stack


@given(coded())
def test_what_is_not_read_does_not_matter(pair):
    code, point = pair
    read = code.read(point)
    assert read.items() <= point.items()
    settled = Space(code.dimensions).middle() | dict(read)
    assert code.decode(settled) == code.decode(point)
    assert code.read(settled).items() <= settled.items()


@given(coded())
def test_what_is_encoded_is_the_stack(pair):
    code, point = pair
    stack = code.decode(point)
    found = code.encode(stack)
    if found is not None:
        assert code.decode(Space(code.dimensions).middle() | dict(found)) == stack
    assert found is not None or isinstance(code, EditCode)


@given(coded())
def test_neutral_values_make_nothing_deeper(pair):
    code, point = pair
    assert set(code.neutral) <= {each.name for each in code.dimensions}
    for name, value in code.neutral.items():
        if not isinstance(code, EditCode):
            before, after = code.decode(point), code.decode({**point, name: value})
            assert len(after) <= max(len(before), code.ground.layers[0])


@given(coded())
def test_conditions_say_when_a_dimension_counts(pair):
    code, point = pair
    for name, (choice, labels) in code.conditions.items():
        if point[choice] not in labels:
            assert name not in code.read(point)


def test_an_edit_in_the_middle_of_its_range_is_none():
    ground = Ground(SOURCES, "a", (0, 0), (1, 8), (0.5, 2.0))
    for scale in (None, (0.5, 2.0)):
        code = EditCode(Ground(SOURCES, "a", (0, 0), (1, 8), scale), "s", 3, 2)
        assert code.decode(Space(code.dimensions).middle()) == intact(A, 4)
    assert ground.middle == intact(A, 4)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (Edit("skip", 1, 2), "0 3"),
        (Edit("skip", 9), "0 1 2"),
        (Edit("repeat", 1, 2), "0 1 2 1 2 3"),
        (Edit("swap", 2, donor=block(B, 4, 5)), "0 1 b4 3"),
        (Edit("insert", 1, 2, block(B, 2, 5)), "0 b2 b3 1 2 3"),
        (Edit("insert", 9, 1, block(B, 2, 5)), "0 1 2 3 b2"),
        (Edit("scale", 1, scale=0.5), "0 1*0.5 2 3"),
    ],
)
def test_an_edit_by_hand(edit, expected):
    spelled = [
        f"{'b' * (hop.model == B)}{hop.layer}" + (f"*{hop.scale}" if hop.scale != 1 else "")
        for hop in edit(intact(A, 4))
    ]
    assert " ".join(spelled) == expected


def test_a_scale_stays_in_its_place_when_the_layer_is_swapped():
    scaled = Edit("scale", 1, scale=0.5)(intact(A, 4))
    assert Edit("swap", 1, donor=block(B, 0, 1))(scaled)[1] == Hop(B, 0, 0.5)


hops = st.builds(Hop, st.sampled_from([A, B]), st.integers(0, 3), st.sampled_from([1.0, 0.5]))
stacks = st.lists(hops, max_size=7).map(tuple)


@given(stacks, st.integers(1, 3))
def test_a_script_leads_from_one_stack_to_the_other(after, longest):
    stack = intact(A, 4)
    found = script(stack, after, longest, most=14)  # seven layers, each put there and scaled
    for edit in found:
        stack = edit(stack)
    assert stack == after
    assert len(script(intact(A, 4), after, longest, most=len(found))) == len(found)
    assert script(intact(A, 4), after, longest, most=len(found) - 1) is None


@pytest.mark.parametrize(
    ("after", "edits"),
    [
        (intact(A, 4), []),
        (block(A, 0, 3) + block(A, 1, 4), ["insert"]),
        (block(A, 0, 1) + block(A, 3, 4), ["skip"]),
        (block(A, 0, 2) + block(B, 1, 3) + block(A, 2, 4), ["insert"]),
        (block(A, 0, 2) + block(B, 4, 5) + block(A, 3, 4), ["swap"]),
    ],
)
def test_the_shortest_script_is_found(after, edits):
    assert [edit.kind for edit in script(intact(A, 4), after, 2, most=3)] == edits


@given(coded(), st.integers(0, 2**32))
def test_children_are_made_of_their_parents_layers_or_of_the_ground(pair, seed):
    code, point = pair
    random = np.random.default_rng(seed)
    one = code.ground.cut(code.decode(point)) or ()
    two = code.ground.cut(code.decode(Space(code.dimensions).middle())) or ()
    child = crossed(one, two, random)
    assert set(child) <= {*one, *two}
    changed = mutated(one, code.ground, random)
    if code.ground.fits(changed):
        assert code.ground.cut(code.ground.whole(changed)) == changed
