"""A whole run, over real models: what is there at its end, and how it goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evomerge.config.reading import read_config
from evomerge.errors import SearchError
from evomerge.evidence import evidence_of
from evomerge.recipe import Recipe
from evomerge.session import Resumption, begin, judge, resume
from evomerge.study import Study
from evomerge.trial import Trial
from tests.search.tiny_runs import config, family

HELD = {
    "text": {"name": "perplexity", "file": "held.txt", "window": 32, "stride": 32},
}


class Listening:
    """Hears what is said of a run."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.trials: list[Trial] = []

    def began(self, stage: str, number: int) -> None:
        pass

    def ended(self, trial: Trial) -> None:
        self.trials.append(trial)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def models(module_folder: Path):
    return family(module_folder / "models")


@pytest.fixture(scope="module")
def finished(module_folder: Path, models) -> tuple[Study, Listening]:
    """A run that went to its end, which tests only read."""
    listening = Listening()
    path = config(module_folder / "finished", models, holdout=HELD, finalists=2)
    return begin(read_config(path), watcher=listening), listening


def test_stages_follow_each_other(finished):
    study, _ = finished
    stages = [trial.stage for trial in study.trials]
    assert list(dict.fromkeys(stages)) == ["baselines", "search", "simplification", "holdout"]
    assert stages.count("search") == 12
    assert 0 < stages.count("simplification") <= 3


def test_base_parents_and_standard_merges_are_scored_first(finished):
    study, _ = finished
    labels = [trial.label for trial in study.stage("baselines")]
    assert labels[:4] == ["base", "parent words", "parent sums", "uniform soup"]
    assert labels[4:6] == ["default TIES", "default DARE-TIES"]
    assert all(label.startswith("corner ") for label in labels[6:])


def test_finalists_and_all_baselines_meet_on_the_holdout(finished):
    study, _ = finished
    subjects = [trial.subject for trial in study.stage("holdout")]
    baselines = [trial.number for trial in study.stage("baselines")]
    assert subjects[: len(baselines)] == baselines
    assert 1 <= len(subjects) - len(baselines) <= 3
    assert all(study.tables(line.number) for line in study.stage("holdout"))


def test_there_is_a_verdict_from_the_ledger_alone(finished):
    study, _ = finished
    verdicts = evidence_of(Study.open(study.run)).verdicts
    assert verdicts
    assert {verdict.word for verdict in verdicts} <= {"gain", "no significant gain", "worse"}


def test_the_best_recipe_is_a_recipe(finished):
    study, _ = finished
    best = Recipe.read(study.run / "best.yaml")
    assert best.tree() in [trial.recipe for trial in study.trials]


def test_every_trial_and_what_matters_is_told(finished):
    study, listening = finished
    assert [trial.number for trial in listening.trials] == list(range(len(study.trials)))
    assert any("in memory" in note for note in listening.notes)
    assert any(note.startswith("search ended: the budget of 12") for note in listening.notes)


def test_every_trial_says_where_its_time_went(finished):
    study, _ = finished
    scored = [trial for trial in study.stage("search") if trial.recalled is None]
    assert all({"ask", "merge", "forward", "evaluate"} <= set(t.seconds) for t in scored)


def test_a_run_is_not_begun_twice(finished):
    study, _ = finished
    with pytest.raises(SearchError, match="evomerge resume"):
        begin(read_config(study.run.parent / "config.yaml"))


def test_resuming_a_finished_run_scores_nothing(finished):
    study, _ = finished
    before = (study.run / "study.jsonl").read_bytes()
    resume(study.run, Resumption())
    judge(study.run)
    assert (study.run / "study.jsonl").read_bytes() == before


@pytest.fixture
def short(tmp_path: Path, models) -> Study:
    """A run of a few trials without a holdout, which a test may go on with."""
    path = config(tmp_path, models, budget={"trials": 3}, simplify=False)
    return begin(read_config(path))


def test_more_trials_go_on_where_it_ended(short: Study, tmp_path: Path, models):
    longer = resume(short.run, Resumption(trials=6))
    whole = begin(
        read_config(config(tmp_path / "whole", models, budget={"trials": 6}, simplify=False))
    )
    assert [t.point for t in longer.stage("search")] == [t.point for t in whole.stage("search")]
    assert [t.scores for t in longer.trials] == [t.scores for t in whole.trials]


def test_another_config_is_refused_with_the_difference(short: Study):
    path = short.run / "config.yaml"
    path.write_text(path.read_text().replace("seed: 5", "seed: 6"))
    with pytest.raises(SearchError, match="seed: 5 became 6"):
        resume(short.run, Resumption())


def test_a_longer_budget_is_no_other_config(short: Study):
    path = short.run / "config.yaml"
    path.write_text(path.read_text().replace("trials: 3", "trials: 4"))
    assert len(resume(short.run, Resumption()).stage("search")) == 4


def test_other_libraries_are_remarked_on(short: Study):
    path = short.run / "environment.json"
    tree = json.loads(path.read_text())
    tree["libraries"]["numpy"] = "1.0"
    path.write_text(json.dumps(tree))
    listening = Listening()
    resume(short.run, Resumption(), watcher=listening)
    assert any("numpy 1.0 became" in note for note in listening.notes)


def test_what_failed_is_tried_again_when_asked(tmp_path: Path, models):
    broken = tmp_path / "parity.py"
    path = config(tmp_path, models, budget={"trials": 2}, simplify=False, baselines="none")
    working = broken.read_text()
    broken.write_text("def even(model, tokenizer):\n    raise ValueError('not today')\n")
    study = begin(read_config(path))
    failed = [trial.number for trial in study.trials if trial.failure]
    assert failed == [0, 1]
    assert "not today" in study.trials[0].failure.message
    broken.write_text(working)
    again = resume(study.run, Resumption(retry_failed=True)).stage("retries")
    assert [trial.subject for trial in again] == failed
    assert all(trial.scores for trial in again)


def test_a_warm_start_from_a_run_of_the_same_models_is_believed(
    short: Study, tmp_path: Path, models
):
    path = config(
        tmp_path / "warm", models, budget={"trials": 2}, simplify=False,
        warm_start=[str(short.run)],
    )  # fmt: skip
    study = begin(read_config(path))
    told = [trial for trial in study.stage("baselines") if " trial " in trial.label]
    old = [trial for trial in short.stage("search") if trial.failure is None]
    assert [trial.point for trial in told] == [trial.point for trial in old]
    assert [trial.scores for trial in told] == [trial.scores for trial in old]
    assert all(not trial.seconds for trial in told)
