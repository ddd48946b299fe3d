"""What is seen of a search while it runs: a panel on a terminal, a line a trial anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from evomerge.goals import Goals
from evomerge.report.standing import Standing
from evomerge.report.words import counted, duration, number, scores
from evomerge.searching import Unwatched, Watcher
from evomerge.trial import BASELINES, SEARCH, Trial

if TYPE_CHECKING:
    from rich.live import Live
    from rich.panel import Panel

# A panel is drawn so often in a second; a trial may take a millisecond, or an hour.
DRAWINGS = 4
WIDTH = 100  # columns of a panel at most: it holds short lines


class Progress:
    """What both views show: where the search stands, and how fast it goes.

    Attributes:
        standing: of all trials that were told.
        budget: how many trials the search has, or None.
        stage: of the trial at hand, or of the last one.
        number: of that trial.
        last: the trial that ended last.
    """

    def __init__(
        self, goals: Goals, budget: int | None, *, clock: Callable[[], float] = perf_counter
    ) -> None:
        """``clock`` tells seconds."""
        self.standing = Standing(goals)
        self.budget = budget
        self.stage = BASELINES
        self.number = 0
        self.last: Trial | None = None
        self._clock = clock
        self._began: dict[int, float] = {}
        self._durations: list[float] = []

    def began(self, stage: str, number: int) -> None:
        """A trial has begun."""
        self.stage, self.number = stage, number
        self._began[number] = self._clock()

    def ended(self, trial: Trial) -> float | None:
        """A trial is recorded. How long it took; None if it was recorded before."""
        self.standing.tell(trial)
        self.last = trial
        began = self._began.pop(trial.number, None)
        if began is None:
            return None
        taken = self._clock() - began
        if trial.stage == SEARCH:
            self._durations.append(taken)
        return taken

    @property
    def seconds(self) -> float | None:
        """The mean duration of the trials of the search since the program started."""
        return sum(self._durations) / len(self._durations) if self._durations else None

    @property
    def left(self) -> float | None:
        """The seconds until the budget of trials is spent; None if nothing tells."""
        if self.budget is None or self.seconds is None:
            return None
        return max(0, self.budget - self.standing.counts[SEARCH]) * self.seconds

    def place(self, trial: Trial | None = None) -> str:
        """``search 17/200``: of a trial that ended, or of the one at hand."""
        stage = self.stage if trial is None else trial.stage
        running = trial is None and self.number in self._began
        count = self.standing.counts[stage] + running
        of = f"/{self.budget}" if stage == SEARCH and self.budget is not None else ""
        return f"{stage} {count}{of}"


class Lines:
    """A line of text for each trial."""

    def __init__(self, progress: Progress) -> None:
        """``progress`` is what to show."""
        self._progress = progress

    def began(self, stage: str, number: int) -> None:
        """Remembers when."""
        self._progress.began(stage, number)

    def ended(self, trial: Trial) -> None:
        """Writes the line, unless the trial was recorded by an earlier run."""
        taken = self._progress.ended(trial)
        if taken is not None:
            self.note(line(self._progress, trial, taken))

    def note(self, text: str) -> None:
        """Writes a remark."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class Drawing:
    """A panel that is drawn over and over."""

    def __init__(self, progress: Progress, live: Live) -> None:
        """``live`` draws what `panel` makes."""
        self._progress = progress
        self._live = live

    def began(self, stage: str, number: int) -> None:
        """Shows what is being done."""
        self._progress.began(stage, number)

    def ended(self, trial: Trial) -> None:
        """Shows what came of it."""
        self._progress.ended(trial)

    def note(self, text: str) -> None:
        """Writes a remark above the panel."""
        self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def watching(goals: Goals, *, budget: int | None, quiet: bool = False) -> Iterator[Watcher]:
    """Shows on standard error what a search tells the watcher that this yields.

    Args:
        goals: what better means.
        budget: how many trials the search has; None if something else ends it.
        quiet: show nothing.
    """
    if quiet:
        yield Unwatched()
    elif not sys.stderr.isatty():
        yield Lines(Progress(goals, budget))
    else:
        progress = Progress(goals, budget)
        with _live(lambda: panel(progress)) as live:
            yield Drawing(progress, live)


def line(progress: Progress, trial: Trial, taken: float) -> str:
    """A trial that has just ended, in one line."""
    parts = [progress.place(trial), _outcome(trial, progress.standing.goals)]
    if trial.stage == SEARCH:
        parts.append(_best_so_far(progress.standing))
    parts += [trial.label, duration(taken)]
    return "  ".join(part for part in parts if part)


def panel(progress: Progress) -> Panel:
    """The panel: a few short lines about the search as a whole."""
    from rich import box
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="ellipsis", no_wrap=True)
    for name, text in rows(progress):
        grid.add_row(name, Text(text, style="bold" if name == "best" else ""))
    return Panel(grid, title=Text(progress.place()), title_align="left", box=box.ROUNDED)


def rows(progress: Progress) -> Iterable[tuple[str, str]]:
    """What the panel says, line by line: a name and a text."""
    standing = progress.standing
    goals = standing.goals
    yield "best", _champion(standing, SEARCH) or "none yet"
    if baseline := _champion(standing, BASELINES):
        yield "baseline", baseline
    if goals.pareto:
        yield "front", counted(len(standing.front), "recipe")
    if progress.last is not None:
        yield "last", f"{_outcome(progress.last, goals)}  {_named(progress.last)}"
    if progress.seconds is not None:
        left = "" if progress.left is None else f", {duration(progress.left)} left"
        yield "time", f"{duration(progress.seconds)} a trial{left}"
    if failed := standing.failed:
        message = failed[-1].failure.message if failed[-1].failure else ""
        yield "failed", f"{counted(len(failed), 'trial')}; {_named(failed[-1])}: {message}"


def _live(drawn: Callable[[], Panel]) -> Live:
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    console.width = min(console.width, WIDTH)
    # Standard output is left alone: libraries that load meanwhile remember what it is. What is
    # written to standard error, such as warnings, appears above the panel.
    return Live(
        get_renderable=drawn,
        console=console,
        refresh_per_second=DRAWINGS,
        redirect_stdout=False,
    )


def _outcome(trial: Trial, goals: Goals) -> str:
    if trial.failure is not None:
        return f"failed: {trial.failure.message}"
    text = scores(trial.scores, goals.names)
    outcome = goals.outcome(trial)
    if outcome.losses is None:
        return f"{text}  incomplete".strip()
    missed = f"  misses the constraints by {number(outcome.violation)}"
    return text if outcome.feasible else text + missed


def _best_so_far(standing: Standing) -> str:
    """The state of the search at the end of a line."""
    if standing.goals.pareto:
        return f"front {len(standing.front)}"
    best = standing.best()
    if best is None:
        return ""
    return f"best {number(standing.total(best))} (trial {best.number})"


def _champion(standing: Standing, stage: str) -> str:
    """The best of a stage: a trial, or where objectives stay apart the best score of each."""
    if standing.goals.pareto:
        return scores(standing.bests(stage), standing.goals.weights)
    best = standing.best(stage)
    if best is None:
        return ""
    text = scores(best.scores, standing.goals.weights)
    several = len(standing.goals.weights) > 1
    total = f"  total {number(standing.total(best))}" if several else ""
    return f"{text}{total}  {_named(best)}"


def _named(trial: Trial) -> str:
    label = f": {trial.label}" if trial.label else ""
    return f"(trial {trial.number}{label})"
