"""All that a run can say for its winners, from the ledger alone: no model is loaded."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from evomerge.evidence.contenders import best_or_none
from evomerge.evidence.gain import coefficients, describe_gain, gauge_of
from evomerge.evidence.ledger import Ledger, baselines, holdout_lines, is_rival
from evomerge.evidence.paired import Scored
from evomerge.evidence.verdicts import GAIN, Verdict, judge
from evomerge.goals import Goals
from evomerge.statistics.bootstrap import DRAWS
from evomerge.trial import Trial

NO_HOLDOUT = (
    "no holdout: the scores are those that the search chose by, and say nothing about a gain; "
    "name held-out items under holdout: in the config, at least 500"
)
NOT_OPENED = "the holdout is not opened yet: evomerge finalists RUN scores the finalists on it"


@dataclass(frozen=True)
class Evidence:
    """What a run can say.

    Attributes:
        gain: what the number is that gains are differences of.
        verdicts: one for each finalist that was scored on the holdout, by trial number.
        notes: what must be known of all of them; without a holdout, that there is none.
        best: the number of the trial that the search itself calls the best, if there is one.
    """

    gain: str
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()
    best: int | None = None

    @property
    def winner(self) -> Verdict | None:
        """Of the finalists with a gain the best of the search, else the one that gains most.

        None if none has a gain.
        """
        gains = [each for each in self.verdicts if each.word == GAIN]
        chosen = [each for each in gains if each.number == self.best]
        return max(chosen or gains, key=lambda each: each.gain or 0.0, default=None)

    def tree(self) -> dict[str, Any]:
        """All of it as dicts, lists, texts and numbers."""
        return asdict(self)


def evidence_of(study: Ledger, draws: int = DRAWS) -> Evidence:
    """What the ledger says for the finalists. The same ledger always says the same.

    Args:
        study: a run, open for reading.
        draws: how many resamplings and swaps each comparison takes.
    """
    goals = study.goals
    gain = describe_gain(goals)
    lines = holdout_lines(study)
    if not lines:
        return Evidence(gain, notes=(NOT_OPENED if study.config.get("holdout") else NO_HOLDOUT,))
    first = baselines(study)
    scored = {
        number: Scored(line, study.tables(line.number))
        for number, line in lines.items()
        if not _missing(line, goals)
    }
    rivals = [scored[trial.number] for trial in first if is_rival(trial) and trial.number in scored]
    asked = judged(study)
    finalists = [scored[number] for number in asked if number in scored]
    gauge = gauge_of(goals, first)
    factors = coefficients(goals, gauge, finalists[0].trial.scores) if finalists else {}
    verdicts = judge(finalists, rivals, factors, study.header.seed, draws)
    compared = [trial for trial in first if is_rival(trial)] + [study.find(n) for n in asked]
    notes = [_unscored(trial, lines.get(trial.number), goals) for trial in compared]
    return Evidence(
        gain,
        tuple(_with_constraints(each, lines[each.number], goals) for each in verdicts),
        tuple(note for note in notes if note),
        _best(study),
    )


def judged(study: Ledger) -> list[int]:
    """The finalists that were ever scored on the holdout, the simplified winner among them.

    Baselines are scored there too, without being finalists; but if one of them is the best trial
    of the run, it is a finalist.
    """
    lines = holdout_lines(study)
    first = {trial.number for trial in baselines(study)}
    found = [number for number in sorted(lines) if number not in first]
    best = _best(study)
    return [best, *found] if best is not None and best in first & lines.keys() else found


def _best(study: Ledger) -> int | None:
    best = best_or_none(study)
    return None if best is None else best.number


def _missing(line: Trial, goals: Goals) -> list[str]:
    """The objectives that a line has no score for."""
    return [name for name in goals.weights if name not in line.scores]


def _unscored(trial: Trial, line: Trial | None, goals: Goals) -> str:
    """Why a rival or a finalist is not compared; empty if it is."""
    name = trial.label or f"trial {trial.number}"
    if line is None:
        return f"{name} was not scored on the holdout; no finalist was compared with it"
    if line.failure is not None:
        return f"{name} could not be scored on the holdout: {line.failure.message}"
    missing = _missing(line, goals)
    return f"{name} has no score '{missing[0]}' on the holdout" if missing else ""


def _with_constraints(verdict: Verdict, line: Trial, goals: Goals) -> Verdict:
    """The verdict, noting constraints that are missed on the holdout or were not looked at."""
    notes = []
    for bound in goals.bounds:
        if bound.name not in line.scores:
            notes.append(f"the holdout does not measure '{bound.name}', which is constrained")
        elif bound.violation(line.scores[bound.name].value):
            notes.append(
                f"on the holdout its {bound.name} is {line.scores[bound.name].value:.4g}, "
                "which violates the constraint"
            )
    return replace(verdict, notes=(*verdict.notes, *notes))
