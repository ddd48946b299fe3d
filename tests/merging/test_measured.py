"""Merges that look at data, whole: from recipe to folder, and in a search."""

from __future__ import annotations

import numpy as np
import pytest

import evomerge
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.errors import RecipeError
from evomerge.measurements import of_model
from evomerge.measurements.kept import measurements_of
from evomerge.merging.plan import plan_merge
from evomerge.merging.stream import Options
from evomerge.methods.measured import GRAM
from evomerge.recipe import Recipe
from evomerge.workbench import Settings, Workbench
from tests.measurements.test_models import cache  # noqa: F401 - a folder of its own for each test
from tests.measurements.tiny import data, models, texts


def recipe(method, pair, file, **more):
    shown = {"file": str(file), "items": 6, "length": 12}
    listed = [{"model": str(each)} for each in pair]
    return Recipe.from_tree({"merge_method": method, "models": listed, "data": shown, **more})


def tensors(folder):
    source = open_checkpoint(str(folder))
    return {name: source.load(name) for name in source.names()}


@pytest.mark.parametrize("family", ["qwen2", "gpt2"])
def test_regmean_solves_linear_layers_and_averages_the_rest(tmp_path, family):
    pair, file = models(tmp_path, family), texts(tmp_path)
    asked = recipe("regmean", pair, file, parameters={"alpha": 1.0, "ridge": 1e-3})
    found = tensors(evomerge.merge(asked, tmp_path / "out"))
    known = [measurements_of(open_checkpoint(str(each)), GRAM, data(file), "cpu") for each in pair]
    one, other = map(tensors, pair)
    names = ("h.1.mlp.c_fc", "layers.1.self_attn.v_proj")
    checked = 0
    for name, merged in found.items():
        measured = [each.of(name) for each in known]
        if None in measured:
            np.testing.assert_allclose(merged, (one[name] + other[name]) / 2, atol=1e-6)
        elif name.endswith(tuple(f"{each}.weight" for each in names)):
            bias = name.replace("weight", "bias")
            layers = [extended(each[name], each[bias], family) for each in (one, other)]
            wanted = solved(layers, [each.read(slice(None)) for each in measured])
            whole = extended(merged, found[bias], family)
            np.testing.assert_allclose(whole, wanted, atol=1e-5)
            assert np.abs(wanted - (layers[0] + layers[1]) / 2).max() > 1e-3
            checked += 1
    assert checked == 1


def extended(weight, bias, family):
    return np.column_stack([weight.T if family == "gpt2" else weight, bias]).astype(np.float64)


def solved(layers, grams, ridge=1e-3):
    """(Σ Aᵢ Gᵢ + r M) (Σ Gᵢ + r I)⁻¹, r being the ridge times the mean of the diagonal."""
    grams = [each.astype(np.float64) / 2 for each in grams]
    unit = ridge * np.trace(sum(grams)) / len(grams[0]) * np.eye(len(grams[0]))
    mean = (layers[0] + layers[1]) / 2
    right = sum(a @ g for a, g in zip(layers, grams, strict=True)) + mean @ unit
    return right @ np.linalg.inv(sum(grams) + unit)


@pytest.mark.parametrize("method", ["fisher", "regmean"])
def test_neither_threads_nor_blocks_nor_the_workbench_change_a_bit(tmp_path, method):
    pair, file = models(tmp_path), texts(tmp_path)
    asked = recipe(method, pair, file)
    few, many = (Options(threads=n, block=b) for n, b in ((1, 1 << 20), (2, 1 << 16)))
    one = tensors(evomerge.merge(asked, tmp_path / "few", options=few))
    other = tensors(evomerge.merge(asked, tmp_path / "many", options=many))
    with Workbench(asked.references(), Settings(device="cpu", resident=True)) as bench:
        live = bench.build(asked).model.state_dict()
        for name, each in one.items():
            np.testing.assert_array_equal(other[name], each)
            np.testing.assert_array_equal(live[name].numpy(), each)


def test_candidates_of_a_search_share_the_measurements(tmp_path, monkeypatch):
    pair, file = models(tmp_path), texts(tmp_path)
    measure, measured = of_model.measure, []

    def counted(source, *rest):
        measured.append(source.label)
        measure(source, *rest)

    monkeypatch.setattr(of_model, "measure", counted)
    first = recipe("regmean", pair, file)
    with Workbench(first.references(), Settings(device="cpu", resident=True)) as bench:
        bench.build(first)
        merged = bench.merged
        bench.build(recipe("regmean", pair, file, parameters={"alpha": 0.5}))
        assert bench.merged == merged
        bench.build(recipe("regmean", pair, file, parameters={"alpha": 0.5}, seed=4))
        assert bench.merged == 0
        assert measured == ["one", "other"]
        bench.build(recipe("regmean", pair, texts(tmp_path, seed=1, name="b.jsonl")))
        assert bench.merged == merged
    assert measured == ["one", "other"] * 2


def test_each_model_may_have_its_own_texts(tmp_path):
    pair = models(tmp_path)
    files = [texts(tmp_path, seed=seed, name=f"{seed}.jsonl") for seed in range(2)]
    shown = [{"file": str(file), "items": 6, "length": 12} for file in files]
    listed = [{"model": str(m), "data": d} for m, d in zip(pair, shown, strict=True)]
    own = Recipe.from_tree({"merge_method": "regmean", "models": listed})
    assert [own.data_for(each).file for each in own.references()] == list(map(str, files))
    found = tensors(evomerge.merge(own, tmp_path / "own"))
    shared = tensors(evomerge.merge(recipe("regmean", pair, files[0]), tmp_path / "shared"))
    name = "model.layers.1.mlp.down_proj.weight"
    assert np.abs(found[name] - shared[name]).max() > 1e-5


def test_layers_of_a_stack_use_what_was_measured_where_they_come_from(tmp_path):
    pair, file = models(tmp_path), texts(tmp_path)
    first, second = ([{"model": str(m), "layer_range": [k, k + 1]} for m in pair] for k in (0, 1))
    tree = {"slices": [{"sources": each} for each in (first, second, second)]}
    tree |= {"merge_method": "regmean", "data": {"file": str(file), "items": 6, "length": 12}}
    stacked = tensors(evomerge.merge(Recipe.from_tree(tree), tmp_path / "stacked"))
    plain = tensors(evomerge.merge(recipe("regmean", pair, file), tmp_path / "plain"))
    part = "mlp.down_proj.weight"
    for number in (1, 2):
        np.testing.assert_array_equal(
            stacked[f"model.layers.{number}.{part}"], plain[f"model.layers.1.{part}"]
        )


def test_a_vocabulary_of_another_kind_is_refused(tmp_path):
    pair, file = models(tmp_path), texts(tmp_path)
    with pytest.raises(RecipeError, match=r"recipe\.tokenizer_source: regmean looks at models"):
        plan_merge(recipe("regmean", pair, file, tokenizer_source="union"))


def test_two_data_for_one_model_are_refused(tmp_path):
    source = {"model": "a", "layer_range": [0, 1]}
    slices = [{"sources": [{**source, "data": {"file": name}}]} for name in ("x", "y")]
    with pytest.raises(RecipeError, match="two different data for a; a model has one"):
        Recipe.from_tree({"merge_method": "passthrough", "slices": slices})
