"""Scores finalists and baselines on the items that the search never saw, each of them once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from evomerge.evidence.ledger import Ledger, baselines, holdout_lines
from evomerge.recipe import AnyRecipe
from evomerge.recipe.adapters import recipe_in
from evomerge.trial import HOLDOUT, Result, Trial

Score = Callable[[AnyRecipe], Result]
Ended = Callable[[Trial], None]


def run_holdout(
    study: Ledger, numbers: Iterable[int], score: Score, ended: Ended | None = None
) -> list[Trial]:
    """Scores every baseline, and the trials of these numbers, unless the ledger has the scores.

    What failed for want of time, memory or a living worker is tried again.

    Args:
        study: what is read, and appended to.
        numbers: of the finalists.
        score: builds a recipe and scores it on the holdout.
        ended: called with each line as soon as it is there.

    Returns:
        The line of each: the baselines', then the finalists', in the order of ``numbers``.
    """
    asked = [*(trial.number for trial in baselines(study)), *numbers]
    lines = []
    for number in dict.fromkeys(asked):
        lines.append(_line(study, study.find(number), score))
        if ended is not None:
            ended(lines[-1])
    return lines


def _line(study: Ledger, subject: Trial, score: Score) -> Trial:
    known = holdout_lines(study).get(subject.number)
    if known is not None and (known.failure is None or known.failure.kind == "error"):
        return known
    result = score(recipe_in(subject.recipe, f"trial {subject.number}"))
    line = Trial(
        number=len(study.trials),
        stage=HOLDOUT,
        recipe=subject.recipe,
        label=subject.label,
        point=subject.point,
        scores=result.scores,
        failure=result.failure,
        seconds=result.seconds,
        attempts=result.attempts,
        subject=subject.number,
    )
    study.append(line, result.tables)
    return line
