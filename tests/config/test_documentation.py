"""What docs/config.md says is so: its keys, defaults and examples are those of the code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from inspect import Parameter, signature
from pathlib import Path

import pytest
import yaml

from evomerge.chain import folder as chain_folder
from evomerge.config.baselines import DARE_DENSITY, TIES_DENSITY
from evomerge.config.chained import ChainConfig, either_of
from evomerge.config.document import (
    BudgetSetting,
    Config,
    ModelSetting,
    ProbeSetting,
    SimplifySetting,
)
from evomerge.config.preparing import prepare
from evomerge.config.reading import read_config
from evomerge.config.remarks import ENOUGH_ITEMS
from evomerge.config.schema import schema
from evomerge.config.warm_starts import BEST
from evomerge.evaluators.base import Evaluator, evaluators, make_evaluator
from evomerge.export.winners import BEST as BEST_FILE
from evomerge.export.winners import SIMPLIFIED
from evomerge.goals import read_goals
from evomerge.optimizers import auto, catcma, generational, optuna
from evomerge.optimizers.base import Setup, make_optimizer, optimizers
from evomerge.space import FloatDimension, Space
from evomerge.study import folder
from evomerge.study.lock import LOCK
from tests.config.json_schema import complaints
from tests.search.tiny_runs import config, family

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "config.md").read_text("utf-8")
NEEDED = "needed"
COMMON = {field.name for field in fields(Evaluator)}
SETUP = Setup(Space([FloatDimension("parameters.lambda", 0.0, 2.0)]), seed=0)


def section(title: str) -> str:
    """What stands under a heading, up to the next one."""
    found = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##|\Z)", TEXT, flags=re.M | re.S)
    assert found, title
    return found[1]


def rows(title: str) -> list[list[str]]:
    """The cells of the table under a heading, without the line of its head."""
    lines = re.findall(r"^\| (.*) \|$", section(title), flags=re.M)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines[1:]]


def keys(title: str) -> dict[str, tuple[str, object]]:
    """By key: the default and the example that the table gives."""
    found = {}
    for name, default, _, example in rows(title):
        found[name.strip("`")] = (default.strip("`"), yaml.safe_load(example.strip("`")))
    return found


def written(value: object) -> str:
    """A default as the tables write it."""
    if value is None:
        return "—"
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()


def of_model(model: type) -> dict[str, str]:
    return {
        name: NEEDED if field.is_required() else written(field.default)
        for name, field in model.model_fields.items()
    }


def of_evaluator(name: str) -> dict[str, str]:
    return {
        field.name: NEEDED
        if field.default is field.default_factory is MISSING
        else written({} if field.default is MISSING else field.default)
        for field in fields(evaluators[name].make)
        if field.name not in COMMON
    }


def of_optimizer(name: str) -> dict[str, str]:
    return {
        parameter.name: written(parameter.default)
        for parameter in signature(optimizers[name].make).parameters.values()
        if parameter.kind is Parameter.KEYWORD_ONLY
    }


MODELS = {
    "All keys": Config,
    "Models": ModelSetting,
    "Budget": BudgetSetting,
    "Probe": ProbeSetting,
    "Simplification": SimplifySetting,
}


@pytest.mark.parametrize("title", MODELS)
def test_its_keys_and_defaults_are_those_of_the_config(title):
    assert {key: default for key, (default, _) in keys(title).items()} == of_model(MODELS[title])


@pytest.mark.parametrize("name", evaluators)
def test_its_keys_and_defaults_are_those_of_the_evaluator(name):
    assert {key: default for key, (default, _) in keys(name).items()} == of_evaluator(name)


def test_its_common_keys_are_those_of_all_evaluators():
    shared = {field.name: written(field.default) for field in fields(Evaluator)}
    assert {key: default for key, (default, _) in keys("Evaluators").items()} == shared


@pytest.mark.parametrize("name", optimizers)
def test_its_keys_and_defaults_are_those_of_the_optimizer(name):
    documented = keys(name) if re.search(rf"^### {name}$", TEXT, flags=re.M) else {}
    assert {key: default for key, (default, _) in documented.items()} == of_optimizer(name)


def test_its_optimizers_take_what_it_says():
    said = {row[0].strip("`"): row[2:] for row in rows("Optimizers")}
    assert said == {
        name: [
            str(optimizers[name].objectives or "any number"),
            "yes" if optimizers[name].choices else "no",
        ]
        for name in optimizers
    }


def test_every_example_of_a_key_is_taken():
    needed = {
        key: example for key, (default, example) in keys("All keys").items() if default == NEEDED
    }
    for key, (_, example) in keys("All keys").items():
        tree = {**needed, key: example}
        assert getattr(Config.model_validate(tree), key) is not None
        assert list(complaints(tree, schema(), schema())) == []
    for title in list(MODELS)[1:]:
        table = keys(title)
        MODELS[title].model_validate({key: example for key, (_, example) in table.items()})


@pytest.mark.parametrize("name", evaluators)
def test_every_example_of_an_evaluators_key_is_taken(name):
    table = keys("Evaluators") | keys(name)
    made = make_evaluator({"name": name, **{key: example for key, (_, example) in table.items()}})
    assert {key for key, (_, example) in table.items() if getattr(made, key) is not None} == set(
        table
    )


@pytest.mark.parametrize("name", ["cma", "catcma", "optuna", "ga"])
def test_every_example_of_an_optimizers_key_is_taken(name):
    for key, (_, example) in keys(name).items():
        base = {"sampler": "nsga2"} if name == "optuna" else {}
        make_optimizer({"name": name, **base, key: example}, SETUP)


def test_its_objectives_are_read_as_it_says():
    forms = [yaml.safe_load(row[0].strip("`")) for row in rows("Objectives and constraints")[:4]]
    goals = [read_goals(form) for form in forms]
    assert [each.pareto for each in goals] == [False, True, False, False]
    assert [list(each.weights.values()) for each in goals] == [[1], [1, 1], [1, 0.5], [0.5, 0.5]]


def test_its_numbers_are_those_of_the_code():
    words = " ".join(TEXT.split())
    assert f"up to {auto.FEW_DIMENSIONS} dimensions" in words
    assert f"up to {auto.FEW_TRIALS} trials" in words
    assert f"beyond {auto.SLOW_GP}" in words
    assert f"{generational.NARROW} around a known point, {generational.WIDE} around" in words
    assert f"at least {catcma.SMALLEST_POPULATION}" in words
    assert f"by default {optuna.POPULATION}" in words
    assert f"TIES with weight 1 and density {TIES_DENSITY}" in words
    assert f"that sum to 1 and density {DARE_DENSITY}" in words
    assert f"Give it {ENOUGH_ITEMS} items" in words
    assert f"its {['none', 'one', 'two', 'three', 'four', 'five'][BEST]} best" in words


def yaml_blocks() -> Iterator[Mapping[str, object]]:
    for text in re.findall(r"^```yaml\n(.*?)^```", TEXT, flags=re.M | re.S):
        yield yaml.safe_load(text)


def test_its_example_is_a_config():
    tree, _ = yaml_blocks()
    assert Config.model_validate(tree).finalists == 3
    assert list(complaints(tree, schema(), schema())) == []
    goals = read_goals(tree["objectives"], tree["constraints"])
    assert set(goals.names) == set(tree["evaluators"])
    assert set(goals.weights) == set(tree["holdout"])


def test_its_chain_is_one(tmp_path):
    _, tree = yaml_blocks()
    assert list(complaints(tree, schema(), schema())) == []
    chain = either_of(tree)
    assert isinstance(chain, ChainConfig)
    first, last = (chain.stage(name).config for name in chain.stages)
    assert (first.finalists, first.simplify) == (0, False)
    assert (last.finalists, last.simplify) == (3, True)
    files = [row[0].replace("`", "").split(", ") for row in rows("Chains")]
    assert [f"{chain.place(name)}/" for name in chain.stages] in files
    for name in (chain_folder.CHAIN, f"{chain_folder.MODELS}/", LOCK):
        assert [name] in files


def test_the_files_of_a_run_are_those_it_names():
    there = {folder.CONFIG, folder.ENVIRONMENT, folder.LEDGER, LOCK, BEST_FILE, SIMPLIFIED}
    there |= {f"{folder.ITEMS}/", f"{folder.FRONT}/"}
    assert {row[0].strip("`") for row in rows("The run folder")} == there


def test_what_cannot_change_within_a_run_is_what_it_lists(tmp_path):
    models = family(tmp_path / "models")
    prepared = prepare(read_config(config(tmp_path, models, probe={"items": 4})))
    listed = section("Resuming").partition("cannot change within it: ")[2].partition(". For")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(prepared.covers)


def test_its_function_is_an_evaluator(tmp_path):
    (text,) = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.M | re.S)
    (tmp_path / "mine.py").write_text(text)
    made = make_evaluator({"name": "python", "function": f"{tmp_path}/mine.py:score"})
    made.check()
