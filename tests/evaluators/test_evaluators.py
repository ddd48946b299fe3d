"""Promises of every evaluator: its place in the registry, and what it returns."""

from __future__ import annotations

import dataclasses
import json
import sys

import pytest

from evomerge.errors import DeadlineExceeded, EvaluationError, RecipeError
from evomerge.evaluators.base import evaluators, make_evaluator
from evomerge.evaluators.scores import (
    ItemKey,
    Measure,
    Scores,
    main_measure,
    plain_scores,
    scores_from_plain,
)

KINDS = ["command", "cost", "lm_eval", "perplexity", "python"]
PROGRAM = "import sys; print([1.0, 0.0, len(sys.argv[1])])"


@pytest.fixture(params=KINDS)
def settings(request, tmp_path, tasks_folder):
    """Settings of one evaluator of each kind."""
    (tmp_path / "prose.txt").write_text("the cat sat on the mat\n")
    (tmp_path / "mine.py").write_text("def score(model, tokenizer): return [1.0, 0.0]")
    return {
        "command": {"command": [sys.executable, "-c", PROGRAM]},
        "cost": {"metric": "parameters"},
        "lm_eval": {"task": "choices", "include_path": str(tasks_folder), "limit": 3},
        "perplexity": {"file": str(tmp_path / "prose.txt")},
        "python": {"function": f"{tmp_path}/mine.py:score"},
    }[request.param] | {"name": request.param}


def test_there_are_settings_for_every_evaluator():
    assert list(evaluators) == KINDS


def test_every_evaluator_is_a_frozen_record_with_documented_keys(settings):
    kind = evaluators[settings["name"]].make
    documentation = "".join(base.__doc__ or "" for base in kind.__mro__[:-1])
    for field in dataclasses.fields(kind):
        assert f"        {field.name}: " in documentation
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_evaluator(settings).anything = 1


def test_scoring_again_gives_the_same_scores(settings, models):
    evaluator = make_evaluator(settings)
    first = evaluator.evaluate(models[0])
    evaluator.evaluate(models[1])
    assert evaluator.evaluate(models[0]) == first == make_evaluator(settings).evaluate(models[0])


def test_the_score_is_one_of_the_measures_and_its_items_are_its_size(settings, models):
    scores = make_evaluator(settings).evaluate(models[0])
    assert scores.main in scores.measures
    for measure in scores.measures:
        assert len(measure.contributions) == (0 if settings["name"] == "cost" else measure.size)


def test_per_item_results_have_an_address_and_can_be_written_as_json(settings, models):
    items = dict(make_evaluator(settings).evaluate(models[0]).items("mine"))
    assert bool(items) == (settings["name"] != "cost")
    for key, value in items.items():
        assert key.evaluator == "mine"
        assert isinstance(key, ItemKey)
        assert json.loads(json.dumps(value)) is not None


def test_scores_survive_json(settings, models):
    scores = make_evaluator(settings).evaluate(models[0])
    assert scores_from_plain(json.loads(json.dumps(plain_scores(scores)))) == scores


def test_a_check_finds_nothing_wrong_and_changes_no_score(settings, models):
    checked = make_evaluator(settings)
    checked.check()
    assert checked.evaluate(models[0]) == make_evaluator(settings).evaluate(models[0])


def test_sizes_are_known_after_a_check_and_true(settings, models):
    evaluator = make_evaluator(settings)
    evaluator.check()
    sizes = evaluator.sizes()
    if sizes is not None:
        measures = evaluator.evaluate(models[0]).measures
        assert sizes == {each.task: each.size for each in measures if each.size}
    assert (sizes is None) == (settings["name"] in {"command", "python"})


def test_only_a_program_s_scores_are_never_recalled(settings):
    assert make_evaluator(settings).deterministic == (settings["name"] != "command")


def test_only_a_program_reads_a_folder_unless_it_is_isolated(settings):
    assert make_evaluator(settings).needs_folder == (settings["name"] == "command")
    assert make_evaluator({**settings, "isolate": True}).needs_folder


def test_none_of_these_is_a_reported_benchmark(settings):
    assert list(make_evaluator(settings).benchmarks()) == []


def test_a_deadline_in_the_past_is_exceeded_and_the_next_evaluation_is_not(settings, models):
    hasty = make_evaluator({**settings, "deadline": 1e-9}, "mine")
    with pytest.raises(DeadlineExceeded, match=f"{models[0].label}: evaluator '{hasty.name}': not"):
        hasty.evaluate(models[0])
    patient = make_evaluator({**settings, "deadline": 1000}, "mine")
    assert patient.evaluate(models[0]) == make_evaluator(settings).evaluate(models[0])


def test_a_deadline_is_above_zero(settings):
    with pytest.raises(RecipeError, match=r"^mine\.deadline: Input should be greater than 0"):
        make_evaluator({**settings, "deadline": 0}, "mine")


def test_what_a_tick_raises_ends_the_evaluation(settings, models):
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_evaluator(settings).evaluate(models[0], tick=stop)


def test_a_model_without_a_folder_is_refused_where_one_is_needed(settings, models):
    in_memory = dataclasses.replace(models[0], folder=None)
    with pytest.raises(EvaluationError, match="there is no folder of this model"):
        make_evaluator({**settings, "isolate": True}).evaluate(in_memory)


def test_an_unknown_evaluator_or_key_is_answered_with_the_known_ones(settings):
    with pytest.raises(RecipeError, match=r"^prose: unknown evaluator 'perplexty'; did you mean"):
        make_evaluator({**settings, "name": "perplexty"}, "prose")
    with pytest.raises(RecipeError, match=r"^prose: unknown key 'shape'\n +available: .*cluster, "):
        make_evaluator({**settings, "shape": 1}, "prose")


def measure(task: str, value: float, *, rises: bool = True) -> Measure:
    return Measure(task, "acc", "none", value, rises, 10)


def test_the_score_of_several_measures_is_their_mean():
    one = measure("a", 0.5)
    assert main_measure([one], needed=True) is one
    mean = main_measure([one, measure("b", 0.25)], needed=True)
    assert (mean.task, mean.value, mean.size) == ("a+b", 0.375, 20)


def test_a_score_that_is_not_finite_is_none():
    for value in (float("nan"), float("inf")):
        with pytest.raises(EvaluationError, match=f"a: its acc is not a number, but {value}"):
            main_measure([measure("a", value), measure("b", 0.5)], needed=False)


def test_what_is_only_reported_has_no_share(settings, models):
    scores = make_evaluator(settings).evaluate(models[0])
    shares = [scores.share(one) for one in scores.measures]
    assert sorted(shares) == [0.0] * (len(shares) - 1) + [1.0]
    assert scores.measures[shares.index(1.0)] == scores.main


def test_measures_of_opposite_directions_have_no_mean():
    two = [measure("a", 0.5), measure("b", 0.5, rises=False)]
    assert main_measure(two, needed=False) is None
    with pytest.raises(EvaluationError, match="a, b: acc is not better high in all of them"):
        main_measure(two, needed=True)


def test_scores_of_groups_have_no_items():
    group = measure("group", 0.5)
    assert list(Scores((group,), group).items("x")) == []
