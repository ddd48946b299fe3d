"""``evomerge finalists``: is the winner better, on items that the search never saw?"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from evomerge.cli.running import going_on, holds_chain, hush_libraries, resumable, watching_stage
from evomerge.study import Study


def finalists(
    run: Annotated[Path, Argument(help="The folder of a run.", show_default=False)],
    quiet: Annotated[bool, Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Scores the best trials and all baselines on the holdout, and gives the verdict.

    A search does that at its end; this does it for one that was stopped, or whose config keeps the
    holdout closed. What was scored on the holdout before is recalled. Of a chain it is the last
    stage that is judged.
    """
    if holds_chain(run):
        sys.stdout.write(_chain(run, quiet=quiet))
        return
    study = Study.open(run)
    hush_libraries()
    with going_on(run, study.goals, None, quiet=quiet) as watcher:
        from evomerge.session import judge

        study = judge(run, watcher=watcher)
    from evomerge.report.closing import closing_statement

    sys.stdout.write(closing_statement(study))


def _chain(run: Path, *, quiet: bool) -> str:
    """Judges the last stage of a chain, and gives what is said at the end."""
    hush_libraries()
    with resumable(run):
        from evomerge.chain import judge

        judge(run, partial(watching_stage, quiet=quiet))
    from evomerge.chain.findings import closing

    return closing(run)
