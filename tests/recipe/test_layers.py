"""Which layers of which models make the output."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import RecipeError
from evomerge.recipe import ModelReference, Recipe

A, B, C = (ModelReference(name) for name in "abc")


def sliced(*slices, **rest):
    """A recipe whose slices are given as ``{model: [first, end]}``."""
    entries = [
        {"sources": [{"model": m, "layer_range": r} for m, r in chosen.items()]}
        for chosen in slices
    ]
    return Recipe.from_tree({"slices": entries, "merge_method": "linear", **rest})


def whole(*models, **rest):
    return Recipe.from_tree(
        {"models": [{"model": m} for m in models], "merge_method": "linear", **rest}
    )


def test_models_are_one_slice_of_all_layers():
    (only,) = whole("a", "b").slices_for({A: 4, B: 4})
    assert [(s.model, s.layers) for s in only.sources] == [(A, range(4)), (B, range(4))]
    assert only.base is None


def test_an_unlisted_base_is_a_further_input_of_models():
    (only,) = whole("a", "b", base_model="c").slices_for({A: 2, B: 2, C: 2})
    assert [source.model for source in only.sources] == [A, B, C]
    assert only.sources[2].settings == {}


def test_a_listed_base_stays_where_it_stands():
    (only,) = whole("a", "b", base_model="a").slices_for({A: 2, B: 2})
    assert [source.model for source in only.sources] == [A, B]


def test_an_unlisted_base_is_no_input_of_slices():
    (only,) = sliced({"a": [0, 2]}, base_model="c").slices_for({A: 2, C: 2})
    assert [source.model for source in only.sources] == [A]
    assert only.base == C


def test_the_base_of_a_slice_goes_before_the_base_of_the_recipe():
    recipe = Recipe.parse("""
        slices:
          - sources: [{model: a, layer_range: [0, 1]}]
            base_model: b
            parameters: {weight: 1}
          - sources: [{model: a, layer_range: [1, 2], parameters: {weight: 2}}]
        base_model: c
        merge_method: linear
        """)
    first, second = recipe.slices_for({A: 2, B: 2, C: 2})
    assert (first.base, second.base) == (B, C)
    assert (first.settings, first.sources[0].settings) == ({"weight": 1}, {})
    assert (second.settings, second.sources[0].settings) == ({}, {"weight": 2})


@given(st.integers(1, 20))
def test_layers_stand_evenly_from_0_to_1_in_a_slice(layers):
    (only,) = whole("a").slices_for({A: layers})
    positions = [only.position(layer) for layer in range(len(only))]
    assert positions[-1] == 1.0  # of a lone layer too
    assert layers == 1 or positions == [layer / (layers - 1) for layer in range(layers)]


def test_a_slice_may_be_empty():
    last = sliced({"a": [0, 2]}, {"b": [0, 0]}).slices_for({A: 2, B: 3})[-1]
    assert len(last) == 0


def test_models_of_different_depths_are_refused_with_the_depth_of_each():
    with pytest.raises(RecipeError, match=r"same number of layers; found a: 4, b: 6; .* slices"):
        whole("a", base_model="b").slices_for({A: 4, B: 6})


def test_a_range_beyond_the_last_layer_is_refused_with_the_number_of_layers():
    expected = r"recipe.slices.1.sources.0.layer_range: \[2, 5\] is out of bounds; a has 4 layers"
    with pytest.raises(RecipeError, match=expected):
        sliced({"a": [0, 4]}, {"a": [2, 5]}).slices_for({A: 4})


def test_sources_of_a_slice_have_equally_many_layers():
    with pytest.raises(
        RecipeError, match=r"recipe.slices.0: .*same number .*a: \[0, 2\], b: \[1, 2\]"
    ):
        sliced({"a": [0, 2], "b": [1, 2]})


def test_a_model_stands_once_in_a_slice_and_often_in_a_recipe():
    twice = [{"model": "a", "layer_range": [i, i + 1]} for i in range(2)]
    with pytest.raises(RecipeError, match=r"recipe.slices.0: the same model twice in one slice: a"):
        Recipe.from_tree({"slices": [{"sources": twice}], "merge_method": "linear"})
    with pytest.raises(RecipeError, match=r"the same model twice in models: a"):
        whole("a", "b", "a")
    assert len(sliced({"a": [0, 2]}, {"a": [1, 2]}).slices_for({A: 2})) == 2


def test_references_are_listed_once_in_reading_order_with_unlisted_bases_last():
    assert whole("b", "a", base_model="c").references() == (B, A, C)
    assert whole("b", "a", base_model="a").references() == (B, A)
    recipe = sliced({"b": [0, 1], "a": [0, 1]}, {"b": [1, 2]}, base_model="c")
    assert recipe.references() == (B, A, C)
