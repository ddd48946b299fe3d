"""A recipe that aligns a model is ours: the file says so, and is followed by `evomerge merge`."""

from __future__ import annotations

import pytest

from evomerge.export.extensions import extensions, remarks
from evomerge.recipe import Recipe


@pytest.mark.parametrize(("align", "ours"), [("none", ()), ("weight_matching", ("align",))])
def test_an_alignment_is_an_extension(align, ours):
    entries = [{"model": "a"}, {"model": "b", "align": align}]
    recipe = Recipe.from_tree(
        {"merge_method": "linear", "models": entries, "parameters": {"weight": 1}}
    )
    assert extensions(recipe) == ours
    said = [text for text in remarks(recipe) if "mergekit does not know align:" in text]
    assert len(said) == len(ours)
    assert Recipe.parse(recipe.write()).digest() == recipe.digest()
