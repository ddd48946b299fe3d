"""Promises of models that lm-eval itself runs: the numbers are those of the model in memory."""

from __future__ import annotations

import copy
import dataclasses
import gc
import weakref
from pathlib import Path

import pytest
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from evomerge.errors import EvaluationError
from evomerge.evaluators.base import LoadedModel, make_evaluator
from evomerge.evaluators.lm_eval import LmEval
from evomerge.evaluators.loading import outline_model

TASKS = ["both", "mutual", "answers", "sampled", "targets", "prose"]


@pytest.fixture
def lm_eval(tasks_folder):
    """Makes the evaluator with ``options`` for the tasks of the folder."""

    def make(**options: object) -> LmEval:
        return LmEval(**{"include_path": str(tasks_folder), "batch_size": 4, **options})

    return make


def elsewhere(model: LoadedModel) -> LoadedModel:
    """The same folder beside a model in memory that gives wrong answers."""
    other = copy.deepcopy(model.model)
    other.lm_head.weight.data.zero_()
    return dataclasses.replace(model, model=other)


@pytest.mark.parametrize(
    "options",
    [{"task": TASKS}, {"task": ["few_shot", "answers"], "apply_chat_template": True}],
    ids=["plain", "chat"],
)
def test_two_models_in_turn_get_the_numbers_of_the_models_in_memory(lm_eval, models, options):
    backend = lm_eval(backend="hf", **options)
    in_memory = lm_eval(**options)
    for model in (*models, models[0]):
        assert backend.evaluate(elsewhere(model)) == in_memory.evaluate(model)
    assert backend.evaluate(models[1], {"few_shot": [1, 4]}) == in_memory.evaluate(
        models[1], {"few_shot": [1, 4]}
    )


def test_the_numbers_are_those_of_simple_evaluate(lm_eval, models, tasks_folder):
    manager = TaskManager(include_path=str(tasks_folder), include_defaults=False)
    arguments = {"pretrained": models[0].label, "dtype": "float32"}
    reference = simple_evaluate(
        "hf", model_args=arguments, batch_size=4, device="cpu", tasks=["choices", "prose"],
        task_manager=manager, bootstrap_iters=0,
    )  # fmt: skip
    found = lm_eval(task=["choices", "prose"], backend="hf").evaluate(models[0])
    for one in found.measures[:4]:
        if one.metric != "log_likelihood":
            assert one.value == reference["results"][one.task][f"{one.metric},{one.filter}"]


def test_arguments_are_laid_over_ours(lm_eval, models, monkeypatch):
    given: list[dict[str, object]] = []
    monkeypatch.setattr(
        "evomerge.evaluators.harness.backend.model_registry",
        {"mine": lambda **arguments: given.append(arguments) or HFLM(**arguments)},
    )
    evaluator = lm_eval(
        task="choices", backend="mine", backend_args={"dtype": "float64", "max_length": 32}
    )
    evaluator.evaluate(models[0])
    assert given == [
        {
            "pretrained": models[0].label,
            "dtype": "float64",
            "device": "cpu",
            "trust_remote_code": False,
            "batch_size": 4,
            "max_length": 32,
        }
    ]


def test_the_model_is_out_of_memory_afterwards(lm_eval, models, monkeypatch):
    made: list[weakref.ref[object]] = []

    def make(**arguments: object) -> HFLM:
        model = HFLM(**arguments)
        made.append(weakref.ref(model.model))
        return model

    monkeypatch.setattr("evomerge.evaluators.harness.backend.model_registry", {"mine": make})
    lm_eval(task="choices", backend="mine").evaluate(models[0])
    gc.collect()
    assert [one() for one in made] == [None]


def test_an_outline_is_all_it_needs_of_the_model_in_memory(lm_eval, models):
    options = {"task": "few_shot", "apply_chat_template": True}
    outline = outline_model(Path(models[0].label))
    found = lm_eval(backend="hf", backend_args={"device": "cpu"}, **options).evaluate(outline)
    assert found == lm_eval(**options).evaluate(models[0])


def test_it_needs_a_folder_and_says_so(lm_eval, models):
    evaluator = lm_eval(task="choices", backend="hf")
    assert evaluator.needs_folder
    assert not lm_eval(task="choices").needs_folder
    with pytest.raises(EvaluationError, match="there is no folder of this model"):
        evaluator.evaluate(dataclasses.replace(models[0], folder=None))


def test_the_folder_is_asked_for_before_the_clock_starts(lm_eval, models):
    order: list[str] = []

    def folder() -> Path:
        order.append("folder")
        return Path(models[0].label)

    loaded = dataclasses.replace(models[0], folder=folder)
    lm_eval(task="choices", backend="hf").evaluate(loaded, tick=lambda: order.append("tick"))
    assert order[0] == "folder"
    assert "tick" in order


def test_a_backend_that_does_not_exist_or_does_not_start_is_named(lm_eval, models):
    with pytest.raises(EvaluationError, match="unknown backend 'vlm'; did you mean 'vllm'"):
        lm_eval(task="choices", backend="vlm").check()
    missing = lm_eval(task="choices", backend="hf", backend_args={"revision": 3, "speed": 1})
    with pytest.raises(EvaluationError, match="b: the backend 'hf' does not take it; "):
        missing.evaluate(dataclasses.replace(models[1], label="b"))


def test_a_package_that_is_missing_is_named(lm_eval, monkeypatch):
    class Registry(dict):
        def get(self, name: str) -> object:
            raise ImportError("No module named 'fast_engine'")

    monkeypatch.setattr(
        "evomerge.evaluators.harness.backend.model_registry", Registry(fast="fast_engine:LM")
    )
    with pytest.raises(EvaluationError, match="backend 'fast': it needs another package; No mod"):
        make_evaluator({"name": "lm_eval", "task": "x", "backend": "fast"}).check()
