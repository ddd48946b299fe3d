"""Promises of the lm-eval evaluator, first of all that its numbers are lm-eval's own."""

from __future__ import annotations

import copy
import random
import sys

import numpy as np
import pytest
import torch
import yaml
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from evomerge.errors import EvaluationError, MissingExtra, RecipeError
from evomerge.evaluators.base import LoadedModel, make_evaluator
from evomerge.evaluators.harness import run
from evomerge.evaluators.harness.language_model import ResidentLM
from evomerge.evaluators.harness.names import GOLD
from evomerge.evaluators.harness.tasks import _unknown_task
from evomerge.evaluators.lm_eval import LmEval
from evomerge.evaluators.loading import load_model
from evomerge.evaluators.scores import Scores
from evomerge.zoo.random_models import FAMILIES, Options, random_model

BATCH = 4
# In the order in which simple_evaluate is given them: what is sampled depends on it.
EVERYTHING = ["both", "never_few_shot", "mutual", "many_golds", "named_gold", "inputs"]
EVERYTHING += ["answers", "sampled", "graded", "targets", "prose"]


@pytest.fixture
def lm_eval(tasks_folder):
    """Makes the evaluator with ``options`` for the tasks of the folder."""

    def make(**options: object) -> LmEval:
        return LmEval(**{"include_path": str(tasks_folder), "batch_size": BATCH, **options})

    return make


@pytest.fixture
def simple(tasks_folder):
    """What lm-eval's own `simple_evaluate` finds, all things made anew."""
    manager = TaskManager(include_path=str(tasks_folder), include_defaults=False)

    def evaluate(loaded: LoadedModel, *, batch_size: int | str = BATCH, **options: object) -> dict:
        tokenizer = copy.deepcopy(loaded.tokenizer)
        model = HFLM(pretrained=loaded.model, tokenizer=tokenizer, batch_size=batch_size)
        return simple_evaluate(model, task_manager=manager, bootstrap_iters=0, **options)

    return evaluate


def assert_equal(scores: Scores, reference: dict) -> None:
    """Every number of both, aggregated and per item, is in the other, and the same to the bit."""
    own = {(m.task, f"{m.metric},{m.filter}"): m.value for m in scores.measures if m.metric != GOLD}
    theirs = {
        (task, key): value
        for task, results in reference["results"].items()
        for key, value in results.items()
        if "," in key and "_stderr" not in key
    }
    assert own == theirs
    items = {key[1:]: value for key, value in scores.items("x") if key.metric != GOLD}
    assert items == {
        (task, sample["doc_id"], metric, sample["filter"]): sample[metric]
        for task, samples in reference["samples"].items()
        for sample in samples
        for metric in sample["metrics"]
    }


def test_two_models_in_turn_get_the_numbers_of_simple_evaluate(lm_eval, simple, models):
    evaluator = lm_eval(task=EVERYTHING)
    found = [evaluator.evaluate(model) for model in (*models, models[0])]
    assert found[0].measures == found[2].measures
    for scores, model in zip(found, models, strict=False):
        assert_equal(scores, simple(model, tasks=EVERYTHING))
    values = [[measure.value for measure in scores.measures] for scores in found[:2]]
    assert sum(a != b for a, b in zip(*values, strict=True)) > len(values[0]) / 2


@pytest.mark.parametrize(
    "options",
    [
        {"num_fewshot": 1},
        {"num_fewshot": 3, "limit": 5},
        {"limit": 0.5},
        {"limit": 1},
        {"apply_chat_template": True, "num_fewshot": 1},
        {"apply_chat_template": True, "fewshot_as_multiturn": False, "num_fewshot": 2},
        {"apply_chat_template": True, "system_instruction": "the cat", "num_fewshot": 2},
        {"system_instruction": "the big cat"},
        {"gen_kwargs": {"max_gen_toks": 3, "do_sample": True, "temperature": 0.7}},
    ],
    ids=str,
)
def test_every_option_means_what_it_means_in_simple_evaluate(lm_eval, simple, models, options):
    tasks = ["both", "never_few_shot", "answers", "sampled", "targets"]
    evaluator = lm_eval(task=tasks, **options)
    for model in models:
        assert_equal(evaluator.evaluate(model), simple(model, tasks=tasks, **options))


