"""A full disk costs the trial that did not fit, and nothing else."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from evomerge.errors import OutputError, StudyError
from evomerge.study import Study
from evomerge.study.files import sync_folder, write_whole
from tests.study.ordinary import CONFIG, ENVIRONMENT, a_table, a_trial, header

ROOT = Path(__file__).parent.parent.parent


def run_full(*words: str) -> str:
    done = subprocess.run(list(words), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told, end = done.stdout.splitlines()
    assert end == "done"
    return told


def test_a_file_that_may_not_grow_leaves_whole_lines(tmp_path):
    program = [sys.executable, "-m", "tests.study.full_disk"]
    assert "File too large" in run_full(*program, str(tmp_path / "run"), "limit")


def private_mounts() -> bool:
    """Whether this user may mount a file system that only the mounting process sees."""
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return False
    tried = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "x", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not private_mounts(), reason="this user may not mount a file system")
def test_a_full_disk_leaves_whole_lines(tmp_path):
    script = (
        'mount -t tmpfs -o size=200k tmpfs "$1" && exec "$2" -m tests.study.full_disk "$1/run" "$1"'
    )
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    assert "No space left" in run_full(*namespace, str(tmp_path), sys.executable)


class Failing:
    """A call to the file system that fails once it has been made so often."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, succeeds: int) -> None:
        self.left = succeeds
        self.call = getattr(os, name)
        monkeypatch.setattr(os, name, self)

    def __call__(self, *arguments: object, **keywords: object) -> object:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self.call(*arguments, **keywords)


@pytest.mark.parametrize(
    ("name", "succeeds"),
    [("write", 0), ("write", 1), ("fsync", 0), ("fsync", 1), ("fsync", 2), ("replace", 0)],
)
def test_a_failing_disk_records_nothing_and_the_trial_can_be_tried_again(
    run, monkeypatch, name, succeeds
):
    before = (run / "study.jsonl").read_bytes()
    with Study.open(run, write=True) as study:
        with monkeypatch.context() as patch:
            Failing(patch, name, succeeds)
            with pytest.raises(OutputError, match="Input/output error; mend that, then go on"):
                study.append(a_trial(3), [a_table(3)])
        assert (run / "study.jsonl").read_bytes() == before
        study.append(a_trial(3), [a_table(3)])
    assert Study.open(run).tables(3) == (a_table(3),)


def test_an_interrupt_between_two_calls_records_nothing(run, monkeypatch):
    before = (run / "study.jsonl").read_bytes()

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    with Study.open(run, write=True) as study:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", interrupt)
            with pytest.raises(KeyboardInterrupt):
                study.append(a_trial(3))
        assert (run / "study.jsonl").read_bytes() == before
        study.append(a_trial(3))
    assert len(Study.open(run).trials) == 4


def test_a_line_that_could_not_be_taken_back_is_noticed(run, monkeypatch):
    """The disk fails so badly that the file cannot even be shortened."""
    with Study.open(run, write=True) as study:
        with monkeypatch.context() as patch:
            Failing(patch, "fsync", 2)
            Failing(patch, "ftruncate", 0)
            with pytest.raises(OutputError):
                study.append(a_trial(3), [a_table(3)])
        with pytest.raises(StudyError, match="was changed while this run was writing it"):
            study.append(a_trial(3), [a_table(3)])
    assert Study.open(run).tables(3) == (a_table(3),)  # it was recorded after all


def test_a_creation_that_fails_leaves_nothing(tmp_path, monkeypatch):
    run, failures = tmp_path / "new" / "run", 0
    while not run.exists():
        with monkeypatch.context() as patch:
            failing = Failing(patch, "fsync", failures)
            with suppress(OutputError):
                Study.create(run, header(), config=CONFIG, environment=ENVIRONMENT).close()
        if failing.left < 0:
            failures += 1
            assert list(tmp_path.iterdir()) == []
    assert failures == 8  # of two folders, and of three files and theirs
    assert Study.open(run).trials == ()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")
    for name in ("write", "replace"):
        with monkeypatch.context() as patch:
            Failing(patch, name, 0)
            with pytest.raises(OSError, match="Input/output"):
                write_whole(path, b"new")
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["file"]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EIO])
def test_folders_that_cannot_be_flushed_are_let_be_but_failing_disks_are_not(
    tmp_path, monkeypatch, code
):
    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    if code == errno.EINVAL:
        sync_folder(tmp_path)
    else:
        with pytest.raises(OSError, match="Input/output"):
            sync_folder(tmp_path)
