"""``evomerge report``: what a run found, how sure that is, and what it cost."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from textwrap import fill
from typing import Annotated

from typer import Argument, Option

from evomerge.chain.findings import findings_document, findings_tree
from evomerge.chain.folder import Chain, is_chain
from evomerge.cli.tables import table
from evomerge.errors import StudyError
from evomerge.report.blocks import Block, Code, Heading, Table
from evomerge.report.comparison import changed, comparison_document
from evomerge.report.document import document
from evomerge.report.page import page
from evomerge.report.sheet import sheet
from evomerge.report.single import item_changes, items_document, trial_document
from evomerge.report.summary import summarise
from evomerge.report.trees import comparison_tree, items_tree, summary_tree, trial_tree
from evomerge.study import Study

WIDTH = 100  # columns of a paragraph


class ReportForm(str, Enum):
    """How a report is written."""

    text = "text"
    json = "json"
    csv = "csv"
    html = "html"


def report(
    runs: Annotated[
        list[Path],
        Argument(metavar="RUN [RUN]", help="A run folder; two stand side by side."),
    ],
    form: Annotated[
        ReportForm, Option(help="What to write on standard output: csv has a row for each trial.")
    ] = ReportForm.text,
    trial: Annotated[
        int | None, Option(metavar="N", help="Report on this trial.", show_default=False)
    ] = None,
    items: Annotated[
        tuple[int, int] | None,
        Option(metavar="A B", help="Items gained and lost from trial A to B.", show_default=False),
    ] = None,
    picture: Annotated[
        Path | None,
        Option(
            metavar="FILE.png",
            help="Draw the best stack of layers, or that of --trial, too.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Says what a run found, the verdict first; also while it is running.

    Of a chain it says what each stage found; all else is asked of one of its stages.

    Example: evomerge report runs/quickstart --form html > report.html
    """
    asked = "--trial" if trial is not None else "--items" if items is not None else ""
    _check(len(runs), form, asked, both=trial is not None and items is not None)
    if picture is not None and (items is not None or len(runs) > 1):
        raise StudyError("report: --picture draws one stack; name one run, and no --items")
    if (
        len(runs) == 1
        and not asked
        and picture is None
        and is_chain(runs[0])
        and form in (ReportForm.text, ReportForm.json)
    ):
        sys.stdout.write(_of_chain(runs[0], form))
        return
    studies = [Study.open(run) for run in runs]
    if picture is not None:
        from evomerge.cli.picture import draw_stack

        draw_stack(studies[0], trial, picture)
    sys.stdout.write(_written(studies, form, trial, items))


def _of_chain(run: Path, form: ReportForm) -> str:
    chain = Chain.open(run)
    return _either(form, findings_tree(chain), findings_document(chain))


def _check(runs: int, form: ReportForm, asked: str, *, both: bool) -> None:
    """Refuses what cannot be had together."""
    if both:
        raise StudyError("report: give one of --trial and --items")
    if runs > 2:  # noqa: PLR2004  a pair
        raise StudyError(f"report: found {runs} runs; give one, or two to compare")
    what = asked or ("two runs" if runs > 1 else "")
    if asked and runs > 1:
        raise StudyError(f"report: {asked} is about one run; name one")
    if what and form in (ReportForm.csv, ReportForm.html):
        raise StudyError(f"report: there is no {form.value} of {what}; take text or json")


def _written(
    studies: list[Study], form: ReportForm, trial: int | None, items: tuple[int, int] | None
) -> str:
    study = studies[0]
    if trial is not None:
        one = study.find(trial)
        return _either(form, trial_tree(one), trial_document(study, one))
    if items is not None:
        found = item_changes(study, *items)
        return _either(form, items_tree(*items, found), items_document(*items, found))
    if len(studies) > 1:
        first, second = map(summarise, studies)
        new = changed(*studies)
        tree = comparison_tree(first, second, new)
        return _either(form, tree, comparison_document(first, second, new))
    return sheet(study) if form is ReportForm.csv else _of_run(study, form)


def _of_run(study: Study, form: ReportForm) -> str:
    summary = summarise(study)
    if form is ReportForm.html:
        return page(study, summary)
    return _either(form, summary_tree(summary), document(summary))


def _either(form: ReportForm, tree: Mapping[str, object], blocks: Iterable[Block]) -> str:
    return _json(tree) if form is ReportForm.json else _text(blocks)


def _json(tree: Mapping[str, object]) -> str:
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def _text(blocks: Iterable[Block]) -> str:
    """Blocks with an empty line between them, but for what stands right below its heading."""
    parts: list[str] = []
    below = True
    for block in blocks:
        parts += [] if below else ["\n"]
        parts.append(_drawn(block))
        below = isinstance(block, Heading)
    return "".join(parts)


def _drawn(block: Block) -> str:
    if isinstance(block, Table):
        return table(block.headings, block.rows, numbers=block.numbers)
    if isinstance(block, Heading):
        return f"{_bold(block.text)}\n"
    if isinstance(block, Code):
        return block.text
    return fill(block.text, WIDTH, break_on_hyphens=False) + "\n"


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() else f"{text}\n{'-' * len(text)}"
