"""Promises of what evaluators say before there is a model: faults, sizes, clusters, paths."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from evomerge.errors import EvaluationError
from evomerge.evaluators.base import make_evaluator
from evomerge.evaluators.harness.names import GOLD
from evomerge.evaluators.lm_eval import LmEval
from evomerge.evaluators.perplexity import Perplexity

EXAMPLES = Path(__file__).parents[2] / "evaluators"
LINES = ({"text": "the cat", "book": 1}, {"text": ""}, {"text": "the dog", "book": 2})


@pytest.fixture
def lm_eval(tasks_folder):
    """Makes the evaluator with ``options`` for the tasks of the folder."""
    return lambda **options: LmEval(**{"include_path": str(tasks_folder), **options})


@pytest.fixture
def jsonl(tmp_path) -> Path:
    file = tmp_path / "prose.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return file


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "choices", "metric": "ac"}, "task 'choices': unknown metric 'ac'; did you mean"),
        ({"task": "choices", "metric": "acc", "filter": "x"}, "task 'choices': unknown filter 'x'"),
        ({"task": "both", "metric": "acc_norm"}, "task 'both': unknown metric 'acc_norm'"),
        ({"task": "both", "filter": "x"}, "task 'both': unknown filter 'x'"),
        ({"task": ["choices", "prose"], "metric": "acc"}, "task 'prose': unknown metric 'acc'"),
        ({"task": "prose", "metric": GOLD}, "task 'prose': unknown metric 'log_likelihood'"),
        ({"task": "choices", "items": [9]}, "no document 9; there are 9, counted from 0"),
        ({"task": "choices", "cluster": "book"}, "task 'choices': unknown field 'book'"),
        ({"task": "choices", "backend": "hff"}, "unknown backend 'hff'; did you mean 'hf'"),
    ],
    ids=str,
)
def test_a_check_finds_what_scoring_would(lm_eval, options, message, chat):
    with pytest.raises(EvaluationError) as error:
        lm_eval(apply_chat_template=chat, **options).check()
    assert message in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {"task": "choices", "metric": GOLD},
        {"task": "answers", "filter": "short"},
        {"task": "both", "metric": "acc", "filter": "none"},
        {"task": "graded", "metric": "length"},
        {"task": ["choices", "prose"]},
    ],
    ids=str,
)
def test_a_check_refuses_nothing_that_can_be_scored(lm_eval, models, options):
    evaluator = lm_eval(**options)
    evaluator.check()
    assert evaluator.evaluate(models[0]).measures


def test_metrics_of_a_tasks_own_code_are_left_to_be_found(lm_eval, models):
    evaluator = lm_eval(task="graded", metric="width")
    evaluator.check()
    with pytest.raises(EvaluationError, match="task 'graded': unknown metric 'width'"):
        evaluator.evaluate(models[0])


def test_sizes_follow_the_options(lm_eval):
    def sizes(**options: object) -> object:
        evaluator = lm_eval(**options)
        assert evaluator.sizes() is None
        evaluator.check()
        return evaluator.sizes()

    assert sizes(task=["both", "prose"]) == {"choices": 9, "few_shot": 9, "prose": 9}
    assert sizes(task="choices", limit=4) == {"choices": 4}
    assert sizes(task="choices", limit=0.5) == {"choices": 5}
    assert sizes(task="choices", items=[1, 7]) == {"choices": 2}
    assert sizes(task="choices", apply_chat_template=True) == {"choices": 9}


def test_clusters_are_what_documents_have_under_a_field(lm_eval, tasks_folder):
    rows = [json.loads(line) for line in (tasks_folder / "test.jsonl").read_text().splitlines()]
    found = lm_eval(task=["choices", "prose"], limit=3).clusters("gold")
    expected = {number: str(rows[number]["gold"]) for number in range(3)}
    assert found == {"choices": expected, "prose": expected}
    only = lm_eval(task="choices", items=[4, 6]).clusters("text")
    assert only == {"choices": {number: rows[number]["text"] for number in (4, 6)}}


def test_clusters_of_texts_are_fields_of_their_lines(jsonl, models):
    evaluator = Perplexity(file=jsonl, cluster="book")
    evaluator.check()
    assert evaluator.clusters("book") == {"prose": {0: "1", 2: "2"}}
    assert evaluator.sizes() == {"prose": 2}
    (measure,) = evaluator.evaluate(models[0]).measures
    assert measure.contributions.keys() == evaluator.clusters("book")["prose"].keys()
    assert Perplexity(file=jsonl, limit=1).clusters("book") == {"prose": {0: "1"}}
    with pytest.raises(EvaluationError, match=r"prose.jsonl:1: nothing under 'page'; it has book"):
        Perplexity(file=jsonl, cluster="page").check()


def test_a_plain_text_has_no_fields(tmp_path):
    (tmp_path / "prose.txt").write_text("the cat")
    with pytest.raises(EvaluationError, match=r"prose.txt: a plain text has no field 'book'"):
        Perplexity(file=tmp_path / "prose.txt").clusters("book")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "perplexity", "file": "gone.txt"}, "gone.txt: No such file or directory"),
        ({"name": "python", "function": "gone.py:score"}, "gone.py: no such file"),
        ({"name": "python", "function": "mine.py:scores"}, "did you mean 'score'"),
        ({"name": "python", "function": "mine.py:score", "cluster": "x"}, "items have no fields"),
        ({"name": "cost", "metric": "bytes", "cluster": "x"}, "items have no fields"),
        ({"name": "lm_eval", "task": "x", "include_path": "gone"}, "include_path: no folder "),
        ({"name": "lm_eval", "task": "gone.yaml", "include_path": "."}, "unknown task '"),
    ],
    ids=str,
)
def test_what_is_missing_is_found(tmp_path, settings, message, only_our_tasks):
    (tmp_path / "mine.py").write_text("def score(model, tokenizer): return 1")
    with pytest.raises(EvaluationError) as error:
        make_evaluator(settings, "mine", tmp_path).check()
    assert message in str(error.value)


def test_paths_start_from_the_folder_of_the_configuration(
    tmp_path, models, tasks_folder, only_our_tasks
):
    (tmp_path / "mine.py").write_text("def score(model, tokenizer): return 1")
    (tmp_path / "prose.txt").write_text("the cat")
    (tmp_path / "tasks").symlink_to(tasks_folder)
    for settings in (
        {"name": "python", "function": "mine.py:score"},
        {"name": "perplexity", "file": "prose.txt"},
        {"name": "lm_eval", "task": "choices", "include_path": "tasks", "limit": 2},
        {"name": "lm_eval", "task": ["choices"], "include_path": ["tasks"], "limit": 2},
        {"name": "lm_eval", "task": ["tasks/choices.yaml"], "include_path": "tasks", "limit": 2},
    ):
        made = make_evaluator(settings, "mine", tmp_path)
        made.check()
        assert made.evaluate(models[0]).main


def test_paths_that_are_whole_or_of_home_stay_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    elsewhere = Path("/elsewhere")
    for given in (str(tmp_path / "prose.txt"), "~/prose.txt", tmp_path / "prose.txt"):
        made = make_evaluator({"name": "perplexity", "file": given}, "mine", elsewhere)
        assert made == Perplexity(file=tmp_path / "prose.txt")


def test_the_tasks_of_the_project_work_from_any_folder(tmp_path):
    program = (
        "import sys\n"
        "from evomerge.evaluators.base import make_evaluator\n"
        "settings = {'name': 'lm_eval', 'task': ['sums', 'upper_generate', 'prose'],\n"
        "            'include_path': 'tasks', 'limit': 3, 'metric': None}\n"
        "made = make_evaluator(settings, 'mine', __import__('pathlib').Path(sys.argv[1]))\n"
        "made.check()\n"
        "print(dict(made.sizes()))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(EXAMPLES)],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert found.stdout == "{'sums': 3, 'upper_generate': 3, 'prose': 3}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_metric_of_a_tasks_own_is_not_doubled_by_ours(tasks_folder, tmp_path, models):
    task = yaml.safe_load((tasks_folder / "targets.yaml").read_text())
    mean = {"aggregation": "mean", "higher_is_better": True}
    task |= {"task": "own", "metric_list": [{"metric": GOLD, **mean}]}
    (tmp_path / "grader.py").write_text(
        f"def grade(document, results): return {{'{GOLD}': 2 * results[0][0]}}\n"
    )
    text = yaml.safe_dump(task) + "process_results: !function grader.grade\n"
    (tmp_path / "own.yaml").write_text(text)
    measures = LmEval(task="own", include_path=str(tmp_path)).evaluate(models[0]).measures
    plain = LmEval(task="targets", include_path=str(tasks_folder), metric=GOLD)
    assert [one.metric for one in measures] == [GOLD]
    assert measures[0].value == pytest.approx(2 * plain.evaluate(models[0]).main.value)
