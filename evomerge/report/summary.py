"""All that a report says of a study, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evomerge.evaluators.benchmarks import reported
from evomerge.evidence import Evidence, Limits, best_or_none, evidence_of, simplified
from evomerge.evidence.ledger import holdout_lines
from evomerge.goals import Goals
from evomerge.report.costs import Failures, Times, failures, times
from evomerge.report.importance import ENOUGH, importances
from evomerge.report.standing import Standing
from evomerge.report.statements import headline
from evomerge.study import Study
from evomerge.trial import BASELINES, SEARCH, Trial


@dataclass(frozen=True)
class Summary:
    """A study, summed up.

    Attributes:
        run: the folder.
        headline: what was found, in a sentence or two.
        warnings: what must be known before any number is believed.
        goals: what better means.
        counts: how many trials each stage has.
        settings: what decided the run, in words, by name: optimizer, seed, budget, ….
        evidence: what the holdout says.
        baselines: the trials before the search.
        best: the trial that the search's own scores choose; None if none is feasible.
        simplified: what became of it when it was simplified.
        front: the feasible trials that no other one dominates, best in the first objective first.
        held_out: by the number of a trial, its line on the holdout.
        importances: by dimension, how much it says about which trials are good.
        remark: why there are no importances.
        failures: the ways in which trials failed.
        times: where the time went.
    """

    run: str
    headline: str
    warnings: tuple[str, ...]
    goals: Goals
    counts: Mapping[str, int]
    settings: Mapping[str, str]
    evidence: Evidence
    baselines: tuple[Trial, ...]
    best: Trial | None
    simplified: Trial | None
    front: tuple[Trial, ...]
    held_out: Mapping[int, Trial]
    importances: Mapping[str, float]
    remark: str
    failures: tuple[Failures, ...]
    times: Times


def summarise(study: Study) -> Summary:
    """Sums up a study, finished or not."""
    goals, trials = study.goals, study.trials
    evidence = evidence_of(study)
    best = best_or_none(study)
    found = importances(trials, goals)
    front = Standing(goals, trials).front
    return Summary(
        run=str(study.run),
        headline=headline(evidence),
        warnings=tuple(warnings(study)),
        goals=goals,
        counts=Counter(trial.stage for trial in trials),
        settings=settings(study),
        evidence=evidence,
        baselines=tuple(trial for trial in trials if trial.stage == BASELINES),
        best=best,
        simplified=None if best is None else simplified_of(study, best),
        front=tuple(sorted(front, key=lambda trial: goals.losses(trial.scores))),
        held_out=holdout_lines(study),
        importances=found or {},
        remark="" if found else _too_little(trials),
        failures=failures(trials),
        times=times(trials),
    )


def simplified_of(study: Study, best: Trial) -> Trial | None:
    """What became of the best trial when it was simplified; None if nothing did."""
    setting = study.config.get("simplify")
    given = setting.get("tolerance") if isinstance(setting, Mapping) else None
    found = simplified(study, best, Limits.tolerance if given is None else float(given))
    return None if found.number == best.number else found


def warnings(study: Study) -> Iterator[str]:
    """What must be known before any number of the study is believed."""
    evaluators = study.header.covers.get("evaluators") or {}
    tasks = [task for each in evaluators.values() for task in _tasks(each)]
    searched = reported(tasks)
    if searched:
        yield (
            f"the search chose by {', '.join(searched)}, whose scores are commonly reported: its "
            "models are fitted to them, and must not be compared by them"
        )
    elif study.config.get("allow_benchmarks"):
        yield (
            "the config allows to search on commonly reported benchmarks: models chosen by one "
            "are fitted to it, and must not be compared by it"
        )


def settings(study: Study) -> dict[str, str]:
    """What decided the run, in words."""
    covers = study.header.covers
    optimizer = covers.get("optimizer") or {}
    budget = study.config.get("budget") or {}
    return {
        "optimizer": _flow(optimizer),
        "objectives": _flow(covers["objectives"]),
        "constraints": _flow(covers.get("constraints") or "none"),
        **({"probe": _flow(covers["probe"])} if "probe" in covers else {}),
        "models": ", ".join(covers.get("models") or {}),
        "seed": str(study.header.seed),
        "budget": _flow(budget),
        "begun": study.header.created,
        "evomerge": study.header.version,
    }


def _tasks(evaluator: object) -> list[str]:
    task = evaluator.get("task") if isinstance(evaluator, Mapping) else None
    return [task] if isinstance(task, str) else [str(each) for each in task or ()]


def _flow(value: object) -> str:
    """A tree on one line: ``name cma, sigma 0.2``."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flow(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_flow, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _too_little(trials: Sequence[Trial]) -> str:
    scored = sum(trial.stage == SEARCH and bool(trial.scores) for trial in trials)
    if scored < ENOUGH:
        return f"too few for importances: {scored} scored trials, at least {ENOUGH} are needed"
    return "no importances: no dimension varied, stacks of layers aside"
