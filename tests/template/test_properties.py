"""Promises of all templates: whatever holes they have, a point and its recipe belong together."""

from __future__ import annotations

import json
from copy import deepcopy

from hypothesis import given, settings
from hypothesis import strategies as st

from evomerge.recipe import Recipe
from evomerge.recipe.reading import load_yaml
from evomerge.template import Template
from tests.template.strategies import (
    MODELS,
    points,
    template_of,
    templates,
    templates_and_points,
    trees,
)

# Random templates are large, and drawing one takes longer than all that is done with it.
fewer = settings(max_examples=30)


@fewer
@given(templates_and_points())
def test_every_point_fills_to_a_recipe(both):
    template, point = both
    recipe = template.fill(point)
    assert Recipe.from_tree(load_yaml(recipe.write(), "recipe")).digest() == recipe.digest()
    assert set(recipe.references()) <= set(MODELS.values())


@fewer
@given(templates_and_points())
def test_filling_is_pure(both):
    template, point = both
    kept = dict(point)
    assert template.fill(point) == template.fill(point)
    assert point == kept


@fewer
@given(templates_and_points())
def test_a_recipe_is_recognised_as_its_settled_point(both):
    template, point = both
    assert template.match(template.fill(point)) == template.settle(point)


@fewer
@given(templates_and_points())
def test_settling_keeps_the_recipe(both):
    template, point = both
    settled = template.settle(point)
    assert template.space.admits(settled)
    assert template.fill(settled).digest() == template.fill(point).digest()
    assert template.settle(settled) == settled


@fewer
@given(templates_and_points(), st.data())
def test_inert_dimensions_stand_in_the_middle_and_change_nothing(both, data):
    template, point = both
    settled, inert = template.settle(point), template.inert(point)
    assert all(settled[name] == template.space.middle()[name] for name in inert)
    other = data.draw(points(template))
    moved = {name: (other if name in inert else settled)[name] for name in settled}
    assert template.fill(moved).digest() == template.fill(point).digest()


@fewer
@given(templates_and_points(), st.data())
def test_points_of_different_recipes_settle_differently(both, data):
    template, point = both
    other = data.draw(points(template))
    same = template.fill(point).digest() == template.fill(other).digest()
    assert (template.settle(point) == template.settle(other)) == same


@fewer
@given(trees)
def test_a_template_survives_being_written_without_aliases(tree):
    template = template_of(tree)
    again = template_of(json.loads(json.dumps(template.tree)))
    assert again.space == template.space
    assert again.fill(again.space.middle()) == template.fill(template.space.middle())
    assert again.tree == template.tree


@fewer
@given(trees)
def test_reading_leaves_the_tree_alone(tree):
    kept = deepcopy(tree)
    template_of(tree)
    assert tree == kept


@fewer
@given(templates)
def test_every_option_is_reached_by_a_path(template: Template):
    reached = {(name, label) for path in template.paths() for name, label in path.items()}
    assert {
        (choice.name, label) for choice in template.space.choices for label in choice.options
    } >= reached
    # No path leads to a choice of methods if all slices have methods of their own: it has no use.
    for name in {choice.name for choice in template.space.choices} & template.uses().keys():
        assert any(name in path for path in template.paths())


@fewer
@given(templates)
def test_corners_are_points_that_stand_for_their_recipes(template: Template):
    found = list(template.corners())
    methods = {template.fill(template.at(path)).method_names() for path in template.paths()}
    assert len(found) <= 2 + 2 * len(MODELS) + len(methods)
    assert len({label for label, _ in found}) == len(found)
    for _, point in found:
        assert template.space.admits(point)
        assert template.settle(point) == point
