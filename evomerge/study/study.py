"""A study: everything that a run has tried, read from its folder and appended to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from evomerge.errors import SearchError, StudyError
from evomerge.goals import Goals, read_goals
from evomerge.study.chain import START, Record, digest, seal
from evomerge.study.differences import differences
from evomerge.study.files import explained, write_whole
from evomerge.study.folder import LEDGER, begun, fill, read_config, read_environment, write_front
from evomerge.study.header import Header
from evomerge.study.items import items_path, read_items, remove_orphans
from evomerge.study.ledger import Ledger, check_there, read_ledger
from evomerge.study.lock import RunLock
from evomerge.study.records import TRIAL, read_trial, trial_record, write_tables
from evomerge.trial import ItemTable, Trial

_T = TypeVar("_T")


class Study:
    """The trials of a run, in order, and the items behind their scores.

    with Study.open("runs/quickstart") as study:
        best = max(study.stage("search"), key=lambda trial: trial.scores["sums"].value)
        print(best.number, best.recipe)

    Any number of processes may read a run while one writes it: they see the trials that were
    recorded when they opened it.

    Attributes:
        run: the run folder.
        header: what the study is about.
    """

    def __init__(self, run: Path, records: Sequence[Record], ledger: Ledger | None = None) -> None:
        """Use `create` or `open`.

        Raises:
            StudyError: a record cannot be understood.
        """
        self.run = run
        path = run / LEDGER
        self.header = _understood(Header.read, records[0], f"{path}: line 1")
        self._trials: list[Trial] = []
        self._digests: dict[int, str] = {}
        self._ledger = ledger
        self._lock: RunLock | None = None
        for number, record in enumerate(records[1:], start=2):
            self._take(record, f"{path}: line {number}")

    @classmethod
    def create(
        cls,
        run: str | PathLike[str],
        header: Header,
        *,
        config: str,
        environment: Mapping[str, object],
    ) -> Study:
        """Begins a study in a folder of its own, to be appended to.

        Args:
            run: the folder, which is made. It may exist if it is empty.
            header: what the study is about.
            config: the resolved config, as YAML.
            environment: versions, the machine, the models' fingerprints.

        Raises:
            SearchError: there is a run already, or another process is beginning it.
            OutputError: something else stands there, or the disk is full.
        """
        where = Path(run)
        record = header.record()
        line, _ = seal(record, START, f"{where}: header")
        with begun(where) as lock:
            fill(where, config, environment, line)
            return cls._to_append(where, lock)

    @classmethod
    def open(cls, run: str | PathLike[str], *, write: bool = False) -> Study:
        """The study of a run folder.

        Args:
            run: the folder.
            write: to append to it. Only one process at a time can; reading takes no lock.

        Raises:
            StudyError: there is no study, it is of a newer evomerge, or it was changed by hand.
            SearchError: it is to be written, and another process writes it.
            OutputError: it is to be written, and cannot be.
        """
        where = Path(run)
        if not write:
            return cls(where, read_ledger(where / LEDGER)[0])
        check_there(where / LEDGER)
        with explained(where, f"try again: evomerge resume {where}"):
            lock = RunLock(where)
            try:
                return cls._to_append(where, lock)
            except BaseException:
                lock.release()
                raise

    @classmethod
    def _to_append(cls, run: Path, lock: RunLock) -> Study:
        """Reads what is there, now that nobody else writes, and removes what was cut off."""
        path = run / LEDGER
        records, end = read_ledger(path)
        study = cls(run, records)
        remove_orphans(run, study._digests)
        study._ledger, study._lock = Ledger(path, end), lock
        return study

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials, in order; trial ``n`` is the one at ``n``."""
        return tuple(self._trials)

    def stage(self, name: str) -> list[Trial]:
        """The trials of one stage, in order."""
        return [trial for trial in self._trials if trial.stage == name]

    def find(self, number: int) -> Trial:
        """The trial of that number.

        Raises:
            StudyError: there is none.
        """
        if not 0 <= number < len(self._trials):
            there = f"trials 0 to {len(self._trials) - 1}" if self._trials else "no trials yet"
            raise StudyError(f"{self.run}: has no trial {number}; it has {there}")
        return self._trials[number]

    def tables(self, number: int) -> tuple[ItemTable, ...]:
        """The items behind the scores of a trial; of one that was recalled, those it repeats.

        They are read from the disk each time. A trial that failed has none.

        Raises:
            StudyError: there is no such trial, or its items are missing or were changed.
        """
        source = self.find(number)
        while source.recalled is not None:
            source = self.find(source.recalled)
        expected = self._digests.get(source.number)
        if expected is None:
            return ()
        return read_items(items_path(self.run, source.number), expected)

    @property
    def goals(self) -> Goals:
        """What better means in this study."""
        return read_goals(self.header.covers["objectives"], self.header.covers.get("constraints"))

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The resolved config that the run began with.

        Raises:
            StudyError: it cannot be read.
        """
        return read_config(self.run)

    @cached_property
    def environment(self) -> Mapping[str, Any]:
        """Versions, the machine and the models' fingerprints, as the run began.

        Raises:
            StudyError: they cannot be read.
        """
        return read_environment(self.run)

    def check(self, covers: Mapping[str, object]) -> None:
        """Refuses to go on with the study under another config.

        Args:
            covers: what the header of a new study would cover.

        Raises:
            SearchError: the two differ; the message names each difference.
        """
        found = differences(self.header.covers, Header.make(covers).covers)
        if found:
            listed = "".join(f"\n       {difference}" for difference in found)
            raise SearchError(
                f"{self.run}: was begun under another config:{listed}\n"
                f"       put that back, or begin a new run that learns from this one: "
                f"evomerge search CONFIG --run NEW --warm-start {self.run}"
            )

    def append(self, trial: Trial, tables: Sequence[ItemTable] = ()) -> None:
        """Records a trial. When this returns it is on the disk; if it raises, nothing is recorded.

        Args:
            trial: the next one: its number is the number of trials so far.
            tables: the items behind its scores.

        Raises:
            StudyError: a number is NaN or infinite, or something else changed the ledger.
            OutputError: the disk is full, or fails. The same trial may be appended again.
            ValueError: the study is not open for writing, or it is not the next trial.
        """
        ledger = self._writable()
        where = f"trial {trial.number}"
        if trial.number != len(self._trials):
            raise ValueError(f"{where} cannot follow {len(self._trials)} trials")
        if trial.recalled is not None and not 0 <= trial.recalled < trial.number:
            raise ValueError(f"{where} cannot repeat trial {trial.recalled}")
        record = trial_record(trial)
        items = write_tables(tables, where) if tables else None
        if items is not None:
            record["items"] = digest(items)
        line = ledger.prepare(record, where)
        with self._disk():
            if items is not None:
                write_whole(items_path(self.run, trial.number), items)
            ledger.append(line)
        self._take(line.record, where)

    def write_front(self, recipes: Mapping[str, str]) -> None:
        """Makes ``front/`` hold these files, by name, and no others.

        Raises:
            OutputError: the disk is full, or fails.
            ValueError: the study is not open for writing.
        """
        self._writable()
        with self._disk():
            write_front(self.run, recipes)

    def close(self) -> None:
        """Lets another process write the run. Twice does no harm."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Study:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self, record: Record, where: str) -> None:
        """Adds a record to what is known."""
        if record.get("kind") != TRIAL:
            raise StudyError(
                f"{where}: is of a kind that this evomerge does not know, "
                f"'{record.get('kind')}'; a newer one wrote it: pip install -U evomerge"
            )
        trial = _understood(read_trial, record, where)
        self._trials.append(trial)
        if "items" in record:
            self._digests[trial.number] = record["items"]

    def _writable(self) -> Ledger:
        if self._ledger is None:
            raise ValueError(f"{self.run} is not open for writing: Study.open(run, write=True)")
        return self._ledger

    def _disk(self) -> AbstractContextManager[None]:
        return explained(self.run, f"go on, nothing recorded is lost: evomerge resume {self.run}")


def _understood(read: Callable[[Record], _T], record: Record, where: str) -> _T:
    try:
        return read(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StudyError(
            f"{where}: cannot be understood ({error}); a newer evomerge wrote it: "
            f"pip install -U evomerge"
        ) from error
