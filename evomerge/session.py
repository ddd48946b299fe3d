"""A whole run: begun from a config or resumed from its folder, searched, simplified, judged.

Everything that is done is a trial of the study. So a run that was ended at any moment, by whatever
it was, goes on from there, and one that is finished is finished at once.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from evomerge.config.document import SimplifySetting
from evomerge.config.preparing import Prepared, prepare
from evomerge.config.reading import Located, read_config
from evomerge.evidence import (
    Limits,
    best_or_none,
    choose_finalists,
    run_holdout,
    simplified,
    simplify,
)
from evomerge.export import write_winners
from evomerge.objective import Objective
from evomerge.recipe import AnyRecipe
from evomerge.recipe.adapters import recipe_in
from evomerge.rehearsal import bench_of, memory_of, proven
from evomerge.searching import (
    Prober,
    Runner,
    Search,
    Start,
    Unwatched,
    Watcher,
    run_starts,
    warm_up,
)
from evomerge.study import Header, Study
from evomerge.study.folder import check_new
from evomerge.trial import DEAD, HOLDOUT, RETRIES, Result, Trial
from evomerge.workbench import Workbench

# What a run's numbers may depend on.
LIBRARIES = ("evomerge", "torch", "transformers", "lm_eval", "numpy", "optuna", "cma", "cmaes")


@dataclass(frozen=True)
class Resumption:
    """How a run goes on.

    Attributes:
        trials: the budget of trials, instead of the config's.
        retry_failed: try again what failed.
        accept_drift: go on where the optimizer would now ask for other points.
    """

    trials: int | None = None
    retry_failed: bool = False
    accept_drift: bool = False


def begin(
    located: Located, run: Path | None = None, *, trials: int | None = None,
    watcher: Watcher | None = None,
) -> Study:  # fmt: skip
    """Searches as a config says, in a new run folder.

    Args:
        located: the config.
        run: the run folder; by default the config's.
        trials: the budget of trials, instead of the config's.
        watcher: who is shown what goes on.

    Returns:
        The finished study.

    Raises:
        EvomergeError: the config cannot be followed, or there is a run already.
    """
    folder, watcher = run or located.run, watcher or Unwatched()
    check_new(folder)
    if trials is not None:
        budget = located.config.budget.model_copy(update={"trials": trials})
        located = located.changed({"budget": budget})
    prepared = prepare(located)
    with _opened(prepared, watcher) as bench:
        objective = Objective(bench, prepared.evaluators)
        starts = proven(prepared, objective, watcher)  # a search that fails here leaves no folder
        header = Header.make(prepared.covers)
        config = located.written(run=str(folder.absolute()), optimizer=dict(prepared.optimizer))
        around = environment(prepared)
        with Study.create(folder, header, config=config, environment=around) as study:
            runner = Runner(study, objective, recalls=objective.deterministic, watcher=watcher)
            _finish(prepared, runner, objective, Resumption(), starts)
    return study


def resume(run: Path, how: Resumption, *, watcher: Watcher | None = None) -> Study:
    """Goes on with a run from where it is.

    Args:
        run: the run folder.
        how: what to do with failures and drift, and how far to go.
        watcher: who is shown what goes on.

    Returns:
        The finished study.

    Raises:
        EvomergeError: it is no run, its config changed, or another process writes it.
    """
    watcher = watcher or Unwatched()
    with Study.open(run, write=True) as study:
        prepared = _prepared_again(study, watcher)
        known = any(trial.scores for trial in study.trials)
        with _opened(prepared, watcher) as bench:
            objective = Objective(bench, prepared.evaluators, proven=known)
            runner = Runner(study, objective, recalls=objective.deterministic, watcher=watcher)
            _finish(prepared, runner, objective, how, prepared.starts)
    return study


def judge(run: Path, *, watcher: Watcher | None = None) -> Study:
    """Scores finalists and baselines of a run on its holdout, without searching any further.

    Of a run whose config keeps the holdout closed, the best trial is the one finalist.

    Raises:
        EvomergeError: it is no run, its config changed, or another process writes it.
    """
    watcher = watcher or Unwatched()
    with Study.open(run, write=True) as study:
        prepared = _prepared_again(study, watcher)
        with closing(bench_of(prepared, watcher.note)) as bench:
            _judge(prepared, study, bench, watcher)
        write_winners(study)
    return study


def environment(prepared: Prepared) -> dict[str, Any]:
    """What a run's numbers may depend on beside its config."""
    return {
        "began": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.machine()} {platform.system()}",
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        "models": {
            alias: {"folder": str(source.folder), "fingerprint": source.fingerprint()}
            for alias, source in prepared.sources.items()
        },
    }


