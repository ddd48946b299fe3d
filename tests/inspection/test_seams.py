"""Promises of the seams of a stack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from evomerge.api import merge
from evomerge.errors import RecipeError, VocabularyError
from evomerge.inspection.seams import Joined, Place, route_of, seam_study
from evomerge.inspection.similarity import similarity
from evomerge.inspection.streams import streams, windows_of
from evomerge.merging.plan import plan_merge
from evomerge.recipe import ModelReference, Recipe
from evomerge.zoo.random_models import Options
from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.inspection.models import TEXT, WORDS, load, made

# First layer and end of each slice, and whose.
Slices = tuple[tuple[str, int, int], ...]


@pytest.fixture(scope="module")
def folder(module_folder: Path) -> Path:
    for seed, name in enumerate("ab"):
        made(module_folder / name, seed=seed)
    return module_folder


def stack(folder: Path, slices: Slices, **more: object) -> Recipe:
    listed = [
        {"sources": [{"model": str(folder / model), "layer_range": [first, end], **more}]}
        for model, first, end in slices
    ]
    return Recipe.from_tree({"merge_method": "passthrough", "slices": listed})


def study(folder: Path, tmp_path: Path, *slices: tuple[str, int, int], **more: object) -> Joined:
    recipe = stack(folder, slices, **more)

    def build(model: ModelReference | None):
        return load(merge(recipe, tmp_path / "stack") if model is None else model.path)

    return seam_study(route_of(plan_merge(recipe)), build, TEXT)


def cosines(folder: Path, rows: str, columns: str) -> np.ndarray:
    return np.array(similarity(load(folder / rows), load(folder / columns), TEXT).cosines)


def test_a_whole_model_has_no_seam(folder, tmp_path):
    assert study(folder, tmp_path, ("a", 0, 2), ("a", 2, 4)) == Joined(4, (), 20)
    whole = Recipe.from_tree(
        {"merge_method": "passthrough", "models": [{"model": str(folder / "a")}]}
    )
    assert [hop.layer for hop in route_of(plan_merge(whole))] == [-1, 0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("slices", "hop", "reader", "writer"),
    [
        # Up to its first seam a stack is its first model: what is read there is known.
        ((("a", 0, 2), ("a", 3, 4)), 2, ("a", 3), ("a", 1)),
        ((("a", 0, 3), ("a", 1, 4)), 3, ("a", 1), ("a", 2)),
        ((("a", 0, 1), ("a", 0, 4)), 1, ("a", 0), ("a", 0)),
        ((("a", 0, 2), ("b", 2, 4)), 2, ("b", 2), ("a", 1)),
        ((("a", 0, 3), ("b", 1, 4)), 3, ("b", 1), ("a", 2)),
    ],
)
def test_a_first_seam_is_a_cosine_between_models(folder, tmp_path, slices, hop, reader, writer):
    (seam,) = study(folder, tmp_path, *slices).seams
    (model, layer), (before, last) = reader, writer
    assert seam.hop == hop
    assert seam.reader == Place(str(folder / model), layer)
    assert seam.writer == Place(str(folder / before), last)
    # Behind layer l stands the stream l + 1.
    expected = cosines(folder, before, model)[last + 1, layer]
    assert seam.cosine == pytest.approx(expected, abs=1e-5)


def test_the_ends_of_a_stack_may_be_seams(folder, tmp_path):
    first, last = study(folder, tmp_path, ("a", 1, 2), ("b", 2, 3)).seams[::2]
    own = str(folder / "a")
    assert (first.hop, first.reader, first.writer) == (0, Place(own, 1), Place(own, None))
    assert first.cosine == pytest.approx(cosines(folder, "a", "a")[0, 1], abs=1e-5)
    other = str(folder / "b")
    assert (last.hop, last.reader, last.writer) == (2, Place(other, None), Place(other, 2))


def test_embeddings_and_head_of_another_model_are_seams(folder, tmp_path):
    found = study(folder, tmp_path, ("b", 0, 0), ("a", 0, 4), ("b", 0, 0))
    own, other = str(folder / "a"), str(folder / "b")
    first, last = found.seams
    assert (first.hop, first.reader, first.writer) == (0, Place(own, 0), Place(other, None))
    assert first.cosine == pytest.approx(cosines(folder, "b", "a")[0, 0], abs=1e-5)
    assert (last.hop, last.reader, last.writer) == (4, Place(other, None), Place(own, 3))
    assert found.hops == 4


def test_later_seams_read_what_the_stack_makes(folder, tmp_path):
    found = study(folder, tmp_path, ("a", 0, 2), ("b", 1, 3), ("a", 2, 4))
    whole, own = load(tmp_path / "stack"), load(folder / "a")
    windows = windows_of(whole, TEXT)
    stacked, alone = (torch.cat([*streams(each, windows)], 1) for each in (whole, own))
    expected = cosine_similarity(stacked[4], alone[2], dim=-1).mean()
    assert [seam.hop for seam in found.seams] == [2, 4]
    assert found.seams[1].cosine == pytest.approx(float(expected), abs=1e-5)


def test_a_scale_may_stand_in_the_stack(folder, tmp_path):
    halved = {"parameters": {"scale": [{"filter": "down_proj", "value": 0.5}, {"value": 1}]}}
    plain = study(folder, tmp_path / "plain", ("a", 0, 2), ("a", 3, 4))
    scaled = study(folder, tmp_path / "scaled", ("a", 0, 2), ("a", 3, 4), **halved)
    assert [seam.reader for seam in scaled.seams] == [seam.reader for seam in plain.seams]
    assert scaled.seams[0].cosine != pytest.approx(plain.seams[0].cosine, abs=1e-3)


def test_a_blend_has_no_seams(folder):
    models = [{"model": str(folder / name), "parameters": {"weight": 1}} for name in "ab"]
    blend = Recipe.from_tree({"merge_method": "linear", "models": models})
    with pytest.raises(RecipeError, match="recipe: merges by linear; only a stack has seams"):
        route_of(plan_merge(blend))


def test_models_that_read_other_tokens_are_refused(folder, tmp_path):
    others = Options(layers=4, tokenizer=word_tokenizer(WORDS[::-1]))
    other = made(tmp_path / "other", options=others)
    route = route_of(plan_merge(stack(folder, (("a", 0, 2), ("b", 2, 4)))))
    with pytest.raises(VocabularyError, match="reads the text as 20 tokens"):
        seam_study(route, lambda model: load(other if model else folder / "a"), TEXT)
