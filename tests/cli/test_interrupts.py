"""A merge that is stopped half-way leaves nothing; killed outright, what the next run removes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.bad_input import ties

# The rows of docs/errors.md.
INTERRUPTIONS = {
    "Ctrl-C, or SIGINT": signal.SIGINT,
    "SIGTERM": signal.SIGTERM,
    "SIGKILL, or a power cut": signal.SIGKILL,
}
MESSAGE = "error: evomerge merge: interrupted; nothing half-written is left behind\n"

# The command line, but each block takes its time, and the first one says that it is there.
# What starts in the background inherits that Ctrl-C is ignored; a terminal's commands do not.
SLOWLY = """
import signal, sys, time
from pathlib import Path
from evomerge.checkpoint.writer import FolderWriter
from evomerge.cli.main import main

write = FolderWriter.write

def slow_write(*args):
    write(*args)
    Path("begun").touch()
    time.sleep(0.05)

FolderWriter.write = slow_write
signal.signal(signal.SIGINT, signal.default_int_handler)
main(["merge", "recipe.yaml", "new/merged", "--force"])
"""


def interrupted(*signals: signal.Signals) -> tuple[int, str]:
    """Begins a merge, sends it the signals; its exit code and what it said."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not Path("begun").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    Path("begun").unlink()
    for number in signals:
        process.send_signal(number)
        time.sleep(0.01)
    _, said = process.communicate(timeout=60)
    Path("begun").unlink(missing_ok=True)
    return process.returncode, said


@pytest.mark.parametrize(
    "signals",
    [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT, signal.SIGINT, signal.SIGTERM)],
    ids=["SIGINT", "SIGTERM", "impatient"],
)
def test_an_interrupted_merge_leaves_nothing(signals, work):
    ties()
    before = sorted(os.listdir())
    assert interrupted(*signals) == (130, MESSAGE)
    assert sorted(os.listdir()) == before


def test_the_next_merge_removes_what_a_killed_one_left(work, evomerge):
    ties()
    assert interrupted(signal.SIGKILL) == (-signal.SIGKILL, "")
    (left,) = os.listdir("new")
    assert left.startswith(".merged.")
    assert left.endswith(".tmp")
    assert evomerge("merge", "recipe.yaml", "new/merged")[0] == 0
    assert os.listdir("new") == ["merged"]


def test_an_interrupted_replacement_keeps_the_old_model(work):
    ties()
    shutil.copytree("base", "new/merged")
    before = {file.name: file.read_bytes() for file in Path("new/merged").iterdir()}
    assert interrupted(signal.SIGINT) == (130, MESSAGE)
    assert os.listdir("new") == ["merged"]
    assert {file.name: file.read_bytes() for file in Path("new/merged").iterdir()} == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_afterwards_signals_do_what_they_did_before(number, evomerge):
    before = signal.getsignal(number)
    evomerge("--version")
    assert signal.getsignal(number) is before
    signal.signal(number, signal.SIG_IGN)
    try:
        evomerge("--version")
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
