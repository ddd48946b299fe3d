"""Promises of the two functions that Python programs call."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import evomerge
from evomerge.errors import EvomergeError, OutputError, RecipeError
from evomerge.merging.stream import Options
from evomerge.recipe import Recipe
from tests.merging.tiny import UP, collected, llama, model, of_layer, plan_of, recipe


@pytest.fixture
def tree(tmp_path):
    folders = [model(tmp_path / name, llama(seed)) for seed, name in enumerate("abc")]
    return recipe("dare_ties", *folders[1:], base=folders[0], weight=1, density=0.5, seed=3)


@pytest.fixture
def file(tmp_path, tree):
    """The recipe in YAML, which JSON is."""
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(tree))
    return path


def test_a_merge_is_a_folder(tree, file, tmp_path):
    out = evomerge.merge(file, tmp_path / "out")
    assert out == tmp_path / "out"
    found = load_file(out / "model.safetensors")
    expected = collected(plan_of(tree))
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
    assert json.loads((out / "config.json").read_text())["num_hidden_layers"] == 2


@pytest.mark.parametrize("kind", [str, Path, Recipe.read])
def test_a_recipe_is_a_path_or_a_recipe(file, kind):
    found = dict(evomerge.tensors(kind(file)))
    assert isinstance(found[of_layer(0, UP)], torch.Tensor)


def test_tensors_are_those_of_the_folder(file, tmp_path):
    out = evomerge.merge(str(file), str(tmp_path / "out"))
    written = load_file(out / "model.safetensors")
    for name, tensor in evomerge.tensors(file):
        np.testing.assert_array_equal(tensor.numpy(), written[name])


def test_weights_are_cut_into_shards(file, tmp_path):
    out = evomerge.merge(file, tmp_path / "out", shard_bytes=500)
    assert len(list(out.glob("model-*.safetensors"))) > 1
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == {name for name, _ in evomerge.tensors(file)}


def test_a_model_that_stands_there_is_replaced_only_if_asked(file, tmp_path):
    out = evomerge.merge(file, tmp_path / "out")
    with pytest.raises(OutputError, match="exists"):
        evomerge.merge(file, out)
    assert evomerge.merge(file, out, force=True) == out


def test_options_are_handed_on(tree, tmp_path):
    spoilt = llama(9)
    spoilt[of_layer(0, UP)][0, 0] = np.nan
    folder = model(tmp_path / "spoilt", spoilt)
    asked = Recipe.from_tree(recipe("passthrough", folder))
    with pytest.raises(EvomergeError, match="spoilt holds NaN"):
        evomerge.merge(asked, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    out = evomerge.merge(asked, tmp_path / "out", options=Options(allow_nan=True))
    assert np.isnan(load_file(out / "model.safetensors")[of_layer(0, UP)][0, 0])
    with pytest.raises(EvomergeError, match="spoilt holds NaN"):
        list(evomerge.tensors(asked))
    assert dict(evomerge.tensors(asked, options=Options(allow_nan=True)))


def test_a_recipe_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"missing\.yaml: cannot be read"):
        evomerge.merge(tmp_path / "missing.yaml", tmp_path / "out")


def test_everything_promised_is_there():
    for name in evomerge.__all__:
        assert getattr(evomerge, name).__name__ == name
    with pytest.raises(AttributeError, match="'evomerge' has no attribute 'marge'"):
        evomerge.marge  # noqa: B018


def test_importing_loads_nothing_heavy():
    program = "import sys, evomerge; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert {"numpy", "torch", "pydantic", "numba"}.isdisjoint(done.stdout.split())
