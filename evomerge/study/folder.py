"""A run folder: what stands where, and how it begins.

config.yaml        the config as it was resolved
environment.json   versions, machine, fingerprints of the models
study.jsonl        the ledger; the folder holds a study from when this exists
items/             what each item contributed to each trial
front/             the recipes of the front
lock               who writes

A folder that has a chain.yaml instead holds a run for each stage of a chain.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from evomerge.errors import OutputError, SearchError, StudyError
from evomerge.study.files import explained, sync_folder, temporary_name, write_whole
from evomerge.study.lock import LOCK, RunLock

CONFIG, ENVIRONMENT, LEDGER = "config.yaml", "environment.json", "study.jsonl"
ITEMS, FRONT = "items", "front"
CHAIN = "chain.yaml"
_FILES = (CONFIG, ENVIRONMENT, LEDGER)
# What to do when a folder cannot be made.
CLAIMING = "try again or choose another folder"
# What a creation that was killed may have left.
_LEFTOVERS = {LOCK, CONFIG, ENVIRONMENT, ITEMS, FRONT, *map(temporary_name, _FILES)}


def check_new(run: Path) -> None:
    """Refuses a place where a run must not begin. Changes nothing.

    An empty folder is allowed, and what is left of a creation that was killed.

    Raises:
        SearchError: there is a run already.
        OutputError: something else stands there.
    """
    if not os.path.isdir(run):
        if os.path.lexists(run):
            raise OutputError(f"{run}: is a file; name a folder for the run")
        return
    found = set(os.listdir(run))
    if LEDGER in found:
        raise SearchError(
            f"{run}: holds a run already; to go on with it: evomerge resume {run}; "
            f"to begin another, name another folder"
        )
    foreign = sorted(found - _LEFTOVERS) if LOCK in found else sorted(found)
    foreign += [
        f"{name}/{entry}"
        for name in (ITEMS, FRONT)
        if name in found and os.path.isdir(run / name)
        for entry in os.listdir(run / name)
    ]
    if foreign:
        raise OutputError(
            f"{run}: is not a run (it has no {LEDGER}) and not empty (it has {foreign[0]}); "
            f"name another folder for the run"
        )


@contextmanager
def begun(run: Path) -> Iterator[RunLock]:
    """Makes the folder of a run and takes its lock; removes both if what follows fails.

    Raises:
        SearchError: there is a run already, or another process is beginning it.
        OutputError: the folder cannot be made or written.
    """
    check_new(run)
    with explained(run, CLAIMING), ExitStack() as undo:
        lock = claim(run, check_new, undo)
        undo.callback(_remove_files, run)
        yield lock
        undo.pop_all()


def claim(run: Path, check: Callable[[Path], None], undo: ExitStack) -> RunLock:
    """Makes a folder and takes its lock.

    Args:
        run: the folder, a place that ``check`` has let pass.
        check: raises for a place where nothing may begin. It is asked once more under the lock, as
            another process may have been faster.
        undo: gets what takes both back.

    Raises:
        SearchError: from ``check``, or another process is beginning something there.
        OutputError: from ``check``.
        OSError: the folder cannot be made or written.
    """
    made = [folder for folder in (run, *run.parents) if not os.path.exists(folder)]
    undo.callback(_remove_empty, made)
    run.mkdir(parents=True, exist_ok=True)
    for folder in made:
        sync_folder(folder.parent)
    lock = RunLock(run)
    undo.callback(lock.release)
    check(run)
    return lock


def fill(run: Path, config: str, environment: Mapping[str, object], ledger: bytes) -> None:
    """Writes what a run begins with, the ledger last.

    Raises:
        OSError: the disk is full, or fails.
    """
    for name in (ITEMS, FRONT):
        (run / name).mkdir(exist_ok=True)
    write_whole(run / CONFIG, config.encode())
    write_whole(run / ENVIRONMENT, f"{json.dumps(environment, indent=2)}\n".encode())
    write_whole(run / LEDGER, ledger)


def read_config(run: Path) -> Mapping[str, Any]:
    """The resolved config that a run began with.

    Raises:
        StudyError: it cannot be read.
    """
    return _read(run / CONFIG, yaml.safe_load, yaml.YAMLError)


def read_environment(run: Path) -> Mapping[str, Any]:
    """Versions, the machine and the models' fingerprints, as a run began.

    Raises:
        StudyError: they cannot be read.
    """
    return _read(run / ENVIRONMENT, json.loads, ValueError)


def _read(path: Path, parse: Callable[[str], Any], failure: type[Exception]) -> Mapping[str, Any]:
    try:
        tree = parse(path.read_text("utf-8"))
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror}; put it back") from error
    except (failure, UnicodeDecodeError):
        tree = None
    if not isinstance(tree, dict):
        raise StudyError(f"{path}: was changed after it was written; put it back as it was")
    return tree


def write_front(run: Path, recipes: Mapping[str, str]) -> None:
    """Makes the folder of the front hold these files, by name, and no others.

    Raises:
        OSError: the disk is full, or fails.
    """
    folder = run / FRONT
    folder.mkdir(exist_ok=True)
    there = {file.name for file in folder.iterdir()}
    for name, text in recipes.items():
        data = text.encode()
        if name not in there or (folder / name).read_bytes() != data:
            write_whole(folder / name, data)
    for name in there - set(recipes):
        (folder / name).unlink()


def _remove_files(run: Path) -> None:
    for name in (ITEMS, FRONT):
        shutil.rmtree(run / name, ignore_errors=True)
    for name in {LEDGER, *_LEFTOVERS} - {ITEMS, FRONT}:
        with suppress(OSError):
            (run / name).unlink()


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