def test_the_batch_size_may_be_found_by_trial(lm_eval, simple, models, capsys):
    tasks = ["choices", "answers", "prose"]
    found = lm_eval(task=tasks, batch_size="auto").evaluate(models[0])
    assert capsys.readouterr().out == ""
    assert_equal(found, simple(models[0], tasks=tasks, batch_size="auto"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_numbers_are_equal_in_every_dtype(lm_eval, simple, models, dtype):
    model = copy.deepcopy(models[0].model).to(dtype)
    loaded = LoadedModel(model, models[0].tokenizer, "cast")
    tasks = ["choices", "few_shot", "targets"]
    assert_equal(lm_eval(task=tasks).evaluate(loaded), simple(loaded, tasks=tasks))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_numbers_are_equal_in_every_family(lm_eval, simple, models, tmp_path, family):
    tokenizer = models[0].tokenizer
    folder = random_model(tmp_path / family, family, options=Options(tokenizer=tokenizer))
    loaded = LoadedModel(load_model(folder, device="cpu").model, tokenizer, family)
    tasks = ["few_shot", "prose"]
    assert_equal(lm_eval(task=tasks).evaluate(loaded), simple(loaded, tasks=tasks))


def test_weights_changed_in_place_are_scored_as_a_new_model(lm_eval, models):
    model = copy.deepcopy(models[0].model)
    loaded = LoadedModel(model, models[0].tokenizer, "resident")
    evaluator = lm_eval(task=["choices", "targets", "prose", "sampled"])
    before = evaluator.evaluate(loaded)
    with torch.no_grad():
        for mine, others in zip(model.parameters(), models[1].model.parameters(), strict=True):
            mine.copy_(others)
    assert evaluator.evaluate(loaded).measures == evaluator.evaluate(models[1]).measures
    assert evaluator.evaluate(models[0]).measures == before.measures


@pytest.mark.parametrize(("context", "made"), [(64, 1), (48, 2)])
def test_a_model_of_another_depth_is_asked_by_the_same_speaker(
    lm_eval, simple, models, tmp_path, monkeypatch, context, made
):
    """Its requests are not encoded again, unless its context is another."""
    tokenizer = models[0].tokenizer
    options = Options(layers=3, tokenizer=tokenizer)
    model = load_model(random_model(tmp_path / "m", seed=3, options=options), device="cpu").model
    model.config.max_position_embeddings = context
    deeper = LoadedModel(model, tokenizer, "deeper")
    tasks = ["choices", "few_shot", "prose", "answers"]
    speakers = []

    def counted(*given: object) -> ResidentLM:
        speakers.append(ResidentLM(*given))
        return speakers[-1]

    monkeypatch.setattr(run, "ResidentLM", counted)
    evaluator = lm_eval(task=tasks)
    for loaded in (models[0], deeper):
        assert_equal(evaluator.evaluate(loaded), simple(loaded, tasks=tasks))
    assert len(speakers) == made


def test_items_without_examples_get_the_numbers_of_samples(lm_eval, simple, models):
    items = {"choices": [1, 4, 5], "answers": [0, 8], "targets": [3]}
    scores = lm_eval(task=list(items)).evaluate(models[0], items)
    assert_equal(scores, simple(models[0], tasks=list(items), samples=items))


def test_a_subset_is_asked_the_same_questions_as_the_whole(lm_eval, models):
    evaluator = lm_eval(task="few_shot")
    whole = dict(evaluator.evaluate(models[0]).items("x"))
    part = dict(evaluator.evaluate(models[0], [2, 7]).items("x"))
    assert {key.document for key in part} == {2, 7}
    for key, value in part.items():
        assert value == pytest.approx(whole[key], rel=1e-5)  # other rows share its batch
    assert dict(evaluator.evaluate(models[0]).items("x")) == whole


def test_items_in_the_settings_are_items_at_every_call(lm_eval, models):
    always = lm_eval(task="few_shot", items=[2, 5]).evaluate(models[0])
    assert always.measures == lm_eval(task="few_shot").evaluate(models[0], [2, 5]).measures
    by_task = lm_eval(task=["few_shot", "choices"], items={"few_shot": [2, 5]})
    assert by_task.evaluate(models[0]).measures == always.measures


def test_the_global_generators_are_left_alone(lm_eval, models):
    def drawn() -> tuple[float, float, float]:
        return random.random(), np.random.random(), float(torch.rand(1))  # noqa: NPY002

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    expected = drawn()
    random.setstate(states[0]), np.random.set_state(states[1]), torch.set_rng_state(states[2])  # noqa: NPY002
    lm_eval(task=["sampled", "few_shot"]).evaluate(models[0])
    assert drawn() == expected


def test_the_likelihood_of_the_right_answer_stands_beside_accuracy(lm_eval, models):
    scores = lm_eval(task=["choices", "many_golds", "inputs", "targets", "answers"])
    found = scores.evaluate(models[0])
    assert [m.task for m in found.measures if m.metric == GOLD] == [
        "choices", "many_golds", "inputs", "targets",
    ]  # fmt: skip
    by_task = {m.task: m for m in found.measures if m.metric == GOLD}
    assert by_task["many_golds"].value >= by_task["choices"].value
    target = next(m for m in found.measures if m.metric == "perplexity")
    assert by_task["targets"].contributions == target.contributions
    assert by_task["targets"].value == pytest.approx(-np.log(target.value))
    assert by_task["choices"].higher_is_better


def test_directions_are_the_tasks_own(lm_eval, models):
    found = lm_eval(task=["targets", "both"]).evaluate(models[0]).measures
    assert {m.metric: m.higher_is_better for m in found} == {
        "perplexity": False, "acc": True, "acc_norm": True, GOLD: True,
    }  # fmt: skip


def test_the_score_is_the_metric_and_filter_asked_for(lm_eval, models):
    def main(**options: object) -> tuple[str, str, str]:
        one = lm_eval(**options).evaluate(models[0]).main
        return one.task, one.metric, one.filter

    assert main(task="choices") == ("choices", "acc", "none")
    assert main(task="choices", metric="acc_norm") == ("choices", "acc_norm", "none")
    assert main(task="answers", filter="short") == ("answers", "exact_match", "short")
    assert main(task="both", metric="acc") == ("both", "acc", "none")
    assert main(task="choices", metric=GOLD) == ("choices", GOLD, "none")


def test_the_score_of_several_tasks_is_their_mean(lm_eval, models):
    scores = lm_eval(task=["choices", "never_few_shot"], metric="acc").evaluate(models[0])
    parts = [m.value for m in scores.measures if m.metric == "acc"]
    assert scores.main.value == sum(parts) / 2
    assert scores.main.task == "choices+never_few_shot"


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        ({"task": "choices"}, {"choices": 1}),
        ({"task": "choices", "metric": "acc_norm"}, {"choices": 1}),
        ({"task": "both", "metric": "acc"}, {"choices": 5 / 7, "few_shot": 2 / 7}),
        ({"task": "evenly", "metric": "acc"}, {"choices": 1 / 2, "few_shot": 1 / 2}),
        ({"task": ["both", "mutual"], "metric": "acc"},
         {"choices": 5 / 14, "few_shot": 2 / 14, "mutual": 1 / 2}),
        ({"task": ["both", "mutual"]}, {"choices": 5 / 14, "few_shot": 2 / 14, "mutual": 1 / 2}),
        ({"task": ["choices", "prose"]}, {}),
    ],
    ids=str,
)  # fmt: skip
def test_the_score_is_the_sum_of_the_shares_of_its_tasks(lm_eval, models, options, shares):
    names = {"both": ("choices", "few_shot"), "evenly": ("choices", "few_shot")}
    asked = [options["task"]] if isinstance(options["task"], str) else options["task"]
    items = {"choices": [0, 1, 2, 3, 8], "few_shot": [0, 5], "mutual": [1, 2], "prose": [1]}
    tasks = {inner for name in asked for inner in names.get(name, (name,))}
    scores = lm_eval(**options).evaluate(models[0], {name: items[name] for name in tasks})
    found = {one.address: scores.share(one) for one in scores.measures if scores.share(one)}
    assert {address.task: share for address, share in found.items()} == pytest.approx(shares)
    assert len(found) == len(shares)
    if scores.main is not None:
        of_documents = [one for one in scores.measures if one.contributions]
        total = sum(scores.share(one) * one.value for one in of_documents)
        assert total == pytest.approx(scores.main.value, rel=1e-12)


