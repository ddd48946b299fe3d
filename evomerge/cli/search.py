"""``evomerge search``: searches for recipes as a config says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from evomerge.cli.running import going_on, hush_libraries
from evomerge.config.reading import read_config
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
    located = read_config(config)
    if warm_start:
        given: dict[str, Any] = {
            "warm_start": [
                *located.config.warm_start,
                *(str(path.absolute()) for path in warm_start),
            ]
        }
        located = located.changed(given)
    goals = read_goals(located.config.objectives, located.config.constraints)
    folder = run or located.run
    hush_libraries()
    budget = trials or located.config.budget.trials
    with going_on(folder, goals, budget, quiet=quiet) as watcher:
        from evomerge.session import begin

        study = begin(located, folder, trials=trials, watcher=watcher)
    from evomerge.report.closing import closing_statement

    sys.stdout.write(closing_statement(study))
