"""The comment above an exported recipe: what was found, where, and how to use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from importlib.metadata import version
from textwrap import wrap

from evomerge.evidence import Evidence
from evomerge.report.statements import sentence
from evomerge.report.words import scores
from evomerge.study import Study
from evomerge.trial import HOLDOUT, Trial

WIDTH = 98  # of a line of comment, without its sign


def heading(
    study: Study, trial: Trial, remarks: Sequence[str], evidence: Evidence, today: date
) -> str:
    """Lines of comment, each ending in a newline.

    Args:
        study: the run.
        trial: what is exported.
        remarks: what a reader of the file must know, a paragraph each.
        evidence: what the run can say for its finalists.
        today: the date.
    """
    label = f", '{trial.label}'" if trial.label else ""
    paragraphs = [
        f"Trial {trial.number} ({trial.stage}{label}) of {study.run.resolve()}.",
        *_found(study, trial, evidence),
        "Folders of models are absolute paths, Hugging Face ids are as they were: this file may "
        "be moved, those folders may not.",
        *remarks,
        f"Written by evomerge {version('evomerge')} on {today.isoformat()}.",
    ]
    lines = [
        line for paragraph in paragraphs for line in wrap(paragraph, WIDTH, break_on_hyphens=False)
    ]
    return "".join(f"# {line}\n" for line in lines)


def _found(study: Study, trial: Trial, evidence: Evidence) -> Iterator[str]:
    names = study.goals.names
    if trial.failure is not None:
        yield f"It failed: {trial.failure.message}"
        return
    yield f"On the items of the search: {scores(trial.scores, names)}."
    for line in study.stage(HOLDOUT):
        if line.subject == trial.number and line.scores:
            yield f"On the holdout: {scores(line.scores, names)}."
    verdict = next((each for each in evidence.verdicts if each.number == trial.number), None)
    if verdict is not None:
        yield f"Verdict: {sentence(verdict)}."