def test_opposite_directions_make_no_score(lm_eval, models):
    assert lm_eval(task=["choices", "prose"]).evaluate(models[0]).main is None


def test_patterns_and_paths_name_tasks(lm_eval, models, tasks_folder, only_our_tasks):
    found = lm_eval(task=["*few_shot", str(tasks_folder / "choices.yaml")]).evaluate(models[0])
    assert {m.task for m in found.measures} == {"few_shot", "never_few_shot", "choices"}


def test_every_batch_is_preceded_by_a_tick(lm_eval, models):
    evaluator = lm_eval(task=["choices", "answers", "prose"])
    ticks: list[int] = []
    evaluator.evaluate(models[0], tick=lambda: ticks.append(1))
    assert len(ticks) > 9 / BATCH * 3

    def stop() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        evaluator.evaluate(models[0], tick=stop)
    assert evaluator.evaluate(models[0]) == lm_eval(task=["choices", "answers", "prose"]).evaluate(
        models[0]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "chioces"}, "unknown task 'chioces'; did you mean 'choices'?"),
        ({"task": "choices", "metric": "ac"}, "task 'choices': unknown metric 'ac'; did you mean"),
        ({"task": "choices", "metric": "acc", "filter": "first"}, "available: none"),
        ({"task": ["choices", "both"]}, "task 'choices' is asked for twice"),
        ({"task": "choices", "items": [3, 99]}, "no document 99; there are 9, counted from 0"),
        ({"task": "choices", "items": {"few": [3]}}, "items: unknown task 'few'"),
        ({"task": ["choices", "prose"], "items": [3]}, "bare indices for 2 tasks"),
        ({"task": ["choices", "targets"], "metric": "acc_norm"}, "task 'targets': unknown metric"),
        ({"task": "choices", "include_path": "nowhere"}, "include_path: no folder nowhere"),
    ],
    ids=str,
)
def test_what_does_not_exist_is_named(lm_eval, models, options, message, only_our_tasks):
    with pytest.raises(EvaluationError) as error:
        lm_eval(**options).evaluate(models[0])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset_path": "nobody/nothing"}, "task 'broken': its dataset cannot be found; "),
        ({"dataset_kwargs": {"data_files": "gone.jsonl"}}, "its dataset cannot be found; "),
        ({"test_split": "tset"}, "task 'broken': it does not load; KeyError"),
        ({"doc_to_text": "{{nothing}}"}, "it does not load; UndefinedError: 'nothing'"),
        (
            {"metric_list": [{"metric": "acc", "aggregation": "gone"}]},
            "it cannot grade the answers",
        ),
        ({"unsafe_code": True}, "task 'broken' executes what the model writes; set allow_code"),
    ],
    ids=str,
)
def test_a_broken_task_is_named_with_its_fault(tasks_folder, tmp_path, models, change, message):
    choices = yaml.safe_load((tasks_folder / "choices.yaml").read_text())
    task = {**choices, **change, "task": "broken"}
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(task))
    with pytest.raises(EvaluationError) as error:
        LmEval(task="broken", include_path=str(tmp_path)).evaluate(models[0])
    assert message in str(error.value)


