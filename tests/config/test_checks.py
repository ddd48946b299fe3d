"""The parts of a config fit together, or are refused."""

from __future__ import annotations

import pytest

from evomerge.config.checks import check_budget, check_merge, check_place
from evomerge.config.document import BudgetSetting
from evomerge.config.preparing import prepare
from evomerge.errors import EvomergeError, MissingExtra, RecipeError, UnknownMetric, placed
from evomerge.recipe import Recipe
from evomerge.workbench import Settings

TEXT = {"name": "perplexity", "file": "text.txt", "window": 32}


@pytest.mark.parametrize("key", ["trials", "hours", "patience", "target"])
def test_any_limit_is_a_budget(key):
    check_budget(BudgetSetting(**{key: 1}))


def test_no_limit_is_none():
    with pytest.raises(RecipeError, match=r"config.budget: nothing ends this search"):
        check_budget(BudgetSetting())


def test_the_devices_of_this_machine_are_taken():
    check_place(Settings(device="cpu"))
    check_place(Settings(device="auto"))
    with pytest.raises(RecipeError, match=r"config.device: torch finds no device 'cuda:99' here"):
        check_place(Settings(device="cuda:99"))


def test_a_holdout_has_other_items_than_the_search(located):
    prepare(located())
    prepare(located(holdout={"text": {**TEXT, "window": 16}}))
    with pytest.raises(RecipeError, match=r"holdout.text: the same as evaluators.text"):
        prepare(located(holdout={"text": dict(TEXT)}))


def test_what_has_no_items_may_stand_in_both(located):
    size = {"size": {"name": "cost", "metric": "layers"}}
    evaluators, holdout = {"text": TEXT} | size, {"text": {**TEXT, "window": 16}} | size
    prepared = prepare(located(evaluators=evaluators, holdout=holdout, objectives=["text", "size"]))
    assert prepared.holdout.keys() == {"text", "size"}


def test_models_that_are_open_are_not_opened_again_and_others_are_closed(located):
    prepared = prepare(located())
    references = prepared.kin.references
    opened = {references["words"]: prepared.sources["words"]}
    models = [
        {"model": references[alias].written(), "parameters": {"weight": 1}}
        for alias in ("words", "sums")
    ]
    recipe = Recipe.from_tree({"merge_method": "linear", "models": models})
    check_merge(recipe, opened)
    assert list(opened) == [references["words"]]
    prepared.sources["words"].load(prepared.sources["words"].names()[0])  # still open


def test_auto_knows_stacks_of_layers(located):
    stack = {"models": ["base", "words"], "encoding": "path", "keep": 0}
    prepared = prepare(located(recipe={"merge_method": "passthrough", "slices": {"stack": stack}}))
    assert prepared.optimizer == {"name": "ga"}
    assert any("changes stacks as stacks" in remark for remark in prepared.remarks())


@pytest.mark.parametrize("setting", ["auto", {"name": "auto"}])
def test_auto_takes_a_name_and_nothing_else(located, setting):
    assert prepare(located(optimizer=setting)).reason
    with pytest.raises(RecipeError, match="optimizer: auto takes no keys of its own"):
        prepare(located(optimizer={"name": "auto", "population": 8}))


@pytest.mark.parametrize(
    "error", [RecipeError("x"), UnknownMetric("x"), MissingExtra("x", "lm-eval", "lm-eval")]
)
def test_an_error_keeps_its_kind_when_it_is_placed(error):
    found = placed(error, "config.yaml")
    assert isinstance(found, EvomergeError)
    assert (type(found), str(found)) == (type(error), f"config.yaml: {error}")
