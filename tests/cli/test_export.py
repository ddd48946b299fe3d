"""Promises of ``evomerge export``."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from evomerge.api import tensors
from evomerge.evidence import best_of
from evomerge.recipe import Recipe
from evomerge.study import Study
from tests.report.studies import Book, finished, ties
from tests.report.trials import failed

HERE = Path()


@pytest.fixture
def run(work) -> Study:
    """A finished run of the models in the current folder."""
    models = [str(work / name) for name in ("base", "maths", "code")]
    return finished(work / "run", trials=8, models=models)


def listing() -> set[str]:
    return {path.name for path in HERE.iterdir()}


def test_the_best_recipe_is_written_and_named(run, evomerge):
    best = best_of(run)
    for words in ([], ["--best"], ["--trial", best.number]):
        said = evomerge("export", "run", "out.yaml", *words, "--force")
        assert said == (0, f"out.yaml: trial {best.number} of ties\n", "")
        assert Recipe.read("out.yaml").digest() == Recipe.from_tree(best.recipe).digest()


def test_the_front_is_a_folder_with_a_table(work, evomerge):
    finished(work / "run", trials=8, objectives=["sums", "words"])
    code, out, err = evomerge("export", "run", "front", "--front")
    assert (code, err) == (0, "")
    assert out.startswith("front: trial")
    assert Path("front/README.md").read_text().startswith("# The front of run\n")
    assert list(Path("front").glob("trial-*.yaml"))


def test_the_model_is_what_evomerge_merge_makes_of_the_file(work, evomerge):
    """Of masks that are drawn, too: bit for bit."""
    book = Book(work / "run", models=["base", "maths", "code"])
    tree = {**ties("base", "maths", "code"), "merge_method": "dare_ties", "seed": 3}
    tree["parameters"] = {"density": 0.5}
    book.add(recipe=tree, answers=book.answers(0.5, 0.5))
    code, out, err = evomerge("export", "run", "out.yaml", "--trial", 0, "--model", "model")
    assert code == 0
    assert out == "out.yaml: trial 0 of dare_ties\nmodel: the model\n"
    first, second = err.splitlines()
    assert first.startswith("warning: mergekit does not know seed: 3:")
    assert "draws the masks of dare_ties anew" in second
    assert evomerge("merge", "out.yaml", "merged")[0] == 0
    made = Path("model/model.safetensors").read_bytes()
    assert made == Path("merged/model.safetensors").read_bytes()
    scored = dict(tensors(Recipe.from_tree(tree)))
    exported = dict(tensors("out.yaml"))
    assert scored.keys() == exported.keys()
    assert all(scored[name].equal(exported[name]) for name in scored)


def in_slices(first, second, *models):
    """A recipe whose two layers have a method each."""
    slices = [
        {"sources": [{"model": each, "layer_range": [i, i + 1]} for each in models]} for i in (0, 1)
    ]
    slices[1]["merge_method"] = second
    tree = {"merge_method": first, "base_model": models[0], "slices": slices}
    return {**tree, "parameters": {"weight": 0.5}, "dtype": "float32"}


def test_a_recipe_of_two_methods_leaves_as_a_model_and_in_steps(work, evomerge):
    book = Book(work / "run", models=["base", "maths", "code"])
    tree = in_slices("ties", "linear", "base", "maths", "code")
    book.add(recipe=tree, answers=book.answers(0.5, 0.5))
    places = ["--model", "model", "--multi", "steps.yaml"]
    code, out, err = evomerge("export", "run", "out.yaml", *places)
    assert code == 0
    assert out.splitlines() == [
        "out.yaml: trial 0 of ties and linear",
        "model: the model",
        "steps.yaml: the same in steps, for mergekit-multi",
    ]
    assert err.startswith("warning: mergekit does not know more than one merge_method")
    names = [each.get("name") for each in yaml.safe_load_all(Path("steps.yaml").read_text())]
    assert names == ["layers-0-1", "layers-1-2", None]
    code, out, _ = evomerge("merge", "out.yaml", "merged")
    assert (code, out.partition(",")[0]) == (0, "merged: ties and linear")
    made = Path("model/model.safetensors").read_bytes()
    assert made == Path("merged/model.safetensors").read_bytes()


def test_the_file_may_be_moved(run, evomerge, monkeypatch):
    assert evomerge("export", "run", "out.yaml")[0] == 0
    moved = Path("elsewhere")
    moved.mkdir()
    Path("out.yaml").rename(moved / "out.yaml")
    monkeypatch.chdir(moved)
    assert evomerge("merge", "out.yaml", "merged")[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "out.yaml"], "nowhere/study.jsonl: no such file; name the folder of a run"),
        (["run", "out.yaml", "--trial", 99], "run: has no trial 99; it has trials 0 to "),
        (["run", "out.yaml", "--simplified"], "run: has no simplified winner; leave out "),
        (["run", "base/config.json"], "base/config.json: exists; choose another or add --force"),
        (["run", "base", "--front", "--force"], "base: holds more than recipes (config.json)"),
        (["run", "out.yaml", "--front", "--best"], "export: give one of --best, --simplified, "),
        (["run", "front", "--front", "--model", "m"], "export: --model writes one model; choose "),
        (["run", "front", "--front", "--multi", "m"], "export: --multi writes one recipe; choose "),
        (["run", "out.yaml", "--multi", "base"], "base: is a folder; name a file"),
        (["run", "out.yaml", "--multi", "m.yaml"], "m.yaml: the recipe has one method; mergekit-"),
        (["run", "out.yaml", "--model", "base"], "/base: exists and is not empty; choose another "),
    ],
)
def test_what_cannot_be_exported_is_refused_and_nothing_is_written(words, message, run, evomerge):
    before = listing()
    code, out, err = evomerge("export", *words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert listing() == before


def test_steps_that_make_another_model_are_not_written(work, evomerge):
    book = Book(work / "run", models=["base", "maths", "code"])
    methods = [{"filter": "mlp", "value": "task_arithmetic"}, {"value": "ties"}]
    tree = {**ties("base", "maths", "code"), "merge_method": methods}
    book.add(recipe=tree, answers=book.answers(0.5, 0.5))
    code, _, err = evomerge("export", "run", "out.yaml", "--multi", "steps.yaml")
    assert code == 2
    assert "steps.yaml: no file for mergekit-multi makes this model: the method differs" in err
    assert {"out.yaml", "steps.yaml"}.isdisjoint(listing())


def test_where_nothing_is_feasible_that_is_said(work, evomerge):
    book = Book(work / "run")
    book.add(failure=failed(0).failure)
    code, _, err = evomerge("export", "run", "out.yaml")
    assert code == 2
    assert "none of 1 trials has all scores and meets all constraints" in err
    assert not Path("out.yaml").exists()


def test_a_recipe_that_cannot_be_merged_leaves_no_file(work, evomerge):
    book = Book(work / "run")
    book.add(recipe=ties("base", "./gone"), answers=book.answers(0.5, 0.5))
    code, _, err = evomerge("export", "run", "out.yaml", "--model", "model")
    assert code == 2
    assert "gone" in err
    assert {"out.yaml", "model"}.isdisjoint(listing())
