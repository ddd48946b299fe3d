"""``evomerge search``: searches for recipes as a config says."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from evomerge.cli.running import going_on, hush_libraries, resumable, watching_stage
from evomerge.config.chained import ChainConfig, read_either
from evomerge.config.reading import Located
from evomerge.goals import read_goals


def search(
    config: Annotated[Path, Argument(help="What to search, and how.", show_default=False)],
    run: Annotated[
        Path | None, Option(help="The folder of the results, instead of the config's.")
    ] = None,
    trials: Annotated[
        int | None, Option(min=1, help="The budget of trials, instead of the config's.")
    ] = None,
    warm_start: Annotated[
        list[Path] | None,
        Option(help="An earlier run, or a mergekit recipe, to start from. May be repeated."),
    ] = None,
    quiet: Annotated[bool, Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Searches for the best recipes, and says whether they are better than what you have.

    Every trial is recorded as it ends. A run that was stopped, by whatever it was, goes on with
    'evomerge resume RUN'.
    """
    found = read_either(config)
    if warm_start:
        found = _with_warm_starts(found, [str(path.absolute()) for path in warm_start])
    if isinstance(found, ChainConfig):
        sys.stdout.write(_chain(found, run or found.run, trials, quiet=quiet))
        return
    goals = read_goals(found.config.objectives, found.config.constraints)
    folder = run or found.run
    hush_libraries()
    budget = trials or found.config.budget.trials
    with going_on(folder, goals, budget, quiet=quiet) as watcher:
        from evomerge.session import begin

        study = begin(found, folder, trials=trials, watcher=watcher)
    from evomerge.report.closing import closing_statement

    sys.stdout.write(closing_statement(study))


def _with_warm_starts(found: Located | ChainConfig, more: Sequence[str]) -> Located | ChainConfig:
    """A chain starts in its first stage."""
    if isinstance(found, Located):
        given: dict[str, Any] = {"warm_start": [*found.config.warm_start, *more]}
        return found.changed(given)
    first, own = next(iter(found.stages.items()))
    return found.changed(first, {"warm_start": [*(own.get("warm_start") or ()), *more]})


def _chain(config: ChainConfig, run: Path, trials: int | None, *, quiet: bool) -> str:
    """Runs all stages, and gives what is said at the end."""
    hush_libraries()
    with resumable(run):
        from evomerge.chain import begin

        begin(config, run, partial(watching_stage, quiet=quiet), trials=trials)
    from evomerge.chain.findings import closing

    return closing(run)
