"""Promises of programs that are run: what they are told, what they say, and how they end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from evomerge.errors import EvaluationError
from evomerge.evaluators.base import no_tick
from evomerge.evaluators.processes import Ended, Program, run


def python(source: str, **options: object) -> Program:
    return Program([sys.executable, "-c", source], **options)


def test_it_says_how_it_ended_and_what_it_printed():
    source = "import sys; print('one'); print('two\\n\\n', file=sys.stderr); sys.exit(3)"
    assert run(python(source), no_tick) == Ended(3, b"one\n", "two")


def test_the_signal_that_ended_it_is_named():
    ended = run(python("import os; os.kill(os.getpid(), 11)"), no_tick)
    assert (ended.status, ended.signal) == (-signal.SIGSEGV, "SIGSEGV")
    assert Ended(1, b"", "").signal is None


def test_it_has_its_own_folder_variables_and_group(tmp_path):
    source = "import os; print(os.getcwd(), os.environ['MINE'], os.getpgrp() == os.getpid())"
    program = python(source, folder=tmp_path, environment={"MINE": "x"})
    assert run(program, no_tick).output.decode().split() == [str(tmp_path), "x", "True"]
    assert "MINE" not in os.environ


def test_its_message_stays_open_as_long_as_it_runs():
    source = (
        "import select, sys\n"
        "line = sys.stdin.readline()\n"
        "print(len(line), bool(select.select([0], [], [], 0.2)[0]))\n"
    )
    message = b"x" * 10**6 + b"\n"  # more than a pipe holds
    assert run(python(source, message=message), no_tick).output == b"1000001 False\n"


def test_without_a_message_there_is_nothing_to_read():
    assert run(python("import sys; print(len(sys.stdin.read()))"), no_tick).output == b"0\n"


def test_one_that_does_not_read_can_be_ended_all_the_same():
    began = time.monotonic()

    def stop() -> None:
        if time.monotonic() - began > 0.3:
            raise TimeoutError

    program = python("import time; time.sleep(600)", message=b"x" * 10**6)
    with pytest.raises(TimeoutError):
        run(program, stop)
    assert time.monotonic() - began < 30
    assert not [one for one in threading.enumerate() if "_tell" in one.name]


def test_one_that_ends_without_reading_is_no_error():
    assert run(python("print(1)", message=b"x" * 10**6), no_tick).output == b"1\n"


def test_much_output_does_not_hold_it_up():
    source = "import sys; print('x' * 10**6); print('y' * 10**6, file=sys.stderr)"
    ended = run(python(source), no_tick)
    assert (len(ended.output), len(ended.complaint)) == (10**6 + 1, 10**6)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (Program(["/no/such/program"]), "No such file or directory"),
        (Program(["/"]), "Permission denied"),
        (Program(["ls", "\0"]), "embedded null byte"),
    ],
)
def test_what_cannot_be_started_says_why(program, reason):
    with pytest.raises(EvaluationError, match=f"it cannot be started; {reason}"):
        run(program, no_tick)
