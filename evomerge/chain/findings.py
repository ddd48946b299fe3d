"""What all stages of a chain found, the last verdict first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evomerge.chain.folder import Chain
from evomerge.chain.winners import trial_of, winner_of
from evomerge.evidence import best_or_none
from evomerge.report.blocks import Block, Heading, Paragraph, part, table
from evomerge.report.closing import closing_statement
from evomerge.report.document import document
from evomerge.report.summary import Summary, summarise
from evomerge.report.trees import summary_tree
from evomerge.report.words import counted, scores
from evomerge.trial import SEARCH, Trial


@dataclass(frozen=True)
class Finding:
    """What one stage found.

    Attributes:
        name: of the stage.
        run: its run folder.
        summary: of its study; None if it has not begun.
        winner: what entered the next stage, or would now; None if nothing can.
        model: the folder of that model; None of the last stage, or if it is not written yet.
    """

    name: str
    run: Path
    summary: Summary | None = None
    winner: Trial | None = None
    model: Path | None = None


def findings(chain: Chain) -> list[Finding]:
    """One for each stage, in order."""
    begun, entered = chain.begun, chain.entered()
    return [
        _finding(chain, name, entered.get(name))
        if name in begun
        else Finding(name, chain.place(name))
        for name in chain.stages
    ]


def findings_document(chain: Chain) -> Iterator[Block]:
    """The blocks of the report."""
    found = findings(chain)
    *before, last = found
    yield Paragraph(_headline(found))
    headings = ("stage", "searched", "best", "trial", "enters as")
    rows = [_row(each) for each in found]
    yield from part("Stages", table(headings, rows, words=headings))
    for each in before:
        if each.summary is not None:
            yield from part(f"Stage {each.name}", *_findings(each))
    if last.summary is not None:
        yield Heading(f"Stage {last.name}, in full")
        yield from document(last.summary)


def findings_tree(chain: Chain) -> dict[str, Any]:
    """The same for programs. The keys are documented in docs/reports.md, and stay."""
    found = findings(chain)
    return {
        "run": str(chain.run),
        "headline": _headline(found),
        "stages": {each.name: _tree(each) for each in found},
    }


def closing(run: Path) -> str:
    """The last words of a chain, each line ending in a newline."""
    chain = Chain.open(run)
    *before, last = findings(chain)
    lines = [
        f"stage {each.name}: {_scores(each.summary, each.winner)}; enters the next stage as "
        f"{each.model}"
        for each in before
        if each.summary is not None and each.winner is not None
    ]
    words = "" if last.summary is None else closing_statement(chain.study(last.name))
    return "".join(f"{line}\n" for line in lines) + f"\n{words}  evomerge report {run}\n"


def _finding(chain: Chain, name: str, model: str | None) -> Finding:
    study = chain.study(name)
    if model is not None:
        winner: Trial | None = trial_of(name, study, Path(model))
    else:
        winner = None if best_or_none(study) is None else winner_of(study)
    place = None if model is None else Path(model)
    return Finding(name, chain.place(name), summarise(study), winner, place)


def _headline(found: list[Finding]) -> str:
    """The verdict of the last stage; before that has begun, where the chain is."""
    last = found[-1]
    if last.summary is not None:
        return last.summary.headline
    at = [each.name for each in found if each.summary is not None]
    where = f"stage {at[-1]}" if at else "its beginning"
    return f"No verdict yet: the chain is in {where}, and only {last.name}, its last, is judged."


def _row(finding: Finding) -> tuple[str, ...]:
    summary, winner = finding.summary, finding.winner
    if summary is None:
        return (finding.name, "not begun", "", "", "")
    searched = counted(summary.counts.get(SEARCH, 0), "trial")
    number = "" if winner is None else str(winner.number)
    entered = "" if finding.model is None else finding.model.name
    return (finding.name, searched, _scores(summary, winner), number, entered)


def _findings(finding: Finding) -> Iterator[Block]:
    """What an earlier stage found, in short."""
    summary, winner = finding.summary, finding.winner
    if summary is None:
        return
    if winner is None:
        yield Paragraph("No trial has all scores and meets all constraints.")
    elif finding.model is None:
        yield Paragraph(f"Its best so far is trial {winner.number}.")
    else:
        yield Paragraph(f"Trial {winner.number} is the model {finding.name} of the later stages.")
    names = summary.goals.names
    told = [trial for trial in summary.baselines if trial.scores]
    shown = [*told, *([winner] if winner is not None and winner not in told else [])]
    rows = [
        (str(each.number), each.label or each.stage, scores(each.scores, names)) for each in shown
    ]
    yield table(("trial", "what", "scores"), rows, words=("what", "scores"))
    judged = "" if not summary.evidence.verdicts else f" {summary.headline}"
    yield Paragraph(f"All of it: evomerge report {finding.run}.{judged}")


def _scores(summary: Summary | None, winner: Trial | None) -> str:
    if summary is None or winner is None:
        return "none yet"
    return scores(winner.scores, summary.goals.names)


def _tree(finding: Finding) -> dict[str, Any]:
    return {
        "folder": str(finding.run),
        "winner": None if finding.winner is None else finding.winner.number,
        "model": None if finding.model is None else str(finding.model),
        "report": None if finding.summary is None else summary_tree(finding.summary),
    }
