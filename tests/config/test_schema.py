"""The schema of a config takes what a config may say, and explains each key."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from evomerge.cli.main import main
from evomerge.config.chained import OF_A_STAGE, STAGE_KEYS, STAGES, TOP_KEYS
from evomerge.config.document import BudgetSetting, Config, ModelSetting, SimplifySetting
from evomerge.config.schema import attributes, schema
from evomerge.optimizers.base import Setup
from tests.config.json_schema import complaints

SPACES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
SCHEMA = schema()
SMALLEST = {
    "models": {"base": "models/base"},
    "recipe": "recipe.yaml",
    "evaluators": {"prose": {"name": "perplexity"}},
    "objectives": "prose",
    "budget": {"trials": 1},
}


def found(**changes: object) -> list[str]:
    """What is wrong with the smallest config after these changes."""
    return list(complaints({**SMALLEST, **changes}, SCHEMA, SCHEMA))


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_every_search_space_is_valid(path):
    assert list(complaints(yaml.safe_load(path.read_text("utf-8")), SCHEMA, SCHEMA)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"optimiser": "cma"}, "config.optimiser: enum"),
        ({"budget": {"trails": 3}}, "config.budget.trails: enum"),
        ({"budget": {"trials": 0}}, "config.budget.trials: anyOf"),
        ({"seed": "seven"}, "config.seed: type"),
        ({"seed": -1}, "config.seed: minimum"),
        ({"baselines": "some"}, "config.baselines: enum"),
        ({"models": {}}, "config.models: minProperties"),
        ({"models": {"base": {"revision": "main"}}}, "config.models.base: oneOf"),
        ({"objectives": {"prose": "much"}}, "config.objectives: oneOf"),
        ({"simplify": {"steps": 0}}, "config.simplify: oneOf"),
        ({"warm_start": ["a.yaml", 3]}, "config.warm_start.1: oneOf"),
    ],
)
def test_what_is_wrong_is_found(changes, expected):
    assert found() == []
    assert found(**changes) == [expected]


def test_what_must_be_there_is_what_a_config_needs():
    needed = {name for name, field in Config.model_fields.items() if field.is_required()}
    assert set(SCHEMA["else"]["required"]) == needed == set(SMALLEST)


STAGE = {"recipe": "recipe.yaml", "optimizer": "cma", "budget": {"trials": 3}}


@pytest.mark.parametrize(
    ("stages", "changes", "expected"),
    [
        ({"blend": STAGE, "stack": {**STAGE, "models": {"other": "o"}, "seed": 3}}, {}, []),
        ({"blend": STAGE}, {"budget": None, "evaluators": None, "objectives": None}, []),
        ({}, {}, ["config.stages: minProperties"]),
        ({"blend": {"budget": {"trials": 3}}}, {}, ["config.stages.blend: required"]),
        ({"blend": {**STAGE, "run": "x"}}, {}, ["config.stages.blend.run: enum"]),
        ({"a b": STAGE}, {}, ["config.stages.a b: pattern"]),
        ({"blend": STAGE}, {"recipe": "recipe.yaml"}, ["config.recipe: enum"]),
        ({"blend": STAGE}, {"models": None}, ["config: required"]),
    ],
)
def test_a_chain_may_say_what_a_chain_may_say(stages, changes, expected):
    tree = {**SMALLEST, "recipe": None, **changes, "stages": stages}
    tree = {key: value for key, value in tree.items() if value is not None}
    assert list(complaints(tree, SCHEMA, SCHEMA)) == expected


def test_a_stage_has_the_keys_that_the_code_takes():
    stage = SCHEMA["$defs"]["Stage"]
    assert set(stage["properties"]) == set(STAGE_KEYS)
    assert set(SCHEMA["properties"]) == {*TOP_KEYS, *OF_A_STAGE}
    assert all(key["description"] for key in stage["properties"].values())


@pytest.mark.parametrize("part", [Config, BudgetSetting, ModelSetting, SimplifySetting])
def test_every_key_is_explained_in_one_line(part):
    tree = SCHEMA if part is Config else SCHEMA["$defs"][part.__name__]
    assert set(tree["properties"]) - {STAGES} == set(attributes(part)) == set(part.model_fields)
    for text in [tree["description"], *(key["description"] for key in tree["properties"].values())]:
        assert text.endswith((".", "…"))
        assert not {"\n", "``", "Attributes"} & {text, *text.split()}


def test_an_explanation_of_several_lines_is_one():
    assert attributes(Config)["models"] == (
        "short names, used in the recipe: a folder or a Hugging Face id, with ``@revision`` and "
        "``+adapter``, or a mapping of these parts."
    )


def test_only_attributes_are_read():
    class Described:
        """A class.

        Attributes:
            one: first,
                on two lines.
            two: second: with a colon.

        Raises:
            three: never.
        """

    assert attributes(Described) == {"one": "first, on two lines.", "two": "second: with a colon."}
    assert attributes(Setup)["seed"] == "of everything that it draws."
    assert attributes(type("Undescribed", (), {})) == {}


def test_the_verb_prints_it(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["evomerge", "schema"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA
