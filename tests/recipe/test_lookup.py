"""What a parameter is for one tensor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import RecipeError
from evomerge.recipe import Recipe, look_up
from evomerge.recipe.lookup import as_flag, as_number, as_whole, as_word, as_written, look_up_as
from evomerge.recipe.settings import filters, scalars

MLP = "model.layers.0.mlp.up_proj.weight"
NORM = "model.norm.weight"

positions = st.floats(0, 1)


def settings(**parameters):
    tree = {"models": [{"model": "a"}], "merge_method": "linear", "parameters": parameters}
    return Recipe.from_tree(tree).parameters


def value_of(setting, tensor=MLP, t=0.0, read=as_written):
    return look_up_as(read, "x", [settings(x=setting)], tensor, t)


@pytest.mark.parametrize(
    ("written", "value"), [(2, 2.0), (0.5, 0.5), ("1e-3", 0.001), (True, True), ("l1", "l1")]
)
def test_a_scalar_is_itself_everywhere(written, value):
    assert value_of(written, t=0.3) == value
    assert type(value_of(written)) is type(value)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=6), positions)
def test_a_gradient_stays_between_its_anchors_and_starts_and_ends_with_them(anchors, t):
    assert min(anchors) - 1e-12 <= value_of(anchors, t=t) <= max(anchors) + 1e-12
    assert value_of(anchors, t=0.0) == anchors[0]
    assert value_of(anchors, t=1.0) == anchors[-1]


@pytest.mark.parametrize(
    ("t", "value"), [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (0.75, 2.5), (1.0, 4.0)]
)
def test_a_gradient_is_straight_between_anchors(t, value):
    assert value_of([0, 1, 4], t=t) == value


@pytest.mark.parametrize(
    ("t", "value"), [(0.0, "a"), (0.49, "a"), (0.5, "b"), (0.99, "b"), (1.0, "c")]
)
def test_words_hold_until_the_next_anchor(t, value):
    assert value_of(["a", "b", "c"], t=t) == value


def test_the_type_read_decides_whether_a_list_is_interpolated():
    assert value_of([True, False], t=0.5) is True
    assert value_of([True, False], t=0.5, read=as_flag) is True
    assert value_of([True, False], t=0.5, read=as_number) == 0.5
    assert value_of([0, 1], t=0.5) == 0.5
    assert value_of([0, 1], t=0.5, read=as_flag) is False
    assert value_of(["1e-3", 2e-3], t=0.5) == pytest.approx(1.5e-3)


def test_the_first_matching_filter_wins():
    setting = [{"filter": "mlp", "value": 1}, {"filter": "up_proj", "value": 2}, {"value": 3}]
    assert value_of(setting) == 1
    assert value_of(setting, tensor="self_attn.up_proj") == 2
    assert value_of(setting, tensor=NORM) == 3


@pytest.mark.parametrize("text", ["*", "", "model.layers.0.", "_proj", MLP])
def test_a_filter_is_a_part_of_the_name_or_a_star(text):
    assert value_of([{"filter": text, "value": 1}]) == 1


@pytest.mark.parametrize("text", ["m*p", "MLP", "^model", "attn"])
def test_a_filter_is_no_pattern(text):
    assert value_of([{"filter": text, "value": 1}]) is None


def test_a_single_condition_needs_no_list():
    assert value_of({"filter": "mlp", "value": [0, 2]}, t=0.5) == 1.0
    assert value_of({"filter": "mlp", "value": [0, 2]}, tensor=NORM) is None


def test_the_innermost_scope_with_a_value_decides():
    scopes = [settings(x=1), settings(x=2, y=3), settings(z=4)]
    assert look_up("x", scopes, MLP, 0.0) == 1
    assert look_up("y", scopes, MLP, 0.0) == 3
    assert look_up("z", scopes, MLP, 0.0) == 4
    assert look_up("w", scopes, MLP, 0.0) is None


@pytest.mark.parametrize("nothing", [[], [{"filter": "attn", "value": 1}], [{"value": []}]])
def test_a_scope_without_a_value_for_the_tensor_is_passed_over(nothing):
    assert look_up("x", [settings(x=nothing), settings(x=2)], MLP, 0.0) == 2


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (as_number, [(1, 1.0), ("2e-1", 0.2), (True, 1.0)], ["high"]),
        (as_whole, [(10, 10), (10.0, 10), ("10", 10)], [0.5, "many"]),
        (
            as_flag,
            [(True, True), (0, False), (1.0, True), ("Yes", True), ("off", False)],
            [0.5, "2", "l1"],
        ),
        (as_word, [("l1", "l1")], [1, True]),
    ],
)
def test_values_are_read_as_the_type_declared(read, good, bad):
    for written, value in good:
        assert value_of(written, read=read) == value
    for written in bad:
        with pytest.raises(RecipeError, match=f"parameter 'x' of {MLP}: .*expected"):
            value_of(written, read=read)


def test_a_setting_lists_its_values_and_filters():
    setting = settings(x=[{"filter": "mlp", "value": [0, 1]}, {"value": 2}])["x"]
    assert list(scalars(setting)) == [0, 1, 2]
    assert filters(setting) == ("mlp",)
    assert (list(scalars(5)), filters(5)) == ([5], ())
