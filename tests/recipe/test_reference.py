"""How recipes name models."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from evomerge.errors import RecipeError
from evomerge.recipe import ModelReference
from tests.recipe.strategies import references


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a/b", ("a/b", None, None, None)),
        ("a/b@v1", ("a/b", "v1", None, None)),
        ("a+l", ("a", None, "l", None)),
        ("a@v1+l@v2", ("a", "v1", "l", "v2")),
    ],
)
def test_a_reference_is_path_revision_adapter_and_its_revision(text, parts):
    assert ModelReference.parse(text) == ModelReference(*parts)
    assert str(ModelReference.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a@b@c", "more than one '@'"),
        ("a+b@c@d", "more than one '@' in 'b@c@d'"),
        ("a+b+c", "more than one '+'"),
        ("", "empty"),
        ("a@", "empty"),
        ("@main", "empty"),
        ("a+", "empty"),
    ],
)
def test_other_texts_are_refused_with_the_form_expected(text, problem):
    with pytest.raises(RecipeError, match=r"expected path\[@revision\]") as error:
        ModelReference.parse(text)
    assert problem in str(error.value)


@given(references)
def test_what_stands_for_a_reference_is_read_as_that_reference(reference):
    assert ModelReference.of(reference.written()) == reference


def test_a_path_with_a_plus_or_an_at_is_written_as_a_mapping():
    reference = ModelReference.of(Path("/data/c++/model"))
    assert reference.written() == {"model": {"path": "/data/c++/model"}}


def test_the_mapping_takes_texts_and_parts():
    parts = {"model": {"path": "a", "revision": "r"}, "lora": "l@q", "override_architecture": None}
    assert ModelReference.of(parts) == ModelReference("a", "r", "l", "q")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (3, "3 is not a model"),
        ({"path": "a"}, "unknown key 'path'"),
        ({"lora": "a"}, "needs the key 'model'"),
        ({"model": 3}, "3 is not a path"),
        ({"model": {"path": 3}}, "must be text"),
        ({"model": {"path": ""}}, "empty"),
        ({"model": {"pth": "a"}}, "did you mean 'path'"),
        ({"model": "a", "override_architecture": "B"}, "override_architecture is not supported"),
    ],
)
def test_other_values_are_refused(value, problem):
    with pytest.raises(RecipeError, match=problem):
        ModelReference.of(value)
