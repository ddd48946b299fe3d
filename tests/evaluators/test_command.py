"""Promises of the evaluator that runs a program."""

from __future__ import annotations

import os
import sys
import time

import pytest

from evomerge.errors import DeadlineExceeded, EvaluationError, RecipeError
from evomerge.evaluators.base import make_evaluator
from evomerge.evaluators.command import Command
from tests.evaluators.ended import ended

LAYERS = """
import json, pathlib, sys
config = json.loads(pathlib.Path(sys.argv[1], "config.json").read_text())
print(config["num_hidden_layers"])
"""
SQUARES = """
import json, os
items = json.loads(os.environ.get("EVOMERGE_ITEMS", "[0, 1, 2, 3]"))
print(json.dumps([1.0 * item * item for item in items]))
"""


@pytest.fixture
def command(tmp_path):
    """Makes the evaluator of a Python program with the given source."""

    def make(source: str, *arguments: str, **settings: object) -> Command:
        program = tmp_path / "mine.py"
        program.write_text(source)
        return Command(command=[sys.executable, str(program), *arguments], **settings)

    return make


def test_a_program_is_given_the_folder_and_prints_a_number(command, models):
    scores = command(LAYERS).evaluate(models[0])
    assert scores.main.value == 2
    assert (scores.main.task, scores.main.metric, scores.main.size) == ("mine", "score", 1)
    assert scores.main.higher_is_better
    assert not command(LAYERS, goal="min").evaluate(models[0]).main.higher_is_better


def test_the_folder_stands_where_it_is_asked_for_or_last(command, models):
    source = "import json, sys\nprint(json.dumps({one: 1 for one in sys.argv[1:]}))"
    folder = models[0].label
    assert [one.metric for one in command(source, "-v").evaluate(models[0]).measures] == [
        "-v", folder,
    ]  # fmt: skip
    found = command(source, "--model={model}", "-v").evaluate(models[0]).measures
    assert [one.metric for one in found] == [f"--model={folder}", "-v"]


def test_a_line_is_split_into_words_and_read_by_no_shell(models):
    line = f"""{sys.executable} -c 'import sys; print(len(sys.argv[1]))' "$HOME *" {{model}}"""
    assert Command(command=line).evaluate(models[0]).main.value == len("$HOME *")


def test_numbers_by_item_and_by_name_are_read_as_a_functions_are(command, models):
    scores = command("print([1, 0])").evaluate(models[0])
    assert scores.main.contributions == {0: 1.0, 1: 0.0}
    named = command("import json; print(json.dumps({'short': [1, 0], 'size': 7}))", metric="size")
    assert [(one.metric, one.value) for one in named.evaluate(models[0]).measures] == [
        ("short", 0.5), ("size", 7.0),
    ]  # fmt: skip
    assert named.evaluate(models[0]).main.value == 7


def test_what_is_printed_before_the_last_line_does_not_count(command, models):
    assert command("print('loading …')\nprint(3)\nprint()").evaluate(models[0]).main.value == 3


def test_a_program_is_told_which_items_to_score(command, models):
    evaluator = command(SQUARES)
    assert evaluator.evaluate(models[0]).main.contributions == {0: 0, 1: 1, 2: 4, 3: 9}
    assert evaluator.evaluate(models[0], [7, 2]).main.contributions == {2: 4, 7: 49}
    assert evaluator.evaluate(models[0], {"mine": [1]}).main.contributions == {1: 1}


def test_a_program_that_does_not_ask_has_its_items_picked(command, models):
    evaluator = command("print([3.0, 1.0, 5.0])")
    assert evaluator.evaluate(models[0], [2, 0]).main.contributions == {0: 3.0, 2: 5.0}
    assert evaluator.evaluate(models[0], [2, 1, 0]).main.contributions == {0: 3.0, 1: 1.0, 2: 5.0}
    with pytest.raises(EvaluationError, match="no item 3; it has 3, counted from 0"):
        evaluator.evaluate(models[0], [3, 1])
    with pytest.raises(EvaluationError, match=r"one number, of all items; .* give a number for ea"):
        command("print(1)").evaluate(models[0], [0])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import sys; sys.exit('no GPU here')", "mine.py: exit status 1; no GPU here"),
        ("raise ValueError('odd')", "exit status 1; ValueError: odd"),
        ("import os, signal; os.kill(0, signal.SIGSEGV)", "ended by SIGSEGV"),
        ("print('fine')", "it printed 'fine', which does not end with JSON; expected a number"),
        ("print()", "it printed '', which does not end with JSON"),
        ("print('NaN')", "score is not a number"),
        ("print('[1, NaN]')", "score is not a number"),
        ("print('Infinity')", "score is not a number, but inf"),
        ("print('null')", "'score' is NoneType 'None'; expected a number"),
        ("print('[]')", "'score' is list '[]'; expected a number"),
    ],
)
def test_a_program_that_fails_is_quoted(command, models, source, message):
    with pytest.raises(EvaluationError) as error:
        command(source).evaluate(models[0])
    assert message in str(error.value)


