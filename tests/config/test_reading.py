"""Where a config's paths count from, and that its copy in a run folder means the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from evomerge.config.preparing import prepare
from evomerge.config.reading import read_config
from evomerge.errors import RecipeError
from evomerge.recipe import ModelReference
from evomerge.study import Header


def test_paths_count_from_the_folder_of_the_config(located, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    found = located(run="runs/first")
    assert found.run == tmp_path / "runs" / "first"
    assert prepare(found).evaluators["text"].file == tmp_path / "text.txt"


def test_a_relative_path_to_the_config_finds_the_same(located, tmp_path, monkeypatch):
    there = located()
    monkeypatch.chdir(tmp_path.parent)
    here = read_config(Path(tmp_path.name, "config.yaml"))
    assert here.folder == there.folder
    assert here.path == Path(tmp_path.name, "config.yaml")  # messages name it as it was typed


def test_the_key_folder_says_where_they_count_from_instead(located, tmp_path):
    assert located(folder="models").run == tmp_path / "models" / "run"
    assert located(folder="..").run.resolve() == tmp_path.parent / "run"
    assert located(folder="/elsewhere").run == Path("/elsewhere/run")


def test_home_is_home(located, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert located(run="~/runs/x").run == Path("/home/me/runs/x")
    assert located(folder="~/merges").run == Path("/home/me/merges/run")


def test_folders_are_told_from_ids_of_hugging_face(located, tmp_path):
    (tmp_path / "here").mkdir()
    models = {"a": "here", "b": "someone/model@v2", "c": "./gone", "d": "here+lora", "e": "a/b/c"}
    found = located(models=models)
    assert [found.reference(alias) for alias in models] == [
        ModelReference(f"{tmp_path}/here"),
        ModelReference("someone/model", "v2"),
        ModelReference(f"{tmp_path}/gone"),
        ModelReference(f"{tmp_path}/here", None, "lora"),
        ModelReference(f"{tmp_path}/a/b/c"),
    ]


def test_a_model_by_its_parts_is_the_one_on_a_line(located):
    parts = {
        "model": "some/model",
        "revision": "v2",
        "adapter": "some/lora",
        "adapter_revision": "1",
    }
    found = located(models={"line": "some/model@v2+some/lora@1", "parts": parts})
    assert found.reference("line") == found.reference("parts")


@pytest.mark.parametrize("name", ["a@b", "a+b", "a[b", ""])
def test_aliases_can_stand_in_the_names_of_dimensions(located, name):
    with pytest.raises(RecipeError, match=r"config.yaml: config.models"):
        located(models={name: "x"})


def test_a_recipe_may_stand_in_a_file_of_its_own(located, tmp_path):
    inside = located()
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "mine.yaml").write_text(yaml.safe_dump(inside.config.recipe))
    assert located(recipe="recipes/mine.yaml").config.recipe == inside.config.recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- base\n", r"config.yaml: config.recipe: mine.yaml holds no recipe"),
        ("models: [base\n", r"config.yaml: config.recipe: .*mine.yaml: recipe: line 2, column 1: "),
        ("\xff", r"config.yaml: config.recipe: .*mine.yaml: not a text file in UTF-8"),
    ],
)
def test_what_is_wrong_with_that_file_names_both(located, tmp_path, text, message):
    (tmp_path / "mine.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(RecipeError, match=message):
        located(recipe="mine.yaml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objectives": []}, "objectives: found none"),
        ({"objectives": 3}, "config.objectives: found 3; expected text"),
        ({"objectives": ["text", 3]}, "config.objectives.1: found 3; expected text"),
        ({"constraints": {"text": {}}}, "constraints.text: found {}; expected {min"),
        ({"simplify": "no way"}, "config.simplify: found 'no way'; expected true or false"),
        ({"simplify": {"steps": 0}}, "config.simplify.steps: found 0; expected a value greater"),
        ({"warm_start": [3]}, "config.warm_start.0: found 3; expected text"),
        ({"warm_start": "runs/x"}, "config.warm_start: found 'runs/x'; expected a list"),
        ({"optimizer": ["cma"]}, "config.optimizer: found ['cma']; expected text"),
        ({"models": {}}, "config.models: found {}; expected at least one entry"),
        ({"models": {"base": {"revision": "v2"}}}, "config.models.base.model: missing"),
        ({"evaluators": {"text": "perplexity"}}, "evaluators.text: found 'perplexity'; expected a"),
        ({"seed": 1.5}, "config.seed: found 1.5; expected a whole number"),
        ({"seed": -1}, "config.seed: found -1; expected a value greater than or equal to 0"),
        ({"budget": {"hours": "one"}}, "config.budget.hours: found 'one'; expected a number"),
        ({"resident": "maybe"}, "config.resident: found 'maybe'; expected true or false"),
        ({"baselines": "none at all"}, "config.baselines: found 'none at all'; expected a value"),
    ],
    ids=str,
)
def test_a_value_that_is_none_is_named_with_its_place(located, tmp_path, changes, message):
    with pytest.raises(RecipeError) as error:
        located(**changes)
    assert str(error.value).startswith(f"{tmp_path / 'config.yaml'}: ")
    assert message in str(error.value)


def test_a_written_copy_covers_the_same_wherever_it_stands(located, tmp_path):
    first = located(warm_start=[{"models[words].parameters.weight": 0.25}], optimizer="auto")
    prepared = prepare(first)
    copy = tmp_path / "elsewhere" / "run" / "config.yaml"
    copy.parent.mkdir(parents=True)
    copy.write_text(first.written(run=str(copy.parent), optimizer=dict(prepared.optimizer)))
    again = prepare(read_config(copy))
    assert Header.make(again.covers).digest == Header.make(prepared.covers).digest
    assert [start.recipe for start in again.starts] == [start.recipe for start in prepared.starts]
    assert again.located.run == copy.parent
    assert (prepared.reason != "", again.reason) == (True, "")  # `auto` was resolved once


def test_what_decides_the_trials_is_covered(located):
    before = Header.make(prepare(located()).covers).digest
    for change in (
        {"seed": 1},
        {"lookahead": 2},
        {"objectives": {"text": 2}},
        {"constraints": {"text": {"max": 9}}},
        {"optimizer": {"name": "optuna", "sampler": "random"}},
        {"evaluators": {"text": {"name": "perplexity", "file": "text.txt", "window": 16}}},
        {"warm_start": [{"models[words].parameters.weight": 0.25}]},
        {"baselines": "none"},
    ):
        assert Header.make(prepare(located(**change)).covers).digest != before, change
    for change in ({"budget": {"trials": 9}}, {"finalists": 1}, {"threads": 2}, {"run": "other"}):
        assert Header.make(prepare(located(**change)).covers).digest == before, change


def test_one_hole_with_two_places_stays_one_in_the_copy(located, tmp_path):
    hole = {"search": [0, 1]}
    models = [{"model": alias, "parameters": {"weight": hole}} for alias in ("words", "sums")]
    text = yaml.safe_dump({"merge_method": "linear", "models": models})
    assert "&id" in text
    (tmp_path / "mine.yaml").write_text(text)
    first = located(recipe="mine.yaml")
    assert len(prepare(first).template.space) == 1
    (tmp_path / "copy.yaml").write_text(first.written())
    assert len(prepare(read_config(tmp_path / "copy.yaml")).template.space) == 1


def test_the_copy_holds_what_was_said_and_no_defaults(located):
    tree = yaml.safe_load(located(device="cpu").written(run="/runs/x"))
    assert tree["device"] == "cpu"
    assert tree["run"] == "/runs/x"
    assert "lookahead" not in tree
    assert json.dumps(tree)  # plain data
