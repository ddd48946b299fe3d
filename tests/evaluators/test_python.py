"""Promises of the evaluator that calls a function of the user's own."""

from __future__ import annotations

import pytest

from evomerge.errors import EvaluationError, RecipeError
from evomerge.evaluators.base import make_evaluator
from evomerge.evaluators.python import Python

LISTS = "def score(model, tokenizer): return [3.0, 1.0, 5.0]"
WITH_ITEMS = (
    "def score(model, tokenizer, items=None):\n"
    "    return [10.0 * i for i in (items if items is not None else range(3))]"
)


@pytest.fixture
def python(tmp_path):
    """Makes the evaluator of ``score`` in a file with the given source."""

    def make(source: str, **settings: object) -> Python:
        (tmp_path / "mine.py").write_text(source)
        return Python(function=f"{tmp_path}/mine.py:score", **settings)

    return make


def test_the_function_gets_the_model_and_the_tokenizer(python, models):
    source = "def score(lm, tok): return len(tok) + lm.config.num_hidden_layers"
    scores = python(source).evaluate(models[0])
    assert scores.main.value == len(models[0].tokenizer) + 2
    assert (scores.main.task, scores.main.metric, scores.main.size) == ("mine", "score", 1)
    assert scores.main.contributions == {}


@pytest.mark.parametrize(
    ("returned", "value"),
    [("3", 3), ("True", 1), ("np.float32(0.5)", 0.5), ("torch.tensor(2.0)", 2)],
)
def test_any_kind_of_number_is_a_number(python, models, returned, value):
    source = f"import numpy as np, torch\ndef score(lm, tok): return {returned}"
    found = python(source).evaluate(models[0]).main.value
    assert found == value
    assert type(found) is float


@pytest.mark.parametrize("wrap", ["{}", "tuple({})", "np.array({})", "torch.tensor({})"])
def test_per_item_numbers_count_as_their_mean(python, models, wrap):
    returned = wrap.format("[0.0, 1.0, 5.0]")
    source = f"import numpy as np, torch\ndef score(lm, tok): return {returned}"
    main = python(source).evaluate(models[0]).main
    assert (main.value, main.size) == (2.0, 3)
    assert main.contributions == {0: 0.0, 1: 1.0, 2: 5.0}


def test_names_stand_for_metrics_and_the_first_counts(python, models):
    source = "def score(lm, tok): return {'short': [1, 0], 'size': 7}"
    scores = python(source).evaluate(models[0])
    assert [(m.metric, m.value) for m in scores.measures] == [("short", 0.5), ("size", 7.0)]
    assert scores.main.metric == "short"
    assert python(source, metric="size").evaluate(models[0]).main.value == 7
    with pytest.raises(EvaluationError, match="unknown metric 'sise'; did you mean 'size'"):
        python(source, metric="sise").evaluate(models[0])


def test_the_goal_is_the_users(python, models):
    assert python(LISTS).evaluate(models[0]).main.higher_is_better
    assert not python(LISTS, goal="min").evaluate(models[0]).main.higher_is_better


def test_arguments_reach_the_function(python, models):
    source = "def score(lm, tok, *, factor=1): return 2 * factor"
    assert python(source, arguments={"factor": 4}).evaluate(models[0]).main.value == 8


@pytest.mark.parametrize("items", [[2, 0], {"mine": [2, 0]}])
def test_items_are_picked_from_what_the_function_returns(python, models, items):
    main = python(LISTS).evaluate(models[0], items).main
    assert (main.value, dict(main.contributions)) == (4.0, {2: 5.0, 0: 3.0})


def test_a_function_with_a_parameter_items_is_asked_for_these_only(python, models):
    evaluator = python(WITH_ITEMS)
    assert evaluator.evaluate(models[0]).main.contributions == {0: 0.0, 1: 10.0, 2: 20.0}
    assert evaluator.evaluate(models[0], [7, 2]).main.contributions == {7: 70.0, 2: 20.0}


@pytest.mark.parametrize(
    ("source", "items", "message"),
    [
        (LISTS, [3], "mine.py:score: no item 3; it has 3, counted from 0"),
        (LISTS, {"a": [1], "b": [1]}, "mine.py:score: items of 2 tasks; there is one"),
        ("def score(lm, tok): return 1", [0], "'score' is one number, of all items; "),
        (WITH_ITEMS.replace("10.0 * i", "0.0").replace("range(3)", "0") + "[:1]", [1, 2],
         "'score' has 1 numbers; it was given 2 items"),
    ],
)  # fmt: skip
def test_items_that_cannot_be_scored_are_refused(python, models, source, items, message):
    with pytest.raises(EvaluationError) as error:
        python(source).evaluate(models[0], items)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\nimport nothing_of_the_kind\n", "mine.py:2: it does not import; ModuleNotFoundErr"),
        ("def score(lm, tok)\n    return 1\n", "mine.py:1: it does not import; SyntaxError: e"),
        ("\n\nrows = [][3]\n", "mine.py:3: it does not import; IndexError: list index out"),
        ("def scores(lm, tok): return 1", "unknown function 'score'; did you mean 'scores'?"),
        ("from math import pi\n", "mine.py: unknown function 'score'\n       available: none"),
        ("def score(lm): return 1", "too many positional arguments; expected score(lm), called"),
        ("def score(lm, tok, size): return 1", "missing a required argument: 'size'"),
        ("def score(lm, tok):\n    return inner()\ndef inner():\n    return lm\n",
         "mine.py:4: it cannot score "),
        ("def score(lm, tok): return 'good'", "'score' is str 'good'; expected a number, or"),
        ("def score(lm, tok): return []", "'score' is list '[]'; expected a number, or"),
        ("def score(lm, tok): return [[1.0]]", "expected a number, or a list with a number for"),
        ("def score(lm, tok): return None", "'score' is NoneType 'None'; expected a number"),
        ("def score(lm, tok): return {}", "unknown metric 'None'\n       available: none"),
        ("def score(lm, tok): return [1.0, float('nan')]", "its score is not a number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_shown_with_its_line(python, models, source, message):
    with pytest.raises(EvaluationError) as error:
        python(source).evaluate(models[0])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("mine.py", "'mine.py' names no function; write path/to/file.py:function"),
        ("mine.txt:score", "'mine.txt:score' names no function"),
        ("gone.py:score", "gone.py: no such file; it is looked up from "),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(models, function, message):
    with pytest.raises(EvaluationError, match=message):
        Python(function=function).evaluate(models[0])


def test_the_file_may_define_dataclasses_and_is_run_once(python, models):
    source = (
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "calls = []\n"
        "@dataclass\n"
        "class Point:\n"
        "    x: int\n"
        "def score(lm, tok):\n"
        "    calls.append(1)\n"
        "    return Point(len(calls)).x\n"
    )
    evaluator = python(source)
    assert [evaluator.evaluate(models[0]).main.value for _ in range(2)] == [1, 2]


def test_settings_become_an_evaluator():
    settings = {"name": "python", "function": "a.py:f", "goal": "min", "arguments": {"n": 1}}
    made = make_evaluator(settings, "mine")
    assert made == Python(function="a.py:f", goal="min", arguments={"n": 1})
    with pytest.raises(RecipeError, match="mine: function missing; it needs function and takes"):
        make_evaluator({"name": "python"}, "mine")
    with pytest.raises(RecipeError, match=r"mine\.goal: Input should be 'max' or 'min'"):
        make_evaluator({**settings, "goal": "high"}, "mine")
