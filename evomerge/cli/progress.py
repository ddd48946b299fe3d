"""Progress on standard error: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from evomerge.merging.plan import Plan


@contextmanager
def progress_bar(what: str, total: float) -> Iterator[Callable[[float], None] | None]:
    """A function that advances the bar; None when standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with _bars() as bars:
        task = bars.add_task(what, total=total)
        yield lambda step: bars.advance(task, step)


@contextmanager
def stage_bar(what: str) -> Iterator[Callable[[str, float], None] | None]:
    """A function of the stage at hand and the share of the whole, in [0, 1], that is done.

    None when standard error is no terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return
    with _bars() as bars:
        task = bars.add_task(what, total=1.0)
        yield lambda stage, done: bars.update(task, description=f"{what}: {stage}", completed=done)


def find_alignments(plan: Plan) -> None:
    """Finds, one after the other, what moves the models that a recipe aligns; says which it is.

    Raises:
        EvomergeError: one cannot be found.
    """
    for each in plan.models.aligned:
        if not each.is_known:
            with progress_bar(each.task, 1):
                each.find()


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    # Standard output is left alone: libraries that load meanwhile remember what it is.
    return Progress(console=Console(stderr=True), transient=True, redirect_stdout=False)
