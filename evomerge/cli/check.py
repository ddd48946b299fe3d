"""``evomerge check``: everything that could stop a search, found before it begins."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from evomerge.cli.quantities import in_words
from evomerge.cli.running import hush_libraries
from evomerge.cli.tables import table
from evomerge.config.reading import read_config
from evomerge.report.words import counted, duration
from evomerge.study.folder import check_new

if TYPE_CHECKING:
    from evomerge.config.preparing import Prepared
    from evomerge.evaluators.base import Evaluator
    from evomerge.rehearsal import Rehearsal


def check(
    config: Annotated[Path, Argument(help="What to search, and how.", show_default=False)],
    dry: Annotated[
        bool, Option("--dry", help="Read no weights: no trial is timed, no time foretold.")
    ] = False,
) -> None:
    """Checks a config, its models and its evaluators, and says what the search will take.

    Everything is checked before any weight is read. Then a baseline and two candidates are built
    and scored, to see that they can be, and to foretell the time.
    """
    located = read_config(config)
    hush_libraries()
    check_new(located.run)
    from evomerge.config.preparing import prepare
    from evomerge.rehearsal import memory_of, rehearse

    prepared = prepare(located)
    rows = [*_facts(prepared), ("memory", str(memory_of(prepared)))]
    sys.stdout.write(table((str(config), ""), rows))
    for remark in prepared.remarks():
        sys.stdout.write(f"note: {remark}\n")
    if not dry:
        sys.stdout.write("".join(f"{line}\n" for line in _foretold(rehearse(prepared))))


def _facts(prepared: Prepared) -> Iterator[tuple[str, str]]:
    config, space = prepared.located.config, prepared.template.space
    base = prepared.kin.base
    yield (
        "models",
        ", ".join(f"{alias} (base)" * (alias == base) or alias for alias in config.models),
    )
    kinds = [f"{len(space.floats)} continuous"]
    kinds += [counted(len(space.choices), "choice")] * bool(space.choices)
    yield "space", f"{counted(len(space), 'dimension')}: {', '.join(kinds)}"
    yield "optimizer", ", ".join(f"{key} {value}" for key, value in prepared.optimizer.items())
    yield "scored by", _sizes(prepared.evaluators)
    yield "held out", _sizes(prepared.holdout) or "nothing"
    told = [start.label for start in prepared.starts if start.point is not None]
    rest = [start.label for start in prepared.starts if start.point is None]
    yield "starts from", ", ".join(told) or "nothing that the recipe can express"
    yield "compared with", ", ".join(rest) or "nothing else"


def _sizes(evaluators: Mapping[str, Evaluator]) -> str:
    parts = []
    for name, each in evaluators.items():
        sizes = each.sizes()
        items = "" if sizes is None else f" ({counted(sum(sizes.values()), 'item')})"
        parts.append(f"{name}{items}")
    return ", ".join(parts)


def _foretold(rehearsal: Rehearsal) -> Iterator[str]:
    loading = duration(rehearsal.loading)
    yield f"a trial takes {duration(rehearsal.seconds)}, after {loading} of loading"
    if rehearsal.total is None or rehearsal.disk is None:
        yield "how long the search takes depends on when it ends: its budget names no trials"
        return
    yield (
        f"{rehearsal.trials} trials will take about {duration(rehearsal.total)}, and "
        f"{in_words(rehearsal.disk)} of {in_words(rehearsal.free)} free; simplification and "
        "holdout come on top"
    )
