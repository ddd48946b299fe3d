"""One process writes a run at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from evomerge.errors import SearchError, StudyError
from evomerge.study import Study
from evomerge.study.lock import RunLock
from tests.study.ordinary import a_trial, create

ROOT = Path(__file__).parent.parent.parent
HOLD = """
import os, sys, time
from pathlib import Path
from evomerge.study import Study
study = Study.open(sys.argv[1], write=True)
if not sys.argv[2:] or os.fork() == 0:  # whoever is to be asked about: the child, once it runs
    sys.stdout.write(f"{os.getpid()}\\n")
    sys.stdout.flush()
time.sleep(60)
"""


def holding(run: Path, *more: str) -> tuple[subprocess.Popen[str], int]:
    """A process that holds the lock of ``run``, and the number that it writes."""
    words = [sys.executable, "-c", HOLD, str(run), *more]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    number = int(process.stdout.readline())
    process.stdout.close()
    return process, number


def test_a_run_that_is_being_written_is_refused_and_the_writer_named(run):
    process, _ = holding(run)
    try:
        told = f"{run}: is being written by process {process.pid} on {socket.gethostname()}; let"
        with pytest.raises(SearchError, match=re.escape(told)):
            Study.open(run, write=True)
        assert len(Study.open(run).trials) == 3  # reading is free
    finally:
        process.kill()
        process.wait()
    with Study.open(run, write=True) as study:  # the lock died with its holder
        study.append(a_trial(3))


def test_a_child_that_outlives_its_parent_does_not_hold_the_run(run):
    process, child = holding(run, "with a forked child")
    try:
        process.kill()
        process.wait()
        os.kill(child, 0)  # it lives
        Study.open(run, write=True).close()
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_a_second_writer_in_one_process_is_refused_too(run):
    with (
        Study.open(run, write=True),
        pytest.raises(SearchError, match=f"by process {os.getpid()} "),
    ):
        Study.open(run, write=True)
    Study.open(run, write=True).close()


def test_a_run_that_could_not_be_opened_is_not_held(run):
    whole = (run / "study.jsonl").read_bytes()
    (run / "study.jsonl").write_bytes(whole.replace(b"0.0", b"0.9"))
    with pytest.raises(StudyError, match="was changed"):
        Study.open(run, write=True)
    (run / "study.jsonl").write_bytes(whole)
    Study.open(run, write=True).close()


def test_a_writer_without_a_name_is_reported_all_the_same(run):
    with Study.open(run, write=True):
        (run / "lock").write_text("")
        with pytest.raises(SearchError, match="is being written by another process; let it end"):
            Study.open(run, write=True)


def test_a_file_system_without_locks_is_refused(run, monkeypatch):
    def fail(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(SearchError, match="cannot be locked: No locks available; put the run on"):
        Study.open(run, write=True)


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_no_lock(run, monkeypatch):
    """Between opening the file and locking it, a creation that failed removed it."""
    flock, removals = fcntl.flock, [run / "lock"]

    def slow(descriptor: int, operation: int) -> None:
        if removals:
            removals.pop().unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", slow)
    lock = RunLock(run)
    with pytest.raises(SearchError):
        RunLock(run)
    lock.release()


def test_a_creation_holds_the_run(tmp_path):
    with create(tmp_path / "run"), pytest.raises(SearchError, match=f"process {os.getpid()} "):
        Study.open(tmp_path / "run", write=True)