def _prepared_again(study: Study, watcher: Watcher) -> Prepared:
    """What a run was begun with, if it is still the same; other libraries are only remarked on."""
    prepared = prepare(read_config(study.run / "config.yaml"))
    study.check(prepared.covers)
    then, now = study.environment.get("libraries", {}), environment(prepared)["libraries"]
    changed = [name for name in LIBRARIES if then.get(name) != now.get(name)]
    if changed:
        listed = ", ".join(f"{name} {then.get(name)} became {now.get(name)}" for name in changed)
        watcher.note(f"WARNING: {listed}; the same recipe may now get other scores")
    return prepared


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


@contextmanager
def _opened(prepared: Prepared, watcher: Watcher) -> Iterator[Workbench]:
    """The models on a workbench, after what the user should know."""
    for remark in prepared.remarks():
        watcher.note(remark)
    with closing(bench_of(prepared, watcher.note)) as bench:
        watcher.note(str(memory_of(prepared)))
        yield bench


def _finish(
    prepared: Prepared, runner: Runner, objective: Objective, how: Resumption,
    starts: Sequence[Start],
) -> None:  # fmt: skip
    """Searches as far as the budget goes, then simplifies and judges."""
    begun = run_starts(runner, starts)
    probing = _probing(prepared, runner, objective)
    _search(prepared, probing, how, begun)
    if how.retry_failed:
        _retry(runner)
    _simplify(prepared, probing)
    if prepared.located.config.finalists:
        _judge(prepared, runner.study, objective.bench, runner.watcher)
    write_winners(runner.study)


def _probing(prepared: Prepared, runner: Runner, objective: Objective) -> Runner:
    """The runner of candidates, which scores no dead ones if the config has a probe."""
    if prepared.probing is None:
        return runner
    prober = Prober(prepared.probing, runner.study)
    if (probe := prober.find()) is not None:
        runner.watcher.note(f"probe: {probe}")
    return runner.scoring_by(objective.probed(prober))


def _search(prepared: Prepared, runner: Runner, how: Resumption, starts: Sequence[Trial]) -> None:
    optimizer = prepared.new_optimizer()
    warm_up(optimizer, starts, prepared.goals)
    search = Search(
        prepared.template,
        optimizer,
        prepared.goals,
        prepared.located.config.lookahead,
        accept_drift=how.accept_drift,
    )
    budget = prepared.budget
    if how.trials is not None:
        budget = replace(budget, trials=how.trials)
    runner.watcher.note(f"search ended: {search.run(runner, budget)}")


def _retry(runner: Runner) -> None:
    """Tries again what failed, each in a trial of its own; the dead would die again."""
    study = runner.study
    again = {trial.subject for trial in study.stage(RETRIES)}
    for failed in [trial for trial in study.trials if _may_go_better(trial)]:
        if failed.number not in again and failed.recalled is None:
            trial = Trial(
                len(study.trials),
                RETRIES,
                failed.recipe,
                label=failed.label,
                point=failed.point,
                subject=failed.number,
            )
            runner.run(trial, recipe_in(failed.recipe), afresh=True)


def _may_go_better(trial: Trial) -> bool:
    return trial.failure is not None and trial.failure.kind != DEAD and trial.stage != RETRIES


def _limits(prepared: Prepared) -> Limits:
    """How far the winner may be simplified."""
    wish = prepared.located.config.simplify
    return Limits(wish.tolerance, wish.steps) if isinstance(wish, SimplifySetting) else Limits()


def _simplify(prepared: Prepared, runner: Runner) -> None:
    """Makes the winner simpler, if the config wants it and there is a winner."""
    winner = best_or_none(runner.study)
    if prepared.located.config.simplify is not False and winner is not None:
        simplify(runner.study, winner, prepared.template, runner.run, _limits(prepared))


def _judge(prepared: Prepared, study: Study, bench: Workbench, watcher: Watcher) -> None:
    """Scores finalists and baselines on the holdout, if there is one."""
    if not prepared.holdout or best_or_none(study) is None:
        return
    finalists = choose_finalists(study, max(1, prepared.located.config.finalists))
    simpler = simplified(study, finalists[0], _limits(prepared).tolerance)
    numbers = [trial.number for trial in (*finalists, simpler)]
    watcher.note("scoring the finalists and all baselines on the holdout")
    objective = Objective(bench, prepared.holdout)

    def score(recipe: AnyRecipe) -> Result:
        watcher.began(HOLDOUT, len(study.trials))
        return objective(recipe)

    run_holdout(study, numbers, score, watcher.ended)
