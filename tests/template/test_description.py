"""What people see of a space, by hand."""

from __future__ import annotations

import json

from evomerge.recipe import Recipe
from evomerge.template.description import COLUMNS, describe
from tests.template.templates import read, two

TEXT = """
merge_method: {choose: [linear, ties, slerp]}
base_model: base
models:
  - {model: base, parameters: {weight: {search: [0, 1]}}}
  - {model: words, parameters: {weight: {search: [0, 1]}, density: {search: [0.1, 1], log: true}}}
parameters: {t: {choose: [0.5, {search: [0, 1]}]}, max_iter: 3}
"""


def test_the_rows_say_what_when_and_how_far():
    text = TEXT.replace("max_iter: 3", "lambda: {search: [1, 4], int: true}")
    description = describe(read(text))
    assert COLUMNS == ("dimension", "kind", "range", "read")
    assert description.cells() == [
        ("merge_method", "choice", "linear, ties, slerp", "always"),
        ("models[base].parameters.weight", "number", "0 to 1", "merge_method: linear"),
        ("models[words].parameters.weight", "number", "0 to 1", "merge_method: linear, ties"),
        ("models[words].parameters.density", "number (log)", "0.1 to 1", "merge_method: ties"),
        ("parameters.t", "choice", "0.5, 0 to 1", "merge_method: slerp"),
        (
            "parameters.t[0 to 1]",
            "number",
            "0 to 1",
            "merge_method: slerp; parameters.t: 0 to 1",
        ),
        ("parameters.lambda", "whole number", "1 to 4", "merge_method: ties"),
    ]
    assert description.continuous == 4
    assert description.combinations == 3 * 2 * 4
    assert description.summary()[0] == "7 dimensions: 4 continuous, 24 combinations of the others"
    assert description.summary()[1].startswith("corners to begin at: base; only words; only base")


def test_the_example_is_the_recipe_in_the_middle():
    template = two("{weight: {search: [0, 1]}}")
    example = describe(template).example
    assert Recipe.parse(example) == template.fill(template.space.middle())


def test_a_dimension_that_no_recipe_reads():
    template = two("{weight: 1}", rest="  - {model: base, parameters: {weight: {search: [0, 1]}}}")
    (row,) = describe(template).dimensions
    assert row.read == "never"


def test_a_choice_inside_an_option_says_which_option_that_is():
    template = read("""
        choose:
          - merge_method: linear
            models: [{model: words, parameters: {weight: 1}}]
          - merge_method: {choose: [ties, linear]}
            base_model: base
            models: [{model: words, parameters: {weight: 1, density: {search: [0, 1]}}}]
    """)
    reads = {row.name: row.read for row in describe(template).dimensions}
    assert reads == {
        "recipe": "always",
        "recipe[option 2].merge_method": "recipe: option 2",
        "recipe[option 2].models[words].parameters.density": "recipe[option 2].merge_method: ties",
    }


def test_a_hole_that_is_read_in_one_of_its_places_is_read():
    template = read("""
        merge_method: {choose: [ties, linear]}
        base_model: base
        models:
          - {model: base, parameters: {weight: {search: [0, 1], name: all}}}
          - {model: words, parameters: {weight: {search: [0, 1], name: all}}}
    """)
    assert [row.read for row in describe(template).dimensions] == ["always", "always"]


def test_it_can_be_written_as_json():
    tree = describe(read(TEXT.replace(", max_iter: 3", ""))).tree()
    assert json.loads(json.dumps(tree))["dimensions"][0]["name"] == "merge_method"


def test_a_template_without_holes_has_no_dimensions():
    description = describe(two("{weight: 1}"))
    assert description.cells() == []
    assert description.summary() == ("0 dimensions: 0 continuous",)


def test_sixty_dimensions_are_many():
    assert two("{weight: {search: [0, 1], knots: 60}}").advice() == ()
    (advice,) = two("{weight: {search: [0, 1], knots: 61}}").advice()
    assert advice.startswith("recipe: 61 continuous dimensions are many; up to 60 are searched")
    assert all(word in advice for word in ("knots", "by: [attn, mlp]", "name"))
