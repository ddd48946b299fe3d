"""Several recipes in one file: read, written, and refused."""

from __future__ import annotations

import pytest

from evomerge.errors import RecipeError
from evomerge.recipe import Recipe
from evomerge.recipe.steps import read_steps, renamed, write_steps

ONE = "merge_method: linear\nmodels:\n  - {model: a}\n  - {model: b, parameters: {weight: 2}}\n"
FIRST = f"name: first\n{ONE}"
LAST = ONE.replace("a}", "first}")


@pytest.fixture
def steps(tmp_path):
    def read(text: str):
        (tmp_path / "steps.yaml").write_text(text)
        return read_steps(tmp_path / "steps.yaml")

    return read


def test_each_document_is_a_step(steps):
    first, last = steps(f"# two\n{FIRST}---\n{LAST}")
    assert (first.name, last.name) == ("first", "")
    assert first.recipe == Recipe.parse(ONE)
    assert last.recipe == Recipe.parse(LAST)


def test_one_recipe_is_one_step(steps):
    (only,) = steps(ONE)
    assert (only.name, only.recipe) == ("", Recipe.parse(ONE))
    with pytest.raises(RecipeError, match="found name, which is for a recipe that others"):
        steps(FIRST)


def test_written_and_read_again_they_are_the_same(steps):
    found = steps(f"{FIRST}---\n{LAST}")
    assert steps(write_steps(found)) == found


def test_a_name_stands_for_a_model_wherever_one_is_named():
    recipe = Recipe.parse(
        "merge_method: slerp\nbase_model: first\nparameters: {t: 0.5}\nslices:\n"
        "  - sources: [{model: first, layer_range: [0, 1]}, {model: b, layer_range: [0, 1]}]\n"
        "tokenizer: {source: first, tokens: {cat: {source: first}}}\n"
    )
    tree = renamed(recipe, {"first": "made", "slerp": "no"}).tree()
    assert "first" not in str(tree)
    assert tree["merge_method"] == "slerp"
    assert tree["tokenizer"] == {"source": "made", "tokens": {"cat": {"source": "made"}}}
    assert renamed(recipe, {"b": "first", "first": "b"}).references()[0].path == "b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{ONE}---\n{LAST}", "recipe 1: has no name, and others follow"),
        (f"{FIRST}---\n{FIRST}---\n{LAST}", "recipe 2: the name 'first' stands twice"),
        (f"{FIRST}---\nname: second\n{LAST}", "recipe 2: the last one has the name 'second'"),
        (f"{FIRST}---\nmodels: [\n", "line 8, column 1"),
        (f"{FIRST}---\nmerge_method: linear\n", "recipe 2: found neither models nor slices"),
        (f"{FIRST}---\n7\n", "recipe 2: found 7; expected a mapping"),
        (f"name: 7\n{ONE}---\n{LAST}", "recipe 1: name: found 7; expected text"),
        (f"{FIRST}---\n{LAST}merge_method: ties\n", "the key 'merge_method' stands twice"),
    ],
)
def test_what_cannot_be_followed_is_refused(steps, tmp_path, text, message):
    with pytest.raises(RecipeError, match=message) as refusal:
        steps(text)
    assert str(refusal.value).startswith(f"{tmp_path}/steps.yaml: ")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"gone\.yaml: cannot be read"):
        read_steps(tmp_path / "gone.yaml")
