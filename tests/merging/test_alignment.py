"""Recipes that align their models: what is merged is what `evomerge align` would have written."""

from __future__ import annotations

import numpy as np
import pytest

import evomerge
from evomerge.aligners import kept
from evomerge.aligners.base import Settings
from evomerge.alignment.drawing import random_element
from evomerge.alignment.on_disk import layout_of_source
from evomerge.alignment.writing import write_moved
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.dtypes import BFLOAT16, FLOAT32
from evomerge.errors import AlignmentError, RecipeError
from evomerge.merging.plan import plan_merge
from evomerge.recipe import Recipe
from evomerge.zoo.random_models import Options, random_model
from evomerge.zoo.small_tokenizers import word_tokenizer

WORDS = ("the", "cat", "sat", "on", "a", "mat")


@pytest.fixture(scope="module")
def models(module_folder):
    """Two strangers of one vocabulary, and one of other words."""
    for seed, name in enumerate(("base", "stranger", "other")):
        words = WORDS if name != "other" else WORDS[::-1]
        options = Options(tokenizer=word_tokenizer(words))
        random_model(module_folder / name, seed=seed, options=options)
    return module_folder


def aligned(models, align="weight_matching", **more) -> Recipe:
    entries = [
        {"model": str(models / "base")},
        {"model": str(models / "stranger"), "align": align},
    ]
    tree = {"merge_method": "linear", "models": entries, "parameters": {"weight": 1}, **more}
    return Recipe.from_tree(tree)


def tensors(folder):
    source = open_checkpoint(str(folder))
    return {name: source.load(name) for name in source.names()}


def same(one, other):
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        np.testing.assert_array_equal(second[name], tensor, strict=True)


def written(models, out, settings=None):
    """The aligned model as a folder."""
    stranger, base = (open_checkpoint(str(models / n)) for n in ("stranger", "base"))
    element = kept.alignment_of(stranger, base, settings or Settings()).alignment.element
    write_moved(stranger, element, out)
    return out


@pytest.mark.parametrize(
    ("align", "settings"),
    [
        ("weight_matching", Settings()),
        (
            {"method": "weight_matching", "groups": ["neurons", "heads"]},
            Settings(groups=("neurons", "heads")),
        ),
        (
            {"method": "zipper", "mode": "rotation", "seed": 2},
            Settings("zipper", seed=2, options={"mode": "rotation"}),
        ),
    ],
)
def test_a_merge_is_that_of_the_model_that_was_written(models, tmp_path, align, settings):
    apart = written(models, tmp_path / "aligned", settings)
    entries = [{"model": str(models / "base")}, {"model": str(apart)}]
    plain = Recipe.from_tree(
        {"merge_method": "linear", "models": entries, "parameters": {"weight": 1}}
    )
    evomerge.merge(plain, tmp_path / "two")
    evomerge.merge(aligned(models, align), tmp_path / "one")
    same(tmp_path / "one", tmp_path / "two")


def test_an_alignment_is_found_once_for_all_merges(models, tmp_path, monkeypatch):
    evomerge.merge(aligned(models, {"method": "weight_matching", "seed": 5}), tmp_path / "one")
    monkeypatch.setattr(kept, "align", None)  # whoever would align now fails
    again = aligned(models, {"method": "weight_matching", "seed": 5, "to": str(models / "base")})
    evomerge.merge(again, tmp_path / "two")
    same(tmp_path / "one", tmp_path / "two")


def test_a_plan_finds_nothing(models, monkeypatch):
    monkeypatch.setattr(kept, "alignment_of", None)
    plan = plan_merge(aligned(models, {"method": "weight_matching", "seed": 6}))
    (each,) = plan.models.aligned
    assert each.task == "aligning stranger to base by weight_matching"


def test_the_anchor_need_not_be_merged(models, tmp_path):
    written(models, tmp_path / "aligned")
    entry = {"model": str(models / "stranger")}
    way = {"method": "weight_matching", "to": str(models / "base")}
    alone = {"merge_method": "passthrough", "models": [{**entry, "align": way}]}
    evomerge.merge(Recipe.from_tree(alone), tmp_path / "out")
    same(tmp_path / "out", tmp_path / "aligned")


