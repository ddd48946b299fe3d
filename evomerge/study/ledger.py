"""The ledger of a study: a file of chained lines that only ever grows by whole ones."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from evomerge.errors import StudyError
from evomerge.study.chain import START, Record, seal, unseal
from evomerge.study.files import write_all
from evomerge.study.folder import CHAIN, LEDGER
from evomerge.study.header import check_format


@dataclass(frozen=True)
class End:
    """Where the last whole line ends.

    Attributes:
        size: bytes up to there.
        link: the hash of the line.
        lines: how many there are.
    """

    size: int
    link: str
    lines: int


@dataclass(frozen=True)
class Line:
    """A line that is ready to be appended.

    Attributes:
        data: its bytes, with the newline.
        end: where it will end.
    """

    data: bytes
    end: End

    @property
    def record(self) -> Record:
        """What it says, as it will be read."""
        return json.loads(self.data)


def check_there(path: Path) -> None:
    """Refuses a folder without a ledger. Changes nothing.

    Raises:
        StudyError: there is none.
    """
    if path.is_file():
        return
    if (path.parent / CHAIN).is_file():
        stages = sorted(str(each.parent) for each in path.parent.glob(f"*/{LEDGER}"))
        listed = ", ".join(stages) or "none yet"
        raise StudyError(f"{path.parent}: is a chain of runs; name one of them: {listed}")
    raise StudyError(f"{path}: no such file; name the folder of a run")


def read_ledger(path: Path) -> tuple[list[Record], End]:
    """The records of all whole lines, and where they end. An unfinished line is not there yet.

    Raises:
        StudyError: the file cannot be read, is of a newer format, or was changed by hand.
    """
    check_there(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror}") from error
    lines = data.split(b"\n")[:-1]
    _check_first(lines, path)
    records = []
    link = START
    for number, line in enumerate(lines, start=1):
        try:
            record, link = unseal(line, link, f"{path}: line {number}")
        except StudyError as error:
            raise StudyError(f"{error}; {_remedy(path, number)}") from error
        records.append(record)
    return records, End(data.rfind(b"\n") + 1, link, len(lines))


def _check_first(lines: list[bytes], path: Path) -> None:
    """Before any hash is looked at: a newer format may have others."""
    record = None
    with suppress(ValueError):
        record = json.loads(lines[0]) if lines else None
    check_format(record if isinstance(record, dict) else {}, f"{path}: line 1")


def _remedy(path: Path, number: int) -> str:
    if number == 1:
        return "put the file back as it was"
    return (
        f"put it back as it was, or go on from the lines before it:\n"
        f"       head -n {number - 1} {path} > whole && mv whole {path}"
    )


class Ledger:
    """A ledger that is open to be appended to, by one process at a time.

    Attributes:
        end: where the last whole line ends.
    """

    def __init__(self, path: Path, end: End) -> None:
        """Opens the file, and cuts off what stands behind its last whole line.

        Raises:
            OSError: it cannot be written.
        """
        self.end = end
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        if os.fstat(self._descriptor).st_size > end.size:
            self._cut()

    def prepare(self, record: Record, where: str) -> Line:
        """The line that would record ``record`` next.

        Raises:
            StudyError: it holds NaN or infinity.
        """
        data, link = seal(record, self.end.link, where)
        return Line(data, End(self.end.size + len(data), link, self.end.lines + 1))

    def append(self, line: Line) -> None:
        """Puts a line on the disk. If that fails, the file ends where it ended before.

        Raises:
            StudyError: something else changed the file.
            OSError: the disk is full, or fails.
        """
        self._check_own()
        try:
            write_all(self._descriptor, line.data)
            os.fsync(self._descriptor)
            self.end = line.end
        except BaseException:
            with suppress(OSError):
                self._cut()
            raise

    def close(self) -> None:
        """Ends the appending. Twice does no harm."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _cut(self) -> None:
        os.ftruncate(self._descriptor, self.end.size)
        os.fsync(self._descriptor)

    def _check_own(self) -> None:
        """An editor that saves a file puts another in its place, and our lines would be lost."""
        own = os.fstat(self._descriptor)
        same = self._path.exists() and os.path.samestat(own, self._path.stat())
        if own.st_size != self.end.size or not same:
            raise StudyError(
                f"{self._path}: was changed while this run was writing it; put it back as it was, "
                f"then resume the run"
            )
