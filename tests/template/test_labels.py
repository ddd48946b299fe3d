"""What the options of a choice are called."""

from __future__ import annotations

import pytest

from evomerge.errors import RecipeError
from evomerge.template.labels import labels_of

OPTIONS = [
    (["ties", "slerp"], ("ties", "slerp")),
    ([0, 0.5, 1.0, True], ("0", "0.5", "1", "true")),
    ([[0, 1.0], [1, 0], []], ("[0, 1]", "[1, 0]", "[]")),
    ([0, {"search": [0, 1]}], ("0", "0 to 1")),
    ([{"search": [0, 1]}, {"search": [0, 1], "knots": 2}], ("0 to 1", "option 2")),
    ([{"search": 3}, {"choose": [1, 2]}], ("option 1", "option 2")),
    ([{"merge_method": "ties"}, {"merge_method": "slerp"}], ("ties", "slerp")),
    (
        [{"merge_method": "ties", "dtype": "float32"}, {"merge_method": "ties"}],
        ("option 1", "option 2"),
    ),
    (
        [{"weight": 1, "density": 0.5}, {"weight": 1, "density": 0.9}],
        ("density 0.5", "density 0.9"),
    ),
    ([{"weight": 1}, {"weight": {"search": [0, 1]}}], ("weight 1", "option 2")),
    ([{"weight": 1}, {"weight": 1.0}], ("option 1", "option 2")),
    (["weight 1", {"weight": 1}], ("weight 1", "option 2")),
    ([{"weight": 1}, "weight 1"], ("option 1", "weight 1")),
    (["option 2", {"weight": {}}], ("option 2", "option 2'")),
    ([[{"value": 1}], [{"value": 2}]], ("option 1", "option 2")),
]


@pytest.mark.parametrize(("options", "labels"), OPTIONS)
def test_labels_are_readable_and_different(options, labels):
    assert labels_of(options, "recipe") == labels


@pytest.mark.parametrize("options", [[1, 1.0], ["a", "b", "a"], [[0], [0.0]], [True, "true"]])
def test_an_option_may_stand_once(options):
    with pytest.raises(RecipeError, match=r"^recipe: the option .* stands twice"):
        labels_of(options, "recipe")