def test_task_vectors_of_an_aligned_copy_are_nothing(models, tmp_path):
    base = open_checkpoint(str(models / "base"))
    write_moved(base, random_element(layout_of_source(base), 0), tmp_path / "moved")
    entry = {"model": str(tmp_path / "moved"), "align": "weight_matching"}
    tree = {"merge_method": "task_arithmetic", "models": [entry], "parameters": {"weight": 1}}
    asked = Recipe.from_tree({**tree, "base_model": str(models / "base")})
    evomerge.merge(asked, tmp_path / "out")
    merged, before = tensors(tmp_path / "out"), tensors(models / "base")
    for name, tensor in before.items():
        np.testing.assert_allclose(merged[name], tensor, atol=1e-5)


def test_layers_of_an_aligned_model_may_stand_in_slices(models, tmp_path):
    written(models, tmp_path / "aligned")

    def stack(model, **more):
        first = [{"model": str(models / "base"), "layer_range": [0, 1]}]
        second = [{"model": str(model), "layer_range": [0, 2], **more}]
        slices = [{"sources": first}, {"sources": second}]
        return Recipe.from_tree(
            {"merge_method": "passthrough", "base_model": str(models / "base"), "slices": slices}
        )

    evomerge.merge(stack(models / "stranger", align="weight_matching"), tmp_path / "one")
    evomerge.merge(stack(tmp_path / "aligned"), tmp_path / "two")
    same(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(
    ("groups", "dtype"), [(["residual", "heads"], BFLOAT16), (["values"], FLOAT32)]
)
def test_sixteen_bits_stay_where_nothing_is_rounded(tmp_path, groups, dtype):
    for seed, name in enumerate(("base", "stranger")):
        random_model(tmp_path / name, seed=seed, options=Options(dtype="bfloat16"))
    asked = aligned(tmp_path, {"method": "weight_matching", "groups": groups})
    assert {tensor.info.dtype for tensor in plan_merge(asked).tensors} == {dtype}
    evomerge.merge(asked, tmp_path / "out")
    assert {each.dtype for each in tensors(tmp_path / "out").values()} == {dtype}


def test_a_vocabulary_that_is_only_padded_is_rearranged_after_the_model(models, tmp_path):
    evomerge.merge(aligned(models), tmp_path / "plain")
    padded = {"tokenizer": {"source": "base", "pad_to_multiple_of": 16}}
    asked = aligned(models, base_model=str(models / "base"), **padded)
    evomerge.merge(asked, tmp_path / "padded")
    before, after = tensors(tmp_path / "plain"), tensors(tmp_path / "padded")
    for name, tensor in before.items():
        np.testing.assert_array_equal(after[name][: len(tensor)], tensor)


def refused(tree) -> str:
    with pytest.raises((RecipeError, AlignmentError)) as error:
        plan_merge(tree)
    return str(error.value)


@pytest.mark.parametrize(
    ("align", "message"),
    [
        (
            "weigth_matching",
            "method: unknown aligner 'weigth_matching'; did you mean 'weight_matching'?",
        ),
        (
            {"method": "zipper", "mod": "rotation"},
            "zipper: unknown key 'mod'; did you mean 'mode'?",
        ),
    ],
)
def test_what_no_aligner_knows_is_refused(models, align, message):
    assert refused(aligned(models, align)).startswith(f"recipe.models.1.align: {message}")


def test_models_of_other_tokens_are_not_aligned(models):
    entries = [
        {"model": str(models / "base")},
        {"model": str(models / "other"), "align": "weight_matching"},
    ]
    found = refused(
        Recipe.from_tree({"merge_method": "linear", "models": entries, "tokenizer_source": "union"})
    )
    assert found.startswith("recipe.models.1.align: other and base have different tokens")
