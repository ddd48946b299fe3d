"""Promises of the probe: a few items before all of them tell the dead, and change nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.config.preparing import prepare
from evomerge.config.reading import read_config
from evomerge.errors import EvaluationError, RecipeError, SearchError
from evomerge.evaluators.scores import Measure, Scores, main_measure
from evomerge.goals import Bound
from evomerge.objective import Objective
from evomerge.recipe import Recipe
from evomerge.rehearsal import models_of
from evomerge.searching import Probing, Runner
from evomerge.session import Resumption, begin, resume
from evomerge.study import Study
from evomerge.trial import BASELINES, DEAD, Failure, ItemTable, Result, Score, Trial
from evomerge.workbench import Workbench
from tests.search.fakes import new_study
from tests.search.test_session import HELD, Listening
from tests.search.tiny_runs import config, family

TASKS = {"easy": 10, "hard": 4}  # items by task


def measures(**by_task: list[float]) -> Scores:
    """Accuracies of tasks, whose mean counts."""
    each = [
        Measure(task, "acc", "none", sum(v) / len(v), True, len(v), "mean", dict(enumerate(v)))
        for task, v in by_task.items()
    ]
    return Scores(tuple(each), main_measure(each, needed=True))


def tables(found: Scores, *, up: bool = True, aggregation: str = "mean") -> Result:
    """What a trial records of them."""
    made = tuple(
        ItemTable("skill", m.task, m.metric, m.filter, aggregation, found.share(m), m.contributions)
        for m in found.measures
    )
    scores = {"skill": Score(found.main.value, up, 14), "skill.easy.acc": Score(0.5, up, 10)}
    return Result(scores, made)


def both(skill: float, cost: float) -> Result:
    """Two evaluators on one task, the second of which is better low."""
    items = dict.fromkeys(range(10), skill), dict.fromkeys(range(10), cost)
    made = tuple(
        ItemTable(name, "task", "acc", "none", "mean", 1.0, each)
        for name, each in zip(("skill", "cost"), items, strict=True)
    )
    return Result({"skill": Score(skill, True, 10), "cost": Score(cost, False, 10)}, made)


def recorded(run: Path, *results: Result) -> Study:
    """A study whose baselines have these results."""
    study = new_study(run)
    for number, result in enumerate(results):
        trial = Trial(number, BASELINES, {"models": [f"{number}"]}, scores=result.scores)
        study.append(trial, result.tables)
    return study


def flat(easy: float, hard: float) -> Scores:
    return measures(easy=[easy] * TASKS["easy"], hard=[hard] * TASKS["hard"])


@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 30))
def test_items_are_evenly_spread_over_each_task(count, tasks, more):
    size = count + more
    found = measures(**{f"task{n}": [1.0] * size for n in range(tasks)})
    parts = Probing({"skill": 1.0}, count)._parts(tables(found).scores, tables(found).tables)
    counts = [len(part.items) for part in parts]
    assert sum(counts) == max(count, tasks)
    assert max(counts) - min(counts) <= 1
    for part in parts:
        ends = (-1, *part.items, size)
        gaps = [b - a for a, b in zip(part.items, part.items[1:], strict=False)]
        assert all(0 <= item < size for item in part.items)
        assert not gaps or (min(gaps) > 0 and max(gaps) - min(gaps) <= 1)
        assert abs((ends[1] - ends[0]) - (ends[-1] - ends[-2])) <= 1


def test_three_of_ten_and_two_of_four(tmp_path):
    with recorded(tmp_path / "run", tables(flat(1.0, 1.0))) as study:
        probe = Probing({"skill": 1.0}, 5, Bound("skill", least=0.5)).probe(study)
    assert probe.items == {"skill": {"easy": (1, 5, 8), "hard": (1, 3)}}
    assert probe.size == 5


def test_one_task_of_several_is_probed_alone(tmp_path):
    with recorded(tmp_path / "run", tables(flat(1.0, 1.0))) as study:
        probe = Probing({"skill.easy.acc": 1.0}, 2, Bound("skill.easy.acc", least=0.5)).probe(study)
    assert probe.items == {"skill": {"easy": (2, 7)}}
    assert probe.failure({"skill": measures(easy=[1.0] * 10)}) is None


def test_a_score_at_the_limit_is_alive_and_one_below_is_dead(tmp_path):
    with recorded(tmp_path / "run", tables(flat(1.0, 1.0))) as study:
        probe = Probing({"skill": 1.0}, 6, Bound("skill", least=0.25)).probe(study)
    assert (
        probe.failure({"skill": flat(0.5, 0.0)}) is None
    )  # the mean of the tasks, not of the items
    failure = probe.failure({"skill": flat(0.49, 0.0)})
    assert failure == Failure(DEAD, "skill is 0.245 on 6 items, below 0.25")


def test_a_sum_of_scores_is_probed_as_a_whole(tmp_path):
    """Half of the best sum is asked for, not half of each; losses count as negative."""
    values = [(1.0, 0.0), (0.5, 0.7)]
    results = [both(skill, cost) for skill, cost in values]
    with recorded(tmp_path / "run", *results) as study:
        probe = Probing({"skill": 1.0, "cost": 0.5}, 4).probe(study)
    assert probe.items == {"skill": {"task": (2, 7)}, "cost": {"task": (2, 7)}}
    assert probe.bound == Bound("the objective", least=0.5)
    for skill, cost, alive in ((0.9, 0.7, True), (0.9, 0.9, False)):
        found = {"skill": measures(task=[skill] * 10), "cost": measures(task=[cost] * 10)}
        failure = probe.failure(found)
        assert failure == (
            None if alive else Failure(DEAD, "the objective is 0.45 on 4 items, below 0.5")
        )
    with pytest.raises(RecipeError, match=r"probe\.max: the objective is better high; give min"):
        Probing({"skill": 1.0, "cost": 0.5}, 4, Bound("the objective", most=1)).check(results[0])


def test_two_metrics_of_one_task_ask_the_same_items(tmp_path):
    found = flat(1.0, 1.0)
    result = tables(found)
    more = tuple(replace(table, metric="f1", share=0.0) for table in result.tables)
    scores = {**result.scores, "skill.easy.f1": Score(1.0, True, 10)}
    with recorded(tmp_path / "run", Result(scores, result.tables + more)) as study:
        probe = Probing({"skill.easy.acc": 1.0, "skill.easy.f1": 1.0}, 3).probe(study)
    assert [part.items for part in probe.parts] == [(1, 5, 8)] * 2
    assert probe.size == 3


def test_only_items_of_the_probe_count(tmp_path):
    with recorded(tmp_path / "run", tables(flat(1.0, 1.0))) as study:
        probe = Probing({"skill.easy.acc": 1.0}, 2, Bound("skill.easy.acc", least=0.5)).probe(study)
    lucky = [float(item in {2, 7}) for item in range(10)]
    assert probe.failure({"skill": measures(easy=lucky)}) is None
    assert probe.failure({"skill": measures(easy=[1 - value for value in lucky])}).kind == DEAD


@pytest.mark.parametrize(
    ("values", "up", "limit"),
    [
        ([0.2, 0.8], True, Bound("skill", least=0.4)),
        ([0.9, 1.2], False, Bound("skill", most=1.8)),
        ([-1.0, -3.0], True, Bound("skill", least=-2.0)),  # log-likelihoods
        ([-1.0, -3.0], False, Bound("skill", most=-1.5)),
        ([0.0, -0.0], True, Bound("skill")),
    ],
)
def test_without_a_limit_half_of_the_best_baseline_is_needed(tmp_path, values, up, limit):
    results = [tables(flat(value, value), up=up) for value in values]
    with recorded(tmp_path / "run", *results) as study:
        probe = Probing({"skill": 1.0}, 4).probe(study)
    assert probe.bound == limit
    worst = flat(-1e9, -1e9) if up else flat(1e9, 1e9)
    assert (probe.failure({"skill": worst}) is None) == (limit == Bound("skill"))


def test_there_is_no_probe_before_a_trial_has_scores(tmp_path):
    with recorded(tmp_path / "run") as study:
        study.append(Trial(0, BASELINES, {}, failure=Failure("error", "no luck")))
        assert Probing({"skill": 1.0}, 4).probe(study) is None


def test_a_number_that_is_none_fails_otherwise(tmp_path):
    with recorded(tmp_path / "run", tables(flat(1.0, 1.0))) as study:
        probe = Probing({"skill": 1.0}, 4, Bound("skill", least=0.5)).probe(study)
    broken = Scores(flat(1, 1).measures[:1], None)
    with pytest.raises(EvaluationError, match="has no number"):
        probe.failure({"skill": broken})


def test_what_cannot_be_computed_again_is_refused():
    result = tables(flat(1.0, 1.0), aggregation="bleu")
    with pytest.raises(RecipeError, match="is a 'bleu', which cannot be compared"):
        Probing({"skill": 1.0}, 4).check(result)


def test_a_recipe_that_died_dies_once(tmp_path):
    asked = []

    def score(recipe: Recipe) -> Result:
        asked.append(recipe)
        return Result(failure=Failure(DEAD, "skill is 0 on 4 items, below 0.5"))

    recipe = Recipe.from_tree({"merge_method": "passthrough", "models": [{"model": "base"}]})
    with new_study(tmp_path / "run") as study:
        runner = Runner(study, score)
        first, second = (runner.run(Trial(n, "search", recipe.tree()), recipe) for n in range(2))
    assert len(asked) == 1
    assert (second.recalled, second.failure) == (0, first.failure)


# Whole runs over stacks of random models, which score about alike: nearly all of the best is asked.

STACKS = {
    "merge_method": "passthrough",
    "slices": {"stack": {"models": ["base", "words", "sums"], "scale": [0.5, 2.0]}},
    "dtype": "float32",
}
PROBE = {"items": 4, "share": 0.999}
LONG, SHORT = 12, 5


@pytest.fixture(scope="module")
def models(module_folder: Path):
    return family(module_folder / "models")


def searched(folder: Path, models, trials: int = LONG, **changes: object) -> Study:
    wanted = {"recipe": STACKS, "probe": PROBE, "holdout": HELD, "finalists": 1, **changes}
    path = config(folder, models, "tpe", budget={"trials": trials}, **wanted)
    return begin(read_config(path))


@pytest.fixture(scope="module")
def run(module_folder: Path, models) -> Study:
    return searched(module_folder / "whole", models)


def dead(study: Study, stage: str = "search") -> list[Trial]:
    return [trial for trial in study.stage(stage) if trial.failure and trial.failure.kind == DEAD]


def test_the_dead_have_no_scores_and_cost_no_evaluation(run):
    assert 0 < len(dead(run)) < LONG
    for trial in dead(run):
        assert not trial.scores
        assert run.tables(trial.number) == ()
        if trial.recalled is None:
            assert set(trial.seconds) == {"ask", "merge", "probe"}


def test_only_candidates_are_probed(run):
    for trial in run.trials:
        probed = "probe" in trial.seconds
        assert probed == (trial.stage in {"search", "simplification"} and trial.recalled is None)
    assert any(trial.scores for trial in run.stage("holdout"))


def test_scored_on_all_items_the_dead_are_as_bad_and_the_living_as_they_were(run):
    """With another evaluation of each candidate, and the best baseline by hand."""
    prepared = prepare(read_config(run.run / "config.yaml"))
    with Workbench(models_of(prepared), prepared.bench) as bench:
        objective, text = Objective(bench, prepared.evaluators), prepared.evaluators["text"]
        items = prepared.probing.probe(run).items["text"]

        def on_items(trial: Trial) -> float:
            model = bench.build(Recipe.from_tree(trial.recipe))
            return text.evaluate(model, items).main.value

        limit = min(map(on_items, run.stage("baselines"))) / PROBE["share"]
        probed = [trial for trial in run.stage("search") if trial.recalled is None]
        for trial in probed:
            value = on_items(trial)
            if trial.failure is None:
                assert value <= limit
                assert objective(Recipe.from_tree(trial.recipe)).scores == trial.scores
            else:
                assert value > limit
                assert trial.failure.message.startswith(f"text is {value:.4g} on 4 items, above")


def test_a_run_that_goes_on_is_the_run_that_never_stopped(run, tmp_path, models):
    short = searched(tmp_path, models, SHORT, simplify=False, holdout=None)
    longer = resume(short.run, Resumption(trials=LONG))
    told = [(t.recipe, t.scores, t.failure) for t in run.stage("search")]
    assert [(t.recipe, t.scores, t.failure) for t in longer.stage("search")] == told


def test_the_dead_are_not_tried_again(tmp_path, models):
    study = searched(tmp_path, models, probe={"max": 0.5}, trials=3, holdout=None)
    assert dead(study)
    before = (study.run / "study.jsonl").read_bytes()
    resume(study.run, Resumption(retry_failed=True))
    assert (study.run / "study.jsonl").read_bytes() == before


def test_another_probe_is_another_run(run):
    path = run.run / "config.yaml"
    written = path.read_text()
    try:
        path.write_text(written.replace("items: 4", "items: 5"))
        with pytest.raises(SearchError, match="probe: items 4 became 5"):
            resume(run.run, Resumption())
    finally:
        path.write_text(written)


def test_without_baselines_the_first_candidate_shows_the_items(tmp_path, models):
    probe = {"items": 3, "max": 0.5}
    study = searched(tmp_path, models, 3, probe=probe, baselines="none", holdout=None)
    first, *others = study.stage("search")
    assert first.scores
    assert {trial.failure.kind for trial in others if trial.recalled is None} == {DEAD}


def test_it_is_said_when_a_candidate_is_dead(tmp_path, models):
    listening = Listening()
    path = config(tmp_path, models, "tpe", recipe=STACKS, budget={"trials": 1}, probe={"max": 4.0})
    begin(read_config(path), watcher=listening)
    assert "probe: a candidate is dead above 4 in text on 16 items" in listening.notes


def test_a_run_without_a_probe_covers_what_it_always_did(tmp_path, models):
    path = config(tmp_path, models)
    assert "probe" not in prepare(read_config(path)).covers
