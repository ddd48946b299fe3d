"""The folder of a chain: an ordinary run folder for each stage, and the models between them.

chain.yaml    the config of the chain as it was resolved; the folder is a chain's by this file
1-blend/      the run of the first stage
models/       what the stages found, each a model folder that exists whole or not at all
2-stack/      the run of the second stage
lock          who writes
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from evomerge.config.chained import ChainConfig, read_either
from evomerge.errors import OutputError, SearchError, StudyError
from evomerge.study import Study
from evomerge.study.files import explained, temporary_name, write_whole
from evomerge.study.folder import CHAIN, CLAIMING, CONFIG, LEDGER, claim
from evomerge.study.folder import read_config as read_run_config
from evomerge.study.lock import LOCK, RunLock

MODELS = "models"
# What a chain that was killed as it began may have left.
_LEFTOVERS = {LOCK, temporary_name(CHAIN)}


@dataclass(frozen=True)
class Chain:
    """A chain that has begun.

    Attributes:
        run: its folder.
        config: what it was begun with, or what became of that.
    """

    run: Path
    config: ChainConfig

    @classmethod
    def open(cls, run: Path) -> Chain:
        """The chain in a folder.

        Raises:
            StudyError: there is none.
            RecipeError: its chain.yaml was changed to something that is no chain.
        """
        path = run / CHAIN
        if not path.is_file():
            raise StudyError(f"{path}: no such file; name the folder of a chain")
        config = read_either(path)
        if not isinstance(config, ChainConfig):
            raise StudyError(f"{path}: has no stages; put it back as it was")
        return cls(run, config)

    @property
    def stages(self) -> list[str]:
        """The names of all stages, in order."""
        return list(self.config.stages)

    @property
    def begun(self) -> list[str]:
        """The names of those that have a ledger, in order."""
        return [name for name in self.stages if (self.place(name) / LEDGER).exists()]

    @property
    def models(self) -> Path:
        """The folder of the models between the stages, an absolute path, as recipes name it."""
        return Path(os.path.abspath(self.run)) / MODELS

    def place(self, name: str) -> Path:
        """The run folder of a stage."""
        return self.run / self.config.place(name)

    def study(self, name: str) -> Study:
        """What a stage has recorded.

        Raises:
            StudyError: nothing yet, or it cannot be read.
        """
        return Study.open(self.place(name))

    def entered(self) -> dict[str, str]:
        """By the stage they come from, the models that the latest stage was begun with.

        Raises:
            StudyError: the config of that stage cannot be read.
        """
        begun = self.begun
        if len(begun) < 2:  # noqa: PLR2004  the first stage begins with the models of the config
            return {}
        models = read_run_config(self.place(begun[-1])).get("models") or {}
        missing = [name for name in begun[:-1] if name not in models]
        if missing:
            raise StudyError(
                f"{self.place(begun[-1]) / CONFIG}: does not name the model '{missing[0]}', with "
                "which it was begun; put it back as it was"
            )
        return {name: str(models[name]) for name in begun[:-1]}


def is_chain(run: Path) -> bool:
    """Whether a folder is that of a chain."""
    return (run / CHAIN).is_file()


def check_new(run: Path) -> None:
    """Refuses a place where a chain must not begin. Changes nothing.

    Raises:
        SearchError: a chain or a run is there already.
        OutputError: something else stands there.
    """
    if not os.path.isdir(run):
        if os.path.lexists(run):
            raise OutputError(f"{run}: is a file; name a folder for the chain")
        return
    found = set(os.listdir(run))
    for file, what in ((CHAIN, "chain"), (LEDGER, "run")):
        if file in found:
            raise SearchError(
                f"{run}: holds a {what} already; to go on with it: evomerge resume {run}; "
                "to begin another, name another folder"
            )
    foreign = sorted(found - _LEFTOVERS)
    if foreign:
        raise OutputError(
            f"{run}: is not a chain (it has no {CHAIN}) and not empty (it has {foreign[0]}); "
            "name another folder for the chain"
        )


@contextmanager
def begun(run: Path, config: ChainConfig) -> Iterator[Chain]:
    """Makes the folder of a chain, and holds its lock.

    If what follows fails before the first stage has recorded anything, nothing is left.

    Raises:
        SearchError: there is a chain already, or another process is beginning it.
        OutputError: the folder cannot be made or written.
    """
    check_new(run)
    with ExitStack() as undo:
        with explained(run, CLAIMING):
            lock = claim(run, check_new, undo)
            undo.callback(_remove_files, run)
            write_whole(run / CHAIN, config.written(run.absolute()).encode())
        chain = Chain.open(run)
        try:
            yield chain
        finally:
            if chain.begun:
                undo.pop_all()
                lock.release()


@contextmanager
def locked(run: Path) -> Iterator[Chain]:
    """The chain in a folder, which no other process goes on with meanwhile.

    Raises:
        StudyError: there is none.
        SearchError: another process writes it.
    """
    Chain.open(run)
    with explained(run, f"try again: evomerge resume {run}"):
        lock = RunLock(run)
    try:
        yield Chain.open(run)  # again: it may have been changed while the lock was waited for
    finally:
        lock.release()


def _remove_files(run: Path) -> None:
    for name in (CHAIN, *_LEFTOVERS):
        with suppress(OSError):
            (run / name).unlink()
