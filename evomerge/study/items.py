"""What each item contributed to a trial: one file a trial, whose hash stands in the ledger.

Plain JSON, because compressed it would still take half the space: a trial of 800 contributions
has 14 kB, 6 kB with gzip.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from evomerge.errors import StudyError
from evomerge.study.chain import digest
from evomerge.study.folder import ITEMS
from evomerge.study.records import read_tables
from evomerge.trial import ItemTable

# Those of trials, and those that were not finished.
_OURS = re.compile(r"\d{6,}\.json|\.\d{6,}\.json\.tmp")


def items_path(run: Path, number: int) -> Path:
    """Where the items of trial ``number`` stand."""
    return run / ITEMS / f"{number:06d}.json"


def read_items(path: Path, expected: str) -> tuple[ItemTable, ...]:
    """The tables in an items file.

    Args:
        path: the file.
        expected: its hash, from the ledger.

    Raises:
        StudyError: the file is missing, or is not the one that was written.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise StudyError(f"{path}: is missing; put the file back") from error
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror}") from error
    if digest(data) != expected:
        raise StudyError(f"{path}: was changed after it was written; put the file back as it was")
    return read_tables(data)


def remove_orphans(run: Path, digests: Mapping[int, str]) -> None:
    """Removes the items that a killed process wrote for a trial which the ledger does not have.

    Args:
        run: the run folder.
        digests: by number, the trials that have items.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = run / ITEMS
    folder.mkdir(exist_ok=True)
    kept = {items_path(run, number).name for number in digests}
    for file in folder.iterdir():
        if _OURS.fullmatch(file.name) and file.name not in kept:
            file.unlink()
