"""A search as `evomerge.session` runs one, with a clock at every step of its trials."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace, TracebackType
from typing import Any

from evomerge.config.preparing import Prepared, prepare
from evomerge.config.reading import config_of
from evomerge.objective import Objective
from evomerge.recipe import Recipe
from evomerge.rehearsal import models_of
from evomerge.searching import Budget, Runner, Search, Unwatched
from evomerge.study import Header, Study
from evomerge.trial import SEARCH, ItemTable, Result, Score, Trial
from evomerge.workbench import Workbench, bench

# What a trial is for.
MERGING, FORWARD, ASKING = "merging", "forward passes", "the optimizer's proposal"
# And what else is known by name.
FILLING, PLANNING, SCORING = "filling the template", "planning the merge", "scoring, beside forward"
RECORDING, TELLING = "recording, on the disk", "telling the optimizer"
PHASES = (MERGING, FORWARD, ASKING, FILLING, PLANNING, SCORING, RECORDING, TELLING)
ITEMS = 200


@dataclass(frozen=True)
class Row:
    """One trial.

    Attributes:
        whole: its seconds, from the end of the one before it to its own.
        seconds: by phase; each second is in one of them at most.
    """

    whole: float
    seconds: Mapping[str, float]

    @property
    def rest(self) -> float:
        """Seconds in no phase."""
        return self.whole - sum(self.seconds.values())

    @property
    def overhead(self) -> float:
        """Seconds that a trial is not for."""
        return self.whole - sum(self.seconds[phase] for phase in (MERGING, FORWARD, ASKING))


class Clock(Unwatched):
    """Watches a search, and takes its trials apart."""

    def __init__(self) -> None:
        """It starts."""
        self.rows: list[Row] = []
        self.memory: list[int] = []
        self._spent: dict[str, float] = defaultdict(float)
        self._last = perf_counter()

    def timing(self, phase: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """``work``, whose seconds count to a phase."""

        def timed(*args: object, **kwargs: object) -> object:
            began = perf_counter()
            try:
                return work(*args, **kwargs)
            finally:
                self._spent[phase] += perf_counter() - began

        return timed

    def start(self) -> None:
        """A trial begins now: what went before counts for none."""
        self._spent.clear()
        self._last = perf_counter()

    def ended(self, trial: Trial) -> None:
        """One more trial."""
        whole = perf_counter() - self._last
        spent, own = self._spent, trial.seconds
        known = {phase: spent[phase] for phase in (MERGING, FILLING, RECORDING, TELLING)}
        known[FORWARD], known[SCORING] = own["forward"], own["evaluate"]
        known[ASKING] = own.get("ask", 0.0)
        known[PLANNING] = own["merge"] - spent[MERGING]
        self.rows.append(Row(whole, known))
        self.memory.append(resident_memory())
        self.start()


class TimedSearch:
    """A search over models in memory, in a run folder that goes away.

    Attributes:
        prepared: what its config names.
    """

    def __init__(self, config: Mapping[str, object], run: Path) -> None:
        """Opens models and tasks, and begins the study."""
        shutil.rmtree(run, ignore_errors=True)
        self.prepared = prepare(config_of(config))
        self._clock, self._run = Clock(), run
        self._bench = Workbench(models_of(self.prepared), self.prepared.bench)
        self._merge, bench.make_all = bench.make_all, self._clock.timing(MERGING, bench.make_all)
        self._study = new_study(self.prepared, run)
        self._study.append = self._clock.timing(RECORDING, self._study.append)
        objective = Objective(self._bench, self.prepared.evaluators)
        self._runner = Runner(self._study, objective, watcher=self._clock)

    @property
    def rows(self) -> list[Row]:
        """Its trials so far."""
        return self._clock.rows

    @property
    def memory(self) -> list[int]:
        """Bytes that the process held after each of them."""
        return self._clock.memory

    def run(self, trials: int) -> None:
        """Searches for so many trials."""
        timing, template = self._clock.timing, self.prepared.template
        optimizer = self.prepared.new_optimizer()
        filling = SimpleNamespace(
            space=template.space,
            fill=timing(FILLING, template.fill),
            settle=timing(FILLING, template.settle),
        )
        told = SimpleNamespace(ask=optimizer.ask, tell=timing(TELLING, optimizer.tell))
        self._clock.start()
        Search(filling, told, self.prepared.goals).run(self._runner, Budget(trials=trials))

    def trial(self, recipe: Recipe) -> Trial:
        """One trial of a recipe."""
        self._clock.start()
        trial = Trial(len(self._study.trials), SEARCH, recipe.tree())
        return self._runner.run(trial, recipe)

    def __enter__(self) -> TimedSearch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        bench.make_all = self._merge
        self._study.close()
        self._bench.close()
        shutil.rmtree(self._run)


def new_study(prepared: Prepared, run: Path) -> Study:
    """A study in a new run folder."""
    config = prepared.located.written(run=str(run))
    return Study.create(run, Header.make(prepared.covers), config=config, environment={})


def write_ledger(config: Mapping[str, object], run: Path, trials: int) -> int:
    """Records a search of so many trials, whose scores cost nothing; the number of dimensions."""
    shutil.rmtree(run, ignore_errors=True)
    prepared = prepare(config_of(config))
    with new_study(prepared, run) as study:
        _search(prepared, study, trials)
    return len(prepared.template.space)


def replay(config: Mapping[str, object], run: Path, trials: int) -> tuple[float, float]:
    """Seconds to read the ledger, and to bring a new optimizer to where the recorded one was."""
    prepared = prepare(config_of(config))
    began = perf_counter()
    with Study.open(run, write=True) as study:
        read = perf_counter()
        _search(prepared, study, trials)
        return read - began, perf_counter() - read


def _search(prepared: Prepared, study: Study, trials: int) -> None:
    search = Search(prepared.template, prepared.new_optimizer(), prepared.goals)
    search.run(Runner(study, from_thin_air), Budget(trials=trials))
    if len(study.trials) != trials:
        raise SystemExit(f"{len(study.trials)} trials for {trials}: the benchmark is void")


def from_thin_air(recipe: Recipe) -> Result:
    """The loss is how far the weights are from .4; all items contribute the same."""
    weights = [each["parameters"]["weight"] for each in recipe.tree()["models"]]
    value = -sum((share - 0.4) ** 2 for row in weights for share in row)
    items = dict.fromkeys(range(ITEMS), value)
    table = ItemTable("items", "items", "acc", "none", "mean", 1.0, items)
    return Result({"items": Score(value, True, ITEMS)}, (table,))


def resident_memory() -> int:
    """Of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
