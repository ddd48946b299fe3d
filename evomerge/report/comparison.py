"""Two runs, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evomerge.report.blocks import Block, Paragraph, part, table
from evomerge.report.summary import Summary
from evomerge.report.words import duration, number
from evomerge.study import Study, differences
from evomerge.trial import Trial


def comparison_document(first: Summary, second: Summary, changed: Sequence[str]) -> Iterator[Block]:
    """What each run found, its best scores, and how their configs differ.

    Args:
        first: a run.
        second: another.
        changed: how the config of the second differs from that of the first.
    """
    for each in (first, second):
        yield Paragraph(f"{each.run}: {each.headline}")
        for warning in each.warnings:
            yield Paragraph(f"Warning: {each.run}: {warning}.")
    runs = ("", first.run, second.run)
    yield from part("Side by side", table(runs, _rows(first, second), words=("",)))
    texts = changed or ["nothing that decides the trials"]
    yield from part("What differs", *(Paragraph(text) for text in texts))


def changed(first: Study, second: Study) -> list[str]:
    """How what decides the trials of ``second`` differs from that of ``first``."""
    return differences(first.header.covers, second.header.covers)


def _rows(first: Summary, second: Summary) -> Iterator[tuple[str, str, str]]:
    both = (first, second)

    def row(name: str, cells: Sequence[str]) -> tuple[str, str, str]:
        return name, cells[0], cells[1]

    names = dict.fromkeys([*first.goals.names, *second.goals.names])
    for stage in dict.fromkeys([*first.counts, *second.counts]):
        yield row(f"trials, {stage}", [str(each.counts.get(stage, 0)) for each in both])
    yield row("best trial", ["" if s.best is None else str(s.best.number) for s in both])
    for name in names:
        yield row(f"best: {name}", [_of(each.best, name) for each in both])
        held = [each.best and each.held_out.get(each.best.number) for each in both]
        if any(held):
            yield row(f"best: {name}, held out", [_of(line, name) for line in held])
        yield row(f"best baseline: {name}", [_baseline(each, name) for each in both])
    yield row("front", [str(len(each.front)) for each in both])
    yield row("failed trials", [str(sum(len(f.trials) for f in s.failures)) for s in both])
    yield row("time", [duration(each.times.total) for each in both])
    yield row("overhead a trial", [duration(each.times.overhead) for each in both])


def _of(trial: Trial | None, name: str) -> str:
    if trial is None or name not in trial.scores:
        return ""
    return number(trial.scores[name].value)


def _baseline(summary: Summary, name: str) -> str:
    """The best score of any baseline, and whose."""
    having = [trial for trial in summary.baselines if name in trial.scores]
    if not having:
        return ""
    up = having[0].scores[name].higher_is_better
    best = (max if up else min)(having, key=lambda trial: trial.scores[name].value)
    return f"{number(best.scores[name].value)} ({best.label})"
