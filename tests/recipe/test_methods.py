"""Which method makes which tensors: words, conditional lists, and methods of single slices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import RecipeError
from evomerge.recipe import ModelReference, Recipe
from evomerge.recipe.methods import method_for, settled, spread
from tests.recipe.strategies import names, slices, texts, trees

A = ModelReference("a")
WHOLE = "models: [{model: a}]\n"
LIST = "[{filter: mlp, value: ties}, {filter: attn, value: slerp}, {value: linear}]"


@st.composite
def method_settings(draw):
    """A word, or a list whose last entry is for all other tensors."""
    entries = [
        {"filter": draw(texts.filter(lambda text: text != "*")), "value": draw(names)}
        for _ in range(draw(st.integers(0, 2)))
    ]
    return draw(st.sampled_from([draw(names), [*entries, {"value": draw(names)}]]))


@st.composite
def trees_of_methods(draw):
    """A recipe of slices, some of which have methods of their own."""
    tree = draw(trees().filter(lambda tree: "slices" in tree)) | {"seed": 1}
    known = draw(st.lists(method_settings(), min_size=1, max_size=2))
    tree["merge_method"] = draw(st.sampled_from(known))
    for part in tree["slices"]:
        if draw(st.booleans()):
            part["merge_method"] = draw(st.sampled_from(known))
    return tree


def methods_of(recipe: Recipe) -> list[object]:
    """What makes the tensors of each slice."""
    layers = dict.fromkeys(recipe.references(), 1000)  # more than any slice asks for
    return [part.methods for part in recipe.slices_for(layers)]


@given(trees_of_methods())
def test_what_is_written_makes_every_slice_by_the_same_methods(tree):
    recipe = Recipe.from_tree(tree)
    again = Recipe.parse(recipe.write())
    assert methods_of(again) == methods_of(recipe)
    assert again.digest() == recipe.digest()
    assert again.method_names() == recipe.method_names()


@given(trees_of_methods())
def test_there_is_one_spelling_and_it_can_be_spread_over_the_slices(tree):
    written = Recipe.from_tree(tree).tree()
    assert settled(written) == written
    everywhere = spread(written)
    assert "merge_method" not in everywhere
    assert all("merge_method" in part for part in everywhere["slices"])
    assert settled(everywhere) == written


@given(trees_of_methods())
def test_a_recipe_with_one_method_everywhere_says_it_in_one_word(tree):
    recipe = Recipe.from_tree(tree)
    written = recipe.tree()
    if len(recipe.method_names()) == 1:
        assert written["merge_method"] == recipe.method_names()[0]
        assert all("merge_method" not in part for part in written["slices"])
    else:
        own = [part["merge_method"] for part in written["slices"] if "merge_method" in part]
        assert own or isinstance(written["merge_method"], list)


@given(st.lists(slices(), min_size=1, max_size=2), names)
def test_a_recipe_without_methods_of_slices_is_written_as_ever(parts, method):
    tree = {"slices": parts, "merge_method": method}
    written = Recipe.from_tree(tree).tree()
    assert written["merge_method"] == method
    assert settled(written) is written


SOURCES = "sources: [{model: a, layer_range: [0, 1]}]"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (WHOLE + "merge_method: ties", WHOLE + "merge_method: {value: ties}"),
        (WHOLE + "merge_method: ties", WHOLE + "merge_method: [{filter: '*', value: ties}]"),
        (
            WHOLE + "merge_method: ties",
            WHOLE + "merge_method: [{filter: mlp, value: ties}, {value: ties}]",
        ),
        (
            f"slices: [{{{SOURCES}}}, {{{SOURCES}, merge_method: ties}}]\nmerge_method: linear",
            f"slices: [{{{SOURCES}, merge_method: linear}}, {{{SOURCES}}}]\nmerge_method: ties",
        ),
        (
            f"slices: [{{{SOURCES}, merge_method: ties}}]\nmerge_method: linear",
            f"slices: [{{{SOURCES}}}]\nmerge_method: ties",
        ),
    ],
)
def test_spelling_does_not_change_the_digest(one, other):
    assert Recipe.parse(one).digest() == Recipe.parse(other).digest()
    assert Recipe.parse(one).write() == Recipe.parse(other).write()


def test_methods_and_the_order_of_their_filters_change_the_digest():
    lists = [
        "ties",
        "[{filter: mlp, value: ties}, {value: linear}]",
        "[{filter: mlp, value: linear}, {value: ties}]",
        "[{filter: attn, value: ties}, {value: linear}]",
        "[{filter: a, value: ties}, {filter: b, value: slerp}, {value: linear}]",
        "[{filter: b, value: slerp}, {filter: a, value: ties}, {value: linear}]",
    ]
    assert len({Recipe.parse(f"{WHOLE}merge_method: {each}").digest() for each in lists}) == 6


def test_the_first_entry_whose_filter_is_in_the_name_decides():
    setting = Recipe.parse(f"{WHOLE}merge_method: {LIST}").merge_method
    assert method_for(setting, "model.layers.0.mlp.up_proj.weight") == "ties"
    assert method_for(setting, "model.layers.0.self_attn.q_proj.weight") == "slerp"
    assert method_for(setting, "mlp.attn") == "ties"
    assert method_for(setting, "lm_head.weight") == "linear"
    assert method_for("ties", "lm_head.weight") == "ties"


MIXED = """
slices:
  - sources: [{model: a, layer_range: [0, 1], parameters: {weight: 1}}]
    parameters: {t: 1}
  - sources: [{model: a, layer_range: [1, 2], parameters: {weight: 2}}]
    merge_method: [{filter: mlp, value: slerp}, {value: ties}]
    parameters: {t: 2}
