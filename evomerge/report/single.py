"""The report on one trial, and on the items that one gained and lost against another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evomerge.errors import StudyError
from evomerge.report.blocks import Block, Paragraph, part, table
from evomerge.report.document import recipe_blocks
from evomerge.report.items import Change, changes
from evomerge.report.words import duration, number, signed
from evomerge.study import Study
from evomerge.trial import HOLDOUT, Score, Trial

# How many items are listed in a table.
LISTED = 12


def trial_document(study: Study, trial: Trial) -> Iterator[Block]:
    """A trial: what it was, its scores or why it has none, its point and its recipe."""
    label = f" ({trial.label})" if trial.label else ""
    yield Paragraph(f"Trial {trial.number}{label} of {study.run}: {trial.stage}.")
    if trial.failure is not None:
        yield Paragraph(f"It failed ({trial.failure.kind}): {trial.failure.message}")
    for text in _relations(study, trial):
        yield Paragraph(text)
    scores = [
        (
            name,
            number(score.value),
            "higher" if score.higher_is_better else "lower",
            str(score.items),
        )
        for name, score in trial.scores.items()
    ]
    headings = ("score", "value", "better", "items")
    yield from part("Scores", table(headings, scores, words=("score", "better")))
    times = [(phase, duration(seconds)) for phase, seconds in trial.seconds.items()]
    yield from part("Time", table(("phase", "time"), times, words=("phase",)))
    point = [(name, _value(value)) for name, value in (trial.point or {}).items()]
    yield from part("Point", table(("dimension", "value"), point, words=("dimension",)))
    yield from part("Recipe", *recipe_blocks(trial))


def item_changes(study: Study, first: int, second: int) -> list[Change]:
    """What the second trial gained and lost against the first.

    Raises:
        StudyError: there is no such trial, one of them was scored on other items than the other,
            or their items cannot be read.
    """
    before, after = study.find(first), study.find(second)
    held = [trial.number for trial in (before, after) if trial.stage == HOLDOUT]
    if len(held) == 1:
        raise StudyError(
            f"{study.run}: trial {held[0]} was scored on the holdout, the other one on the items "
            "of the search; name two of a kind"
        )
    scores = {**before.scores, **after.scores}
    return changes(scores, study.tables(first), study.tables(second))


def items_document(first: int, second: int, found: Sequence[Change]) -> Iterator[Block]:
    """Items gained and lost, in tables."""
    yield Paragraph(f"From trial {first} to trial {second}: gained is where {second} is better.")
    if not found:
        yield Paragraph("They have no metric of the same items in common.")
        return
    headings = ("evaluator", "task", "metric", "items", "gained", "lost", "difference")
    words = headings[:3]
    rows = [_row(each) for each in found]
    yield from part("Changes", table(headings, rows, words=words))
    listed = [
        (each.evaluator, each.task, each.metric, what, _listed(ids))
        for each in found
        for what, ids in (("gained", each.gained), ("lost", each.lost))
        if ids
    ]
    columns = ("evaluator", "task", "metric", "what", "items by index")
    yield from part("Items", table(columns, listed, words=columns))


def _score(score: Score) -> tuple[str, str, str]:
    better = "higher" if score.higher_is_better else "lower"
    return number(score.value), better, str(score.items)


def _row(change: Change) -> tuple[str, ...]:
    if change.remark:
        return change.evaluator, change.task, change.metric, "", "", "", change.remark
    counts = (change.items, len(change.gained), len(change.lost))
    place = (change.evaluator, change.task, change.metric)
    return *place, *map(str, counts), signed(change.difference)


def _relations(study: Study, trial: Trial) -> Iterator[str]:
    if trial.recalled is not None:
        yield f"Its recipe had been scored before: the result is that of trial {trial.recalled}."
    if trial.subject is not None:
        yield f"It scores trial {trial.subject} again, or simplifies it."
    if trial.attempts > 1:
        yield f"It took {trial.attempts} attempts."
    again = [line.number for line in study.trials if line.subject == trial.number]
    if again:
        numbers = ", ".join(map(str, again))
        yield f"It was scored again, or simplified, as trial {numbers}."


def _listed(items: Sequence[int]) -> str:
    shown = " ".join(map(str, items[:LISTED]))
    return shown if len(items) <= LISTED else f"{shown} … ({len(items)} in all)"


def _value(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
