"""``evomerge resume``: goes on with a search from where it was."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from evomerge.cli.running import going_on, holds_chain, hush_libraries, resumable, watching_stage
from evomerge.study import Study


def resume(
    run: Annotated[Path, Argument(help="The folder of a run.", show_default=False)],
    trials: Annotated[
        int | None, Option(min=1, help="The budget of trials in all, instead of the config's.")
    ] = None,
    retry_failed: Annotated[
        bool, Option("--retry-failed", help="Try again what failed, in trials of their own.")
    ] = False,
    accept_drift: Annotated[
        bool,
        Option("--accept-drift", help="Go on where the optimizer would now ask for other points."),
    ] = False,
    quiet: Annotated[bool, Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Goes on with a search from where it is, as if it had never stopped.

    What is recorded is recalled, not scored again. With more --trials, a finished search goes on;
    of a chain, its last stage.
    """
    if holds_chain(run):
        given = {"retry_failed": retry_failed, "accept_drift": accept_drift}
        sys.stdout.write(_chain(run, trials, given, quiet=quiet))
        return
    study = Study.open(run)
    budget = trials or (study.config.get("budget") or {}).get("trials")
    hush_libraries()
    with going_on(run, study.goals, budget, quiet=quiet) as watcher:
        from evomerge.session import Resumption
        from evomerge.session import resume as go_on

        how = Resumption(trials, retry_failed=retry_failed, accept_drift=accept_drift)
        study = go_on(run, how, watcher=watcher)
    from evomerge.report.closing import closing_statement

    sys.stdout.write(closing_statement(study))


def _chain(run: Path, trials: int | None, given: dict[str, bool], *, quiet: bool) -> str:
    """Goes on with a chain, and gives what is said at the end."""
    hush_libraries()
    with resumable(run):
        from evomerge.chain import resume as go_on
        from evomerge.session import Resumption

        go_on(run, Resumption(trials, **given), partial(watching_stage, quiet=quiet))
    from evomerge.chain.findings import closing

    return closing(run)
