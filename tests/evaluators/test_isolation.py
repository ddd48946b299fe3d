"""Promises of evaluations in a process of their own: the same scores, and nothing else gets out."""

from __future__ import annotations

import copy
import dataclasses
import json
import subprocess
import sys
import time

import pytest
import torch

from evomerge.errors import DeadlineExceeded, EvaluationError, OutOfMemory
from evomerge.evaluators.base import Evaluator, LoadedModel, make_evaluator, no_tick
from evomerge.evaluators.child import answer
from evomerge.evaluators.isolation import KINDS, Request, score_in_child
from evomerge.evaluators.processes import Ended
from evomerge.evaluators.scores import Scores, scores_from_plain
from tests.evaluators.ended import ended


@pytest.fixture
def isolated(tmp_path):
    """Makes the isolated evaluator of ``score`` in a file with the given source."""

    def make(source: str, **settings: object) -> Evaluator:
        (tmp_path / "mine.py").write_text(source)
        function = f"{tmp_path}/mine.py:score"
        return make_evaluator(
            {"name": "python", "function": function, "isolate": True, **settings}, "mine"
        )

    return make


def answered(evaluator: Evaluator, model: LoadedModel, items: object = None) -> Scores:
    """What the child's program answers, asked in this process, as it comes out of its JSON."""
    request = json.loads(json.dumps(dataclasses.asdict(evaluator._request(model, items))))
    found = json.loads(json.dumps(answer(Request(**request))))
    if "error" in found:
        raise KINDS.get(found["kind"], EvaluationError)(found["error"])
    return scores_from_plain(found["scores"])


def test_scores_are_those_of_this_process(models, tasks_folder, tmp_path):
    (tmp_path / "prose.txt").write_text("the cat sat on the mat\n" * 9)
    for settings in (
        {"name": "lm_eval", "task": ["both", "sampled"], "include_path": str(tasks_folder)},
        {"name": "perplexity", "file": "prose.txt", "window": 8},
        {"name": "cost", "metric": "bytes"},
    ):
        here = make_evaluator(settings, "mine", tmp_path)
        there = make_evaluator({**settings, "isolate": True}, "mine", tmp_path)
        assert answered(there, models[1]) == here.evaluate(models[1])
    assert there.evaluate(models[1]) == here.evaluate(models[1])


def test_a_function_gets_the_same_model_and_items(isolated, models):
    source = (
        "def score(model, tokenizer, items=None, factor=1):\n"
        "    total = float(sum(p.double().sum() for p in model.parameters()))\n"
        "    return {'sums': [total * factor * one for one in items], 'words': len(tokenizer)}\n"
    )
    evaluator = isolated(source, arguments={"factor": 3})
    alone = dataclasses.replace(evaluator, isolate=False)
    for items in ([2, 5], {"mine": (1,)}, range(3)):
        assert answered(evaluator, models[0], items) == alone.evaluate(models[0], items)


def test_the_model_has_the_type_and_the_label_it_has_here(isolated, models):
    cast = copy.deepcopy(models[0].model).to(torch.bfloat16)
    loaded = dataclasses.replace(models[0], model=cast, label="trial 7")
    source = "def score(model, tokenizer): return model.dtype.itemsize"
    assert answered(isolated(source), loaded).main.value == 2
    broken = isolated("def score(model, tokenizer): return 1 / 0")
    with pytest.raises(EvaluationError, match=r"mine.py:1: it cannot score trial 7; ZeroDivisionE"):
        answered(broken, loaded)


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("raise MemoryError", OutOfMemory, "memory ran out while it was scored, MemoryError"),
        ("torch.empty(2**60)", OutOfMemory, "can't allocate memory"),
        ("return float('nan')", EvaluationError, "its score is not a number"),
        ("return [][0]", EvaluationError, "mine.py:3: it cannot score"),
    ],
)
def test_an_error_there_is_the_same_error_here(isolated, models, body, error, message):
    evaluator = isolated(f"import torch\ndef score(model, tokenizer):\n    {body}\n")
    with pytest.raises(error) as raised:
        answered(evaluator, models[0])
    assert message in str(raised.value)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("status", "complaint", "error", "message"),
    [
        (-11, "", EvaluationError, "mine: evaluator 'x': its process ended by SIGSEGV"),
        (-9, "", OutOfMemory, "was ended by SIGKILL, which is what the system does when memory"),
        (3, "bye", EvaluationError, "ended with exit status 3; its last words: bye"),
        (-63, "", EvaluationError, "ended by signal 63"),
    ],
)
def test_a_crash_is_told_by_how_it_ended(monkeypatch, status, complaint, error, message):
    ending = Ended(status, b"", complaint)
    monkeypatch.setattr("evomerge.evaluators.isolation.run", lambda program, tick: ending)
    request = Request({"name": "x"}, "folder", "mine", "cpu", "auto", False, None)
    with pytest.raises(error) as raised:
        score_in_child(request, no_tick)
    assert message in str(raised.value)


