"""Reports as trees, for programs. The keys are documented in docs/reports.md, and stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evomerge.report.items import Change
from evomerge.report.summary import Summary
from evomerge.trial import Score, Trial

Tree = dict[str, Any]


def summary_tree(summary: Summary) -> Tree:
    """A run."""
    times = summary.times
    return {
        "run": summary.run,
        "headline": summary.headline,
        "warnings": list(summary.warnings),
        "settings": dict(summary.settings),
        "trials": dict(summary.counts),
        "objectives": dict(summary.goals.weights),
        "pareto": summary.goals.pareto,
        "evidence": summary.evidence.tree(),
        "baselines": [trial_tree(trial) for trial in summary.baselines],
        "best": _or_none(summary.best),
        "simplified": _or_none(summary.simplified),
        "front": [trial_tree(trial) for trial in summary.front],
        "held_out": {str(n): _scores(line.scores) for n, line in summary.held_out.items()},
        "importances": dict(summary.importances),
        "failures": [asdict(group) for group in summary.failures],
        "times": {
            "trials": times.trials,
            "total": times.total,
            "phases": dict(times.phases),
            "overhead": times.overhead,
        },
    }


def trial_tree(trial: Trial) -> Tree:
    """A trial."""
    return {
        "number": trial.number,
        "stage": trial.stage,
        "label": trial.label,
        "scores": _scores(trial.scores),
        "failure": None if trial.failure is None else asdict(trial.failure),
        "point": None if trial.point is None else dict(trial.point),
        "recipe": trial.recipe,
        "seconds": dict(trial.seconds),
        "attempts": trial.attempts,
        "recalled": trial.recalled,
        "subject": trial.subject,
    }


def items_tree(first: int, second: int, found: Sequence[Change]) -> Tree:
    """What one trial gained and lost against another."""
    return {"first": first, "second": second, "changes": [asdict(change) for change in found]}


def comparison_tree(first: Summary, second: Summary, changed: Sequence[str]) -> Tree:
    """Two runs."""
    return {"runs": [summary_tree(first), summary_tree(second)], "differences": list(changed)}


def _or_none(trial: Trial | None) -> Tree | None:
    return None if trial is None else trial_tree(trial)


def _scores(scores: Mapping[str, Score]) -> Tree:
    return {name: asdict(score) for name, score in scores.items()}
