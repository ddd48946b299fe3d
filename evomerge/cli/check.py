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
from evomerge.config.chained import ChainConfig, read_either
from evomerge.config.reading import Located
from evomerge.report.words import counted, duration
from evomerge.study.folder import check_new

if TYPE_CHECKING:
    from evomerge.config.preparing import Prepared
    from evomerge.evaluators.base import Evaluator
    from evomerge.rehearsal import Rehearsal
    from evomerge.template import Template


def check(
    config: Annotated[Path, Argument(help="What to search, and how.", show_default=False)],
    dry: Annotated[
        bool, Option("--dry", help="Read no weights: no trial is timed, no time foretold.")
    ] = False,
) -> None:
    """Checks a config, its models and its evaluators, and says what the search will take.

    Everything is checked before any weight is read. Then a baseline and two candidates are built
    and scored, to see that they can be, and to foretell the time. Of a chain every stage is, with
    a model from the middle of its space in the place of each winner.
    """
    found = read_either(config)
    hush_libraries()
    if isinstance(found, ChainConfig):
        _chain(found, dry=dry)
        return
    check_new(found.run)
    from evomerge.config.preparing import prepare
    from evomerge.rehearsal import rehearse

    prepared = prepare(found)
    sys.stdout.write(_described(prepared, str(config)))
    if not dry:
        sys.stdout.write("".join(f"{line}\n" for line in _foretold(rehearse(prepared))))


def _chain(config: ChainConfig, *, dry: bool) -> None:
    """Every stage, first without reading weights; then timed, with a model for each winner."""
    from evomerge.chain.folder import check_new as check_new_chain
    from evomerge.chain.foreseeing import foreseen, whole
    from evomerge.config.preparing import prepare
    from evomerge.rehearsal import rehearse

    def described(located: Located) -> tuple[str, Template]:
        prepared = prepare(located)
        return _described(prepared, str(located.path)), prepared.template

    def timed(located: Located) -> tuple[str, Template]:
        prepared = prepare(located)
        lines = [f"{located.path}: {line}\n" for line in _foretold(rehearse(prepared))]
        return "".join(lines), prepared.template

    check_new_chain(config.run)
    with foreseen(config, described) as stages:
        parts = [each.found or f"note: {each.remark}\n" for each in stages]
    sys.stdout.write("\n".join(parts))
    if not dry:
        beside = next(folder for folder in config.run.parents if folder.is_dir())
        with foreseen(config, timed, whole, beside) as stages:
            sys.stdout.writelines(["\n", *(each.found or "" for each in stages)])


def _described(prepared: Prepared, title: str) -> str:
    from evomerge.rehearsal import memory_of

    rows = [*_facts(prepared), ("memory", str(memory_of(prepared)))]
    remarks = [f"note: {remark}\n" for remark in prepared.remarks()]
    return table((title, ""), rows) + "".join(remarks)


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
    if prepared.probing is not None:
        yield "probed by", str(prepared.probing)
    yield "held out", _sizes(prepared.holdout) or "nothing"
    told = [start.label for start in prepared.starts if start.point is not None]
    rest = [start.label for start in prepared.starts if start.point is None]
    yield "starts from", ", ".join(told) or "nothing that the recipe can express"
    yield "compared with", ", ".join(rest) or "nothing else"


def _sizes(evaluators: Mapping[str, Evaluator]) -> str:
    parts = []
    for name, each in evaluators.items():
        sizes = each.sizes()
        items = f" ({counted(sum(sizes.values()), 'item')})" if sizes else ""
        parts.append(f"{name}{items}")
    return ", ".join(parts)


def _foretold(rehearsal: Rehearsal) -> Iterator[str]:
    if rehearsal.aligning is not None:
        yield f"how models are aligned is known, after {duration(rehearsal.aligning)}, and kept"
    if rehearsal.measuring is not None:
        yield f"what methods look at is measured, after {duration(rehearsal.measuring)}, and kept"
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