merge_method: linear
parameters: {t: 3}
"""


def test_the_method_of_a_slice_goes_before_that_of_the_recipe():
    first, second = Recipe.parse(MIXED).slices_for({A: 2})
    assert [first.method_for(name) for name in ("mlp", "attn")] == ["linear", "linear"]
    assert [second.method_for(name) for name in ("mlp", "attn")] == ["slerp", "ties"]


def test_methods_are_listed_in_words_and_with_the_parameters_that_they_read():
    recipe = Recipe.parse(MIXED)
    assert recipe.method_names() == ("linear", "slerp", "ties")
    assert recipe.method_title() == "linear, slerp and ties"
    assert Recipe.parse(f"{WHOLE}merge_method: ties").method_title() == "ties"
    assert list(recipe.method_places()) == [
        ("recipe.merge_method", "linear"),
        ("recipe.slices.1.merge_method", "slerp"),
        ("recipe.slices.1.merge_method", "ties"),
    ]
    assert [scope.methods for scope in recipe.scopes()] == [
        ("linear",),
        ("linear",),
        ("slerp", "ties"),
        ("slerp", "ties"),
        ("linear", "slerp", "ties"),
    ]


def test_a_method_that_no_slice_has_makes_nothing():
    text = f"slices: [{{{SOURCES}, merge_method: ties}}]\nmerge_method: linear"
    assert Recipe.parse(text).method_names() == ("ties",)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("[]", ": the list has no method for the tensors that no filter takes; end it with one"),
        ("{filter: mlp, value: ties}", ": the list has no method for the tensors that no filter"),
        ("[{value: ties}, {filter: a, value: slerp}]", ": the list has no method for the tensors"),
        ("[{value: ties}, {value: slerp}]", ": entry 0 is for all tensors, and leaves none to"),
        ("[{value: [ties, linear]}]", ".0.value: found ['ties', 'linear']; expected text"),
        ("[{filter: mlp}]", ".0.value: missing; a value is needed here"),
        ("[ties, linear]", ".0: found 'ties'; expected a mapping with the keys filter, value"),
        ("[{filtre: mlp, value: a}]", ".0: unknown key 'filtre'; did you mean 'filter'?"),
        ("3", ": found 3; expected text, in quotes if need be"),
    ],
)
@pytest.mark.parametrize("place", ["recipe.merge_method", "recipe.slices.0.merge_method"])
def test_what_is_no_method_is_refused_with_its_place(place, setting, expected):
    text = f"{WHOLE}merge_method: {setting}"
    if "slices" in place:
        text = f"slices: [{{{SOURCES}, merge_method: {setting}}}]\nmerge_method: linear"
    with pytest.raises(RecipeError) as error:
        Recipe.parse(text)
    assert str(error.value).startswith(f"{place}{expected}")
