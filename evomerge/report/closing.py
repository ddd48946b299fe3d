"""The last words of a search: what was found, and what to look at."""

from __future__ import annotations

from collections.abc import Iterator

from evomerge.evidence import evidence_of
from evomerge.evidence.contenders import best_or_none
from evomerge.report.standing import Standing
from evomerge.report.statements import headline
from evomerge.report.summary import warnings
from evomerge.report.words import counted, scores
from evomerge.study import Study
from evomerge.trial import BASELINES, DEAD, SEARCH, Trial

# What a finished run holds for its user, by the name of file or folder.
KEPT = {
    "best.yaml": "the best recipe",
    "best-simplified.yaml": "the same, simplified",
    "front": "the recipes of the front",
}


def closing_statement(study: Study) -> str:
    """A few short lines, each ending in a newline."""
    return "".join(f"{line}\n" for line in _lines(study))


def _lines(study: Study) -> Iterator[str]:
    yield headline(evidence_of(study))
    for warning in warnings(study):
        yield f"Warning: {warning}."
    yield ""
    best = best_or_none(study)
    if best is None:
        yield f"No trial has all scores and meets all constraints; see: evomerge report {study.run}"
        return
    standing = Standing(study.goals, study.trials)
    yield f"best      {_told(best, study)}"
    if rival := _best_baseline(standing):
        yield f"baseline  {rival}"
    dead = sum(
        trial.failure is not None and trial.failure.kind == DEAD for trial in standing.failed
    )
    counts = {"dead": dead, "failed": len(standing.failed) - dead}
    ends = [f", {count} {how}" for how, count in counts.items() if count]
    yield f"searched  {counted(standing.counts[SEARCH], 'trial')}{''.join(ends)}"
    there = [name for name in KEPT if (study.run / name).exists() and _holds(study, name)]
    if there:
        yield ""
        yield from (f"{study.run / name}: {KEPT[name]}" for name in there)
    yield ""
    yield "Next:"
    yield f"  evomerge report {study.run}"
    if not there:
        yield f"  evomerge export {study.run} best.yaml"
    yield f"  evomerge merge {study.run / there[0] if there else 'best.yaml'} MODEL"


def _told(trial: Trial, study: Study) -> str:
    label = f": {trial.label}" if trial.label else ""
    return f"{scores(trial.scores, study.goals.names)}  (trial {trial.number}{label})"


def _best_baseline(standing: Standing) -> str:
    """The best baseline on the items of the search; where objectives stay apart, of each one."""
    goals = standing.goals
    best = standing.best(BASELINES)
    if best is not None:
        return f"{scores(best.scores, goals.names)}  (trial {best.number}: {best.label})"
    bests = standing.bests(BASELINES)
    return f"{scores(bests, goals.weights)}  (the best of each)" if bests else ""


def _holds(study: Study, name: str) -> bool:
    """Whether there is something in it: every run has a folder ``front``."""
    path = study.run / name
    return not path.is_dir() or any(path.iterdir())
