"""What the verbs that run a search share: progress, silent libraries, and the way back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from evomerge.cli.live import watching
from evomerge.config.reading import Located
from evomerge.errors import Interrupted
from evomerge.goals import Goals, read_goals
from evomerge.study.folder import CHAIN, LEDGER

if TYPE_CHECKING:
    from evomerge.searching import Watcher


def hush_libraries() -> None:
    """Their bars and remarks would stand between the user and the results."""
    from transformers.utils import logging as transformers_logging

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


@contextmanager
def going_on(run: Path, goals: Goals, budget: int | None, *, quiet: bool) -> Iterator[Watcher]:
    """Shows a search; when it is interrupted, says how it goes on, if there is a run by then."""
    with resumable(run, LEDGER), watching(goals, budget=budget, quiet=quiet) as watcher:
        yield watcher


def holds_chain(run: Path) -> bool:
    """Whether a folder is that of a chain of searches, told without loading what runs them."""
    return (run / CHAIN).is_file()


@contextmanager
def resumable(run: Path, mark: str = CHAIN) -> Iterator[None]:
    """When something is interrupted, says how it goes on, if there is the file ``mark`` by then."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if not (run / mark).exists():
            raise
        raise Interrupted(
            f"every trial that ended is recorded; go on with: evomerge resume {run}"
        ) from stop


def watching_stage(located: Located, *, quiet: bool) -> AbstractContextManager[Watcher]:
    """Shows one stage of a chain."""
    config = located.config
    goals = read_goals(config.objectives, config.constraints)
    return watching(goals, budget=config.budget.trials, quiet=quiet)
