"""A process that writes a study may be killed at any moment, and nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evomerge.study import Study
from tests.study.child import append
from tests.study.ordinary import a_table, a_trial

ROOT = Path(__file__).parent.parent.parent


def start(run: Path, *more: object) -> subprocess.Popen[bytes]:
    """A process that appends trials, once it is about to begin."""
    words = [sys.executable, "-m", "tests.study.child", str(run), *map(str, more)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()
    return process


def ledger(run: Path) -> bytes:
    path = run / "study.jsonl"
    return path.read_bytes() if path.exists() else b""


def check_whole(run: Path) -> int:
    """Every trial is as it was appended, with its items; gives their number."""
    if not ledger(run):
        return 0
    study = Study.open(run)
    for number, trial in enumerate(study.trials):
        assert trial == a_trial(number)
        assert study.tables(number) == (a_table(number),)
    return len(study.trials)


def whole_lines(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def check_finished(run: Path, trials: int) -> None:
    """The run holds ``trials`` trials, and nothing that a killed process left."""
    assert check_whole(run) == trials
    assert sorted(os.listdir(run)) == [
        "config.yaml", "environment.json", "front", "items", "lock", "study.jsonl",
    ]  # fmt: skip
    expected = [f"{number:06d}.json" for number in range(trials)]
    assert sorted(os.listdir(run / "items")) == expected


def test_a_kill_in_any_call_to_the_file_system_loses_nothing(tmp_path):
    """Creation and one trial, killed in one call after the other until none is left."""
    kills = 0
    while True:
        run = tmp_path / str(kills)
        process = start(run, 1, kills)
        if process.wait(30) == 0:
            break
        assert process.returncode == -signal.SIGKILL
        before = ledger(run)
        recorded = check_whole(run)
        append(run, 3)
        assert ledger(run).startswith(whole_lines(before))
        assert recorded <= 1
        check_finished(run, 3)
        kills += 1
    assert kills > 20


def test_a_run_killed_in_one_call_after_the_other_still_gets_there(tmp_path):
    """One run, resumed each time: the calls of opening are killed too."""
    run = tmp_path / "run"
    before, kills = b"", 0
    process = start(run, 1, 0)
    while process.wait(30):
        kills += 1
        assert ledger(run).startswith(before)
        before = whole_lines(ledger(run))
        check_whole(run)
        process = start(run, 4, kills)
    assert kills > 5
    check_finished(run, 4)


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_kills_at_random_moments_lose_nothing(tmp_path, kills):
    chance = random.Random(kills)
    run, before = tmp_path / "run", b""
    for _ in range(kills):
        process = start(run, 10**6)
        enough = len(before) + chance.randrange(4000)
        while len(ledger(run)) < enough:
            assert process.poll() is None
        time.sleep(chance.uniform(0, 0.003))
        process.kill()
        process.wait(30)
        assert ledger(run).startswith(before)
        before = whole_lines(ledger(run))
        check_whole(run)
    trials = check_whole(run)
    assert trials > 2 * kills
    append(run, trials + 1)
    check_finished(run, trials + 1)


def test_a_reader_of_a_live_run_sees_a_prefix(tmp_path):
    run = tmp_path / "run"
    append(run, 1)
    process = start(run, 10**6)
    seen = [0]
    until = time.monotonic() + 0.7
    while time.monotonic() < until:
        seen.append(check_whole(run))
    process.kill()
    process.wait(30)
    assert seen == sorted(seen)
    assert len(set(seen)) > 5
    assert process.returncode == -signal.SIGKILL


def test_items_are_on_the_disk_before_the_line_that_counts_on_them(run, monkeypatch):
    calls = []

    def watched(name):
        original = getattr(os, name)

        def call(first, *more, **keywords):
            path = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
            calls.append((name, path.removeprefix(f"{run.resolve()}/")))
            return original(first, *more, **keywords)

        monkeypatch.setattr(os, name, call)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to see which file a descriptor is")
    with Study.open(run, write=True) as study:
        for name in ("write", "fsync", "replace"):
            watched(name)
        study.append(a_trial(3), [a_table(3)])
        monkeypatch.undo()
    assert calls == [
        ("write", "items/.000003.json.tmp"),
        ("fsync", "items/.000003.json.tmp"),
        ("replace", f"{run}/items/.000003.json.tmp".removeprefix(f"{run.resolve()}/")),
        ("fsync", "items"),
        ("write", "study.jsonl"),
        ("fsync", "study.jsonl"),
    ]
