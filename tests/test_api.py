"""Promises of the functions that Python programs call."""

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
from tests.search.tiny_runs import config, family


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


def loaded_by(program: str) -> set[str]:
    """The top-level modules in memory after ``program``."""
    program = (
        f"import sys, evomerge; {program}; print(*{{m.partition('.')[0] for m in sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_loads_nothing_heavy():
    assert loaded_by("pass").isdisjoint({"numpy", "torch", "pydantic", "numba"})


@pytest.mark.parametrize("name", ["Study", "merge", "search"])
def test_a_name_loads_neither_torch_nor_transformers(name):
    assert loaded_by(f"evomerge.{name}").isdisjoint({"torch", "transformers", "lm_eval", "optuna"})


@pytest.fixture(scope="module")
def models(module_folder):
    return family(module_folder / "models")


def searched(folder, models) -> dict[str, object]:
    """The config of a search of three trials, as a mapping; its files stand in ``folder``."""
    path = config(folder, models, simplify=False, budget={"trials": 3}, baselines="none")
    return json.loads(path.read_text()) | {"folder": str(folder)}


def test_a_search_is_a_study(tmp_path, models):
    study = evomerge.search(searched(tmp_path, models))
    assert isinstance(study, evomerge.Study)
    assert study.run == tmp_path / "run"
    assert len(study.stage("search")) == 3
    assert evomerge.Study.open(tmp_path / "run").trials == study.trials
    best = Recipe.read(study.run / "best.yaml")
    assert best.digest() in {Recipe.from_tree(trial.recipe).digest() for trial in study.trials}


def test_a_mapping_and_a_file_search_alike(tmp_path, models):
    tree = searched(tmp_path, models)
    file = tmp_path / "other.yaml"
    file.write_text(json.dumps(tree))
    first = evomerge.search(tree, run=tmp_path / "first", trials=2)
    second = evomerge.search(str(file), run=str(tmp_path / "second"), trials=2)
    assert first.header.digest == second.header.digest
    assert [trial.point for trial in first.trials] == [trial.point for trial in second.trials]
    assert [trial.scores for trial in first.trials] == [trial.scores for trial in second.trials]


def test_a_search_goes_on_where_it_was(tmp_path, models):
    tree = searched(tmp_path, models)
    whole = evomerge.search(tree, run=tmp_path / "whole")
    evomerge.search(tree, run=tmp_path / "parts", trials=1)
    with pytest.raises(EvomergeError, match="holds a run already"):
        evomerge.search(tree, run=tmp_path / "parts")
    parts = evomerge.resume(tmp_path / "parts", trials=3)
    assert [trial.scores for trial in parts.trials] == [trial.scores for trial in whole.trials]


class Watching:
    def __init__(self) -> None:
        self.trials, self.notes = [], []

    def began(self, stage, number):
        assert (stage, number) == ("search", len(self.trials))

    def ended(self, trial):
        self.trials.append(trial)

    def note(self, text):
        self.notes.append(text)


def test_a_watcher_is_told_of_every_trial(tmp_path, models):
    watcher = Watching()
    study = evomerge.search(searched(tmp_path, models), watcher=watcher)
    assert watcher.trials == list(study.trials)
    assert "search ended: the budget of 3 trials is spent" in watcher.notes


def test_a_mapping_that_is_no_config_is_refused_before_anything_is_made(tmp_path, models):
    tree = searched(tmp_path, models) | {"objectives": "prose"}
    with pytest.raises(RecipeError, match="config: objectives: unknown score 'prose'"):
        evomerge.search(tree)
    assert not (tmp_path / "run").exists()