def test_a_crash_stays_there_and_what_it_prints_is_not_the_answer(isolated, models):
    source = (
        "import os, signal\n"
        "print('loading')\n"
        "def score(model, tokenizer, crash):\n"
        "    print('{}'); os.write(1, b'{}'); os.system('echo 3')\n"
        "    if crash: os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    return 5\n"
    )
    assert isolated(source, arguments={"crash": False}).evaluate(models[0]).main.value == 5
    with pytest.raises(EvaluationError, match="'python': its process ended by SIGSEGV"):
        isolated(source, arguments={"crash": True}).evaluate(models[0])


LOOP = """
import os, subprocess, sys, time
def score(model, tokenizer):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(os.getpid(), child.pid, file=open("{file}", "w"), flush=True)
    while True:
        pass
"""


def test_a_loop_without_end_is_ended_at_the_deadline_with_its_children(isolated, models, tmp_path):
    file = tmp_path / "processes"
    evaluator = isolated(LOOP.format(file=file), deadline=20)

    def wait() -> None:
        if file.exists() and file.read_text().endswith("\n"):
            raise DeadlineExceeded("now")

    with pytest.raises(DeadlineExceeded):
        evaluator.evaluate(models[0], tick=wait)
    processes = [int(one) for one in file.read_text().split()]
    assert len(processes) == 2
    assert all(ended(process) for process in processes)


def test_the_deadline_counts_from_its_start(isolated, models):
    endless = isolated("def score(model, tokenizer):\n    while True: pass", deadline=0.5)
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"'python': not done within its deadline of 0.5 s"):
        endless.evaluate(models[0])
    assert time.monotonic() - start < 30


@pytest.mark.slow
def test_it_does_not_outlive_the_process_that_asked(models, tmp_path):
    file = tmp_path / "processes"
    (tmp_path / "mine.py").write_text(LOOP.format(file=file))
    program = (
        "import sys\n"
        "from evomerge.evaluators.base import make_evaluator\n"
        "from evomerge.evaluators.loading import load_model\n"
        "settings = {'name': 'python', 'function': sys.argv[2] + ':score', 'isolate': True}\n"
        "make_evaluator(settings).evaluate(load_model(sys.argv[1], device='cpu'))\n"
    )
    command = [sys.executable, "-c", program, models[0].label, str(tmp_path / "mine.py")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as asking:
        for _ in range(600):
            if file.exists() and file.read_text().endswith("\n"):
                break
            time.sleep(0.1)
        asking.kill()
    processes = [int(one) for one in file.read_text().split()]
    assert len(processes) == 2
    assert all(ended(process) for process in processes)


def test_a_folder_that_is_no_model_is_named(isolated, models, tmp_path):
    missing = dataclasses.replace(models[0], folder=lambda: tmp_path)
    with pytest.raises(EvaluationError, match=r"transformers cannot load this folder|no such"):
        answered(isolated("def score(model, tokenizer): return 1"), missing)
