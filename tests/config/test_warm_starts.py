"""Searches start from points, mergekit files and earlier runs, none of them bent to fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from evomerge.config.preparing import prepare
from evomerge.config.warm_starts import BEST
from evomerge.errors import MergeError, RecipeError, StudyError
from evomerge.session import begin
from evomerge.study import Study
from evomerge.trial import SEARCH
from evomerge.zoo.random_models import random_model
from tests.config.conftest import WEIGHTS

RUNNING = {"baselines": "none", "optimizer": {"name": "optuna", "sampler": "random"}}


def warm(located, *entries, **changes):
    return prepare(located(baselines="none", warm_start=list(entries), **changes)).starts


def mergekit_file(path: Path, models, weights, **changes) -> str:
    entries = [
        {"model": models[alias], "parameters": {"weight": weight}}
        for alias, weight in weights.items()
    ]
    tree = {"merge_method": "task_arithmetic", "base_model": models["base"], "models": entries}
    path.write_text(yaml.safe_dump({**tree, "dtype": "float32", **changes}))
    return path.name


def test_a_point_is_told_and_what_it_leaves_out_stands_in_the_middle(located):
    (start,) = warm(located, {WEIGHTS[0]: 0.25})
    assert start.label == "point 1"
    assert start.point == dict(zip(WEIGHTS, (0.25, 0.5), strict=True))
    assert start.result is None
    (empty,) = warm(located, {})
    assert empty.point == dict.fromkeys(WEIGHTS, 0.5)


def test_a_mergekit_file_that_the_template_can_express_is_told(located, models, tmp_path):
    name = mergekit_file(tmp_path / "mine.yaml", models, {"words": 0.25, "sums": 0.75})
    (start,) = warm(located, name)
    assert start.label == "mine"
    assert start.point == dict(zip(WEIGHTS, (0.25, 0.75), strict=True))


def test_paths_in_a_mergekit_file_are_meant_like_those_of_the_config(located, models, tmp_path):
    for alias, place in models.items():
        (tmp_path / alias).symlink_to(place)
    here = {alias: alias for alias in models}
    name = mergekit_file(tmp_path / "mine.yaml", here, {"words": 0.25, "sums": 0.75})
    (start,) = warm(located, name, models={alias: f"./{alias}" for alias in models})
    assert start.point == dict(zip(WEIGHTS, (0.25, 0.75), strict=True))


@pytest.mark.parametrize("weights", [{"words": 0.25, "sums": 1.75}, {"words": 0.25}])
def test_one_that_it_cannot_express_is_scored_and_not_told(located, models, tmp_path, weights):
    (start,) = warm(located, mergekit_file(tmp_path / "mine.yaml", models, weights))
    assert start.point is None
    found = [model["parameters"]["weight"] for model in start.recipe.tree()["models"]]
    assert found == list(weights.values())


def test_a_model_of_no_config_may_be_started_from_if_it_can_be_merged(located, models, tmp_path):
    other = {**models, "more": str(tmp_path / "more")}
    random_model(tmp_path / "more", "qwen2")
    name = mergekit_file(tmp_path / "mine.yaml", other, {"words": 0.25, "more": 0.5})
    with pytest.raises(MergeError, match=r"config.yaml: warm_start: mine: more: is a Qwen2"):
        warm(located, name)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({WEIGHTS[0]: "much"}, "warm_start: point 1: .*'much' lies outside the space"),
        ({WEIGHTS[0]: True}, "warm_start: point 1: .*True lies outside the space"),
        ({"weight": 0.5}, "warm_start: point 1: unknown dimension 'weight'"),
        ("gone.yaml", "warm_start: .*gone.yaml: cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused(located, entry, message):
    with pytest.raises(RecipeError, match=message):
        warm(located, entry)


@pytest.fixture
def earlier(located, tmp_path) -> Study:
    """A run of seven trials, the last of them outside what narrower ranges can express."""
    return begin(located(**RUNNING, budget={"trials": 7}), tmp_path / "earlier")


def test_an_earlier_run_of_the_same_models_and_evaluators_is_believed(located, earlier):
    starts = warm(located, "earlier")
    trials = earlier.stage(SEARCH)
    assert [start.label for start in starts] == [f"earlier trial {t.number}" for t in trials]
    assert [start.point for start in starts] == [trial.point for trial in trials]
    assert [start.result.scores for start in starts] == [trial.scores for trial in trials]
    assert [start.result.tables for start in starts] == [earlier.tables(t.number) for t in trials]


def test_of_one_with_other_evaluators_the_best_points_are_scored_again(located, earlier):
    other = {"text": {"name": "perplexity", "file": "text.txt", "window": 16}}
    starts = warm(located, "earlier", evaluators=other)
    trials = sorted(earlier.stage(SEARCH), key=lambda trial: trial.scores["text"].value)[:BEST]
    assert [start.label for start in starts] == [f"earlier trial {t.number}" for t in trials]
    assert [start.result for start in starts] == [None] * BEST


def test_trials_that_the_template_cannot_express_are_left_out(located, earlier):
    recipe = yaml.safe_load((earlier.run / "config.yaml").read_text())["recipe"]
    recipe["models"][0]["parameters"]["weight"] = {"search": [0, 0.5]}
    starts = warm(located, "earlier", recipe=recipe)
    within = [t for t in earlier.stage(SEARCH) if t.point[WEIGHTS[0]] <= 0.5]
    assert 0 < len(within) < 7
    assert [start.label for start in starts] == [f"earlier trial {t.number}" for t in within]


def test_what_is_believed_is_recorded_and_not_scored_again(located, earlier, tmp_path):
    study = begin(located(**RUNNING, warm_start=["earlier"]), tmp_path / "later")
    old, new = earlier.stage(SEARCH), study.trials[: len(earlier.trials)]
    assert [trial.scores for trial in new] == [trial.scores for trial in old]
    assert [study.tables(t.number) for t in new] == [earlier.tables(t.number) for t in old]
    assert {seconds for trial in new for seconds in trial.seconds} == set()


def test_a_folder_that_is_no_run_is_refused_before_models_are_hashed(located, tmp_path, earlier):
    """The entry before it would have had them hashed."""
    (tmp_path / "notes").mkdir()
    prepared = located(baselines="none", warm_start=["earlier", "notes"])
    with pytest.raises(StudyError, match=r"warm_start: .*notes/study.jsonl: no such file"):
        prepare(prepared)
