"""What changed in a config is said in words, place by place."""

from __future__ import annotations

import copy
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import SearchError
from evomerge.study import Study, differences
from tests.study.ordinary import COVERS
from tests.study.strategies import MAPPINGS


@given(MAPPINGS)
def test_nothing_differs_from_itself(tree):
    assert differences(tree, tree) == []
    assert differences(tree, json.loads(json.dumps(tree))) == []


@given(st.data(), MAPPINGS, MAPPINGS)
def test_equal_digests_and_no_differences_are_one(data, old, new):
    same = json.dumps(whole_numbers(old)) == json.dumps(whole_numbers(new))
    assert (differences(old, new) == []) is same
    shuffled = dict(data.draw(st.permutations(list(old.items()))))
    assert (differences(old, shuffled) == []) is (list(old) == list(shuffled))


def whole_numbers(tree: object) -> object:
    """An independent spelling: floats that are whole, as integers."""
    return json.loads(
        json.dumps(tree), parse_float=lambda t: int(float(t)) if float(t) % 1 == 0 else float(t)
    )


MODELS = "recipe.models[1].parameters"
CHANGES = {
    f"{MODELS}.weight: search [0, 1] became [0, 1.5]": (
        lambda c: c["recipe"]["models"][1]["parameters"]["weight"].update(search=[0, 1.5])
    ),
    f"{MODELS}: weight {{search: [0, 1], knots: 3}} became 0.5": (
        lambda c: c["recipe"]["models"][1]["parameters"].update(weight=0.5)
    ),
    f"{MODELS}.weight: knots was removed; it was 3": (
        lambda c: c["recipe"]["models"][1]["parameters"]["weight"].pop("knots")
    ),
    "recipe.models[2]: was added: {model: base}": (
        lambda c: c["recipe"]["models"].append({"model": "base"})
    ),
    "recipe.models[1]: was removed; it was {model: words, parameters: {weight: {search: [0, 1], "
    "knots: 3}}}": lambda c: c["recipe"]["models"].pop(),
    f"models.sums: fingerprint {'a' * 32} became {'c' * 32}": (
        lambda c: c["models"]["sums"].update(fingerprint="c" * 32)
    ),
    "evaluators: prose was added: {name: perplexity, file: prose.txt}": (
        lambda c: c["evaluators"].update(prose={"name": "perplexity", "file": "prose.txt"})
    ),
    "evaluators.sums: limit 200 became 100": lambda c: c["evaluators"]["sums"].update(limit=100),
    "evaluators.sums: limit 200 became null": lambda c: c["evaluators"]["sums"].update(limit=None),
    "evaluators.sums: limit 200 became true": lambda c: c["evaluators"]["sums"].update(limit=True),
    "objectives: [sums] became [sums, prose]": lambda c: c["objectives"].append("prose"),
    "objectives: [sums] became {sums: 1}": lambda c: c.update(objectives={"sums": 1}),
    "constraints: {prose: {max: 3.2}} became null": lambda c: c.update(constraints=None),
    "seed: 7 became 8": lambda c: c.update(seed=8),
    "models: the order sums, words became words, sums": (
        lambda c: c["models"].update(sums=c["models"].pop("sums"))
    ),
    "config: the order recipe, models, evaluators, objectives, constraints, optimizer, seed, "
    "lookahead, warm_start became models, evaluators, objectives, constraints, optimizer, seed, "
    "lookahead, warm_start, recipe": lambda c: c.update(recipe=c.pop("recipe")),
}


@pytest.mark.parametrize("words", CHANGES)
def test_a_change_is_named_by_its_place(words):
    changed = copy.deepcopy(COVERS)
    CHANGES[words](changed)
    assert differences(COVERS, changed) == [words]


def test_every_change_is_named_and_long_values_are_shortened():
    changed = {**COVERS, "seed": 8, "lookahead": 4, "warm_start": ["x" * 200]}
    first, second, third = differences(COVERS, changed)
    assert (first, second) == ("seed: 7 became 8", "lookahead: 1 became 4")
    assert third == f"warm_start: [] became [{'x' * 70}…"


def test_numbers_count_by_value():
    assert differences({"sigma": 1, "on": True}, {"sigma": 1.0, "on": True}) == []
    assert differences({"on": True}, {"on": 1}) == ["on: true became 1"]


def test_a_run_of_another_config_is_refused_and_each_difference_named(run):
    study = Study.open(run)
    study.check(copy.deepcopy(COVERS))
    told = (
        f"{run}: was begun under another config:\n"
        "       seed: 7 became 8\n"
        "       lookahead: 1 became 4\n"
        "       put that back, or begin a new run that learns from this one: "
        f"evomerge search CONFIG --run NEW --warm-start {run}"
    )
    with pytest.raises(SearchError, match=f"^{re.escape(told)}$"):
        study.check({**COVERS, "seed": 8, "lookahead": 4})
