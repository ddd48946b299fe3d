"""Promises of a template whose slices are a stack to be found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import RecipeError
from evomerge.families import FAMILIES, Family
from evomerge.methods.base import merge_methods
from evomerge.recipe import ModelReference, Recipe
from evomerge.recipe.reading import load_yaml
from evomerge.stacks import slices_of, stack_of
from evomerge.stacks.hops import block, intact
from evomerge.template import Template
from evomerge.template.description import describe

LLAMA = next(family for family in FAMILIES if family.name == "Llama")
MODELS = {alias: ModelReference(f"zoo/{alias}") for alias in ("base", "words", "deep")}
BASE, WORDS, DEEP = MODELS.values()
LAYERS = {BASE: 4, WORDS: 4, DEEP: 6}


def read(options: str, *, method: str = "passthrough", family=LLAMA) -> Template:
    text = f"slices: {{stack: {{models: [base, words, deep]{options}}}}}\nmerge_method: {method}\n"
    tree = load_yaml(text, "recipe")
    return Template.read(tree, MODELS, merge_methods, family=family, layers=LAYERS)


TEMPLATES = [
    read(", edits: 3"),
    read(", edits: 2, block: 3, keep: [0, 1], scale: [0.5, 2], anchor: words"),
    read(", encoding: indicator, max_layers: 8, scale: [0.5, 2]"),
    read(", encoding: path, min_layers: 3, keep: 0, scale: [0.5, 2]"),
]
filled = st.sampled_from(TEMPLATES).flatmap(
    lambda template: st.tuples(
        st.just(template),
        st.lists(st.floats(0, 1), min_size=len(template.space), max_size=len(template.space)).map(
            template.space.decode
        ),
    )
)


@given(filled)
def test_every_point_fills_to_a_stack(pair):
    template, point = pair
    assert stack_of(template.fill(point).tree()["slices"], LLAMA) is not None


@given(filled)
def test_settling_keeps_the_recipe_and_the_values_it_reads(pair):
    template, point = pair
    settled, middle = template.settle(point), template.space.middle()
    assert template.fill(settled).digest() == template.fill(point).digest()
    assert all(settled[name] in (point[name], middle[name]) for name in point)
    assert template.settle(settled) == settled


@given(filled)
def test_a_recipe_that_is_matched_is_the_one_of_its_point(pair):
    template, point = pair
    recipe = template.fill(point)
    found = template.match(Recipe.parse(recipe.write()))
    assert found is None or template.fill(found).digest() == recipe.digest()
    assert found is not None or template is TEMPLATES[0] or template is TEMPLATES[1]


@pytest.mark.parametrize("template", TEMPLATES)
def test_intact_models_are_where_a_search_may_begin(template):
    corners = dict(template.corners())
    code = template.codes[0]
    anchor = code.ground.sources[code.ground.anchor].reference
    recipe = template.fill(corners[f"only {code.ground.anchor}"])
    assert recipe.tree()["slices"] == slices_of(intact(anchor, 4), anchor, LLAMA)
    twice = template.fill(corners["depth up-scaled"]).tree()["slices"]
    assert stack_of(twice, LLAMA)[0] == block(anchor, 0, 3) + block(anchor, 1, 4)


def test_without_edits_it_is_the_anchor():
    template = read(", anchor: words")
    found = template.fill(template.space.middle()).tree()["slices"]
    assert found == slices_of(intact(WORDS, 4), WORDS, LLAMA)


def test_a_stack_of_someone_else_is_read():
    made = slices_of(block(BASE, 0, 2) + block(DEEP, 2, 4) + block(BASE, 3, 4), BASE, LLAMA)
    recipe = Recipe.from_tree({"merge_method": "passthrough", "slices": made})
    point = TEMPLATES[0].match(recipe)
    assert TEMPLATES[0].fill(point).digest() == recipe.digest()
    assert TEMPLATES[1].match(recipe) is None  # its anchor is another


def test_what_is_described():
    rows = {row.name: row for row in describe(TEMPLATES[0]).dimensions}
    assert rows["slices.stack[0].edit"].range == "skip, repeat, none, swap, insert"
    assert rows["slices.stack[0].edit"].read == "always"
    assert rows["slices.stack[0].model"].read == "slices.stack[0].edit: swap, insert"


WRONG = [
    (", encoding: edits, keep: 3", "keep: 3 first and 3 last layers are more than the 4"),
    (", encodings: path", "encodings"),
    (", encoding: paths", "encoding"),
    (", anchor: proze", "anchor: unknown model 'proze'"),
    (", repeats: 2", "repeats: found with the encoding edits; only indicator reads it"),
    (", encoding: path, block: 2", "block: found with the encoding path; only edits reads it"),
    (", min_layers: 5, max_layers: 4", "max_layers: 4 is below min_layers, 5"),
    (", min_layers: 1", "min_layers: 1 is below the 2 layers that are kept"),
    (", max_layers: 3", "edits begin with base as it is, and its 4 layers are not from 2 to 3"),
    (", encoding: indicator, repeats: 1, min_layers: 30, max_layers: 40", "give more repeats"),
    (", scale: [1.1, 2]", "expected a range above 0 with 1 in it"),
    (", scale: [0, 2]", "expected a range above 0 with 1 in it"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_what_is_no_stack_is_refused(options, message):
    with pytest.raises(RecipeError, match=r"recipe\.slices\.stack") as found:
        read(options)
    assert message in str(found.value)


def test_other_methods_make_no_stack():
    with pytest.raises(RecipeError, match="made by merge_method: passthrough, not by linear"):
        read("", method="linear")


def test_scales_are_refused_where_no_layer_takes_them():
    strange = Family("Strange", ("StrangeForCausalLM",))
    assert read("", family=strange).codes
    with pytest.raises(RecipeError, match=r"stack\.scale: Strange: a scale cannot be folded"):
        read(", scale: [0.5, 2]", family=strange)


def test_a_key_beside_the_stack_is_refused():
    tree = load_yaml(
        "merge_method: passthrough\nslices: {stack: {models: [base]}, keep: 1}", "recipe"
    )
    with pytest.raises(RecipeError, match="unknown key of a hole 'keep'"):
        Template.read(tree, MODELS, merge_methods, family=LLAMA, layers=LAYERS)


def test_an_unknown_model_is_refused():
    tree = load_yaml("merge_method: passthrough\nslices: {stack: {models: [bass]}}", "recipe")
    with pytest.raises(RecipeError, match="unknown model 'bass'; did you mean 'base'"):
        Template.read(tree, MODELS, merge_methods, family=LLAMA, layers=LAYERS)