LINGERING = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid, file=open("{file}", "w"), flush=True)
{rest}
"""


@pytest.mark.parametrize(
    "rest", ["time.sleep(600)", "import signal; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
)
def test_at_the_deadline_its_whole_process_group_is_ended(command, models, tmp_path, rest):
    file = tmp_path / "processes"
    evaluator = command(LINGERING.format(file=file, rest=rest), deadline=1.0)
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"evaluator 'command': not done within .* 1 s"):
        evaluator.evaluate(models[0])
    assert time.monotonic() - start < 30
    processes = [int(one) for one in file.read_text().split()]
    assert len(processes) == 2
    assert all(ended(process) for process in processes)


def test_an_interrupt_ends_it_too(command, models, tmp_path):
    file = tmp_path / "processes"

    def interrupt() -> None:
        if file.exists() and file.read_text().endswith("\n"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        command(LINGERING.format(file=file, rest="time.sleep(600)")).evaluate(
            models[0], tick=interrupt
        )
    assert all(ended(int(one)) for one in file.read_text().split())


def test_what_a_program_leaves_running_is_ended_with_it(command, models, tmp_path):
    file = tmp_path / "processes"
    command(LINGERING.format(file=file, rest="print(1)")).evaluate(models[0])
    assert all(ended(int(one)) for one in file.read_text().split())


def test_it_runs_in_the_folder_of_the_configuration(models, tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    for folder, count in ((tmp_path, 1), (tmp_path / "inner", 2)):
        (folder / "score.sh").write_text(f"#!/bin/sh\necho {count}\n")
        (folder / "score.sh").chmod(0o755)
    monkeypatch.chdir("/")
    settings = {"name": "command", "command": "./score.sh"}
    made = make_evaluator(settings, "mine", tmp_path)
    made.check()
    assert made.evaluate(models[0]).main.value == 1
    inner = make_evaluator({**settings, "cwd": "inner"}, "mine", tmp_path)
    inner.check()
    assert inner.evaluate(models[0]).main.value == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"command": "no_such_program --fast"}, "command: no program no_such_program; give the pa"),
        ({"command": "./gone.sh"}, "command: no program gone.sh"),
        ({"command": "ls", "cwd": "nowhere"}, "cwd: no folder nowhere"),
        ({"command": ""}, "command: it is empty; give a program and its arguments"),
        ({"command": []}, "command: it is empty"),
    ],
)
def test_a_program_that_is_not_there_is_found_before_there_is_a_model(settings, message):
    with pytest.raises(EvaluationError) as error:
        make_evaluator({"name": "command", **settings}).check()
    assert message in str(error.value)


def test_a_program_that_went_away_is_named(models):
    with pytest.raises(EvaluationError, match="no_such_program: it cannot be started; No such f"):
        Command(command=["no_such_program"]).evaluate(models[0])


def test_a_program_is_in_a_process_of_its_own_already(command, models):
    source = f"import os; print(int(os.getppid() == {os.getpid()}))"
    for isolate in (False, True):
        assert command(source, isolate=isolate).evaluate(models[0]).main.value == 1


def test_a_program_may_be_declared_to_be_deterministic(command):
    assert not command(SQUARES).deterministic
    assert command(SQUARES, deterministic=True).deterministic


def test_its_items_have_no_fields():
    with pytest.raises(EvaluationError, match="'command': its items have no fields; leave out clu"):
        Command(command="ls", cluster="topic").check()
    with pytest.raises(RecipeError, match="mine: command missing; it needs command and takes"):
        make_evaluator({"name": "command"}, "mine")


def test_the_environment_reaches_it_and_its_input_is_closed(command, models, monkeypatch):
    monkeypatch.setenv("MINE", "4")
    source = "import os, sys; print([float(os.environ['MINE']), len(sys.stdin.read())])"
    assert command(source).evaluate(models[0]).main.contributions == {0: 4.0, 1: 0.0}