def test_of_many_tasks_only_the_nearest_are_listed():
    known = [f"mmlu_{number}" for number in range(500)] + ["arc_easy", "arc_challenge"]
    assert _unknown_task("arc_esay", known, []) == (
        "tasks: unknown task 'arc_esay'; did you mean 'arc_easy'?\n"
        "       available: arc_easy, and 501 others"
    )
    assert _unknown_task("arc_esay", [*known, "mine"], ["mine"]).endswith(
        "available: arc_easy, mine, and 501 others"
    )
    assert _unknown_task("main", ["mine", "other"], ["mine", "other"]) == (
        "tasks: unknown task 'main'; did you mean 'mine'?\n       available: mine, other"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "message"),
    [("arc_eassy", "did you mean 'arc_easy'"), ("arc_easy", "its dataset cannot be found")],
)
def test_the_tasks_of_lm_eval_are_known(models, task, message):
    with pytest.raises(EvaluationError, match=message):
        LmEval(task=task).evaluate(models[0])


def test_a_model_that_gives_nan_has_no_score(lm_eval, models):
    model = copy.deepcopy(models[0].model)
    with torch.no_grad():
        model.lm_head.weight[3] = float("nan")
    broken = LoadedModel(model, models[0].tokenizer, "broken")
    for task in ("choices", "prose"):
        with pytest.raises(EvaluationError, match=f"broken: a likelihood in task '{task}'"):
            lm_eval(task=task).evaluate(broken)


def test_a_tokenizer_without_chat_template_is_refused(lm_eval, models):
    tokenizer = copy.deepcopy(models[0].tokenizer)
    tokenizer.chat_template = None
    with pytest.raises(EvaluationError, match="no chat template"):
        lm_eval(task="choices", apply_chat_template=True).evaluate(
            LoadedModel(models[0].model, tokenizer, "plain")
        )


def test_prompts_follow_the_chat_template_of_each_model(lm_eval, simple, models):
    tokenizer = copy.deepcopy(models[1].tokenizer)
    tokenizer.chat_template = tokenizer.chat_template.replace(" :", " : the")
    other = LoadedModel(models[1].model, tokenizer, "other")
    evaluator = lm_eval(task="choices", apply_chat_template=True)
    for model in (models[1], other, models[1]):
        reference = simple(model, tasks=["choices"], apply_chat_template=True)
        assert_equal(evaluator.evaluate(model), reference)


def test_settings_are_checked_against_the_options():
    with pytest.raises(RecipeError, match="unknown key 'fewshot'"):
        make_evaluator({"name": "lm_eval", "task": "choices", "fewshot": 2}, "evaluators.sums")
    with pytest.raises(RecipeError, match=r"^evaluators.sums.limit: Input should be .* found -1"):
        make_evaluator({"name": "lm_eval", "task": "choices", "limit": -1}, "evaluators.sums")
    made = make_evaluator({"name": "lm_eval", "task": "choices", "batch_size": "8"}, "x")
    assert made == LmEval(task="choices", batch_size=8)


def test_without_lm_eval_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(MissingExtra, match=r"'lm_eval' needs the lm-eval package: pip install"):
        make_evaluator({"name": "lm_eval", "task": "choices"})
