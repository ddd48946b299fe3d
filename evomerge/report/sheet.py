"""A study as a sheet: a row for each trial, in CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO

from evomerge.report.standing import Standing
from evomerge.study import Study
from evomerge.trial import Trial

# The first columns. After them come ``score.NAME``, ``point.DIMENSION`` and ``seconds.PHASE``.
FIXED = (
    "number",
    "stage",
    "label",
    "feasible",
    "on_front",
    "failure_kind",
    "failure",
    "attempts",
    "recalled",
    "subject",
)


def sheet(study: Study) -> str:
    """The CSV: a header, then the trials in order. What a trial does not have is left empty."""
    trials = study.trials
    front = {trial.number for trial in Standing(study.goals, trials).front}
    parts = {
        "score": _names(trial.scores for trial in trials),
        "point": _names(trial.point or {} for trial in trials),
        "seconds": _names(trial.seconds for trial in trials),
    }
    columns = [*FIXED, *(f"{part}.{name}" for part, names in parts.items() for name in names)]
    text = StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for trial in trials:
        feasible = study.goals.outcome(trial).feasible
        writer.writerow({**_fixed(trial, feasible, trial.number in front), **_varying(trial)})
    return text.getvalue()


def _names(mappings: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _fixed(trial: Trial, feasible: bool, on_front: bool) -> dict[str, object]:
    failure = trial.failure
    values = (
        trial.number,
        trial.stage,
        trial.label,
        int(feasible),
        int(on_front),
        "" if failure is None else failure.kind,
        "" if failure is None else failure.message,
        trial.attempts,
        trial.recalled,
        trial.subject,
    )
    return dict(zip(FIXED, values, strict=True))


def _varying(trial: Trial) -> dict[str, object]:
    return {
        **{f"score.{name}": score.value for name, score in trial.scores.items()},
        **{f"point.{name}": value for name, value in (trial.point or {}).items()},
        **{f"seconds.{phase}": round(seconds, 6) for phase, seconds in trial.seconds.items()},
    }
