"""Promises of deadlines, and of telling what ran out: time or memory."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from evomerge.errors import DeadlineExceeded, EvaluationError, OutOfMemory
from evomerge.evaluators.base import make_evaluator
from evomerge.evaluators.deadline import deadline
from evomerge.evaluators.memory import memory_watched


def test_a_tick_raises_once_the_time_is_over_and_at_every_later_call():
    tick = deadline(0.05, "mine")
    tick()
    time.sleep(0.06)
    for _ in range(2):
        with pytest.raises(DeadlineExceeded) as error:
            tick()
    assert str(error.value) == (
        "mine: not done within its deadline of 0.05 s; give it longer, or score fewer items"
    )


@pytest.mark.parametrize("name", ["lm_eval", "perplexity"])
def test_evaluators_stop_between_batches(models, tasks_folder, tmp_path, monkeypatch, name):
    (tmp_path / "prose.txt").write_text("the cat sat on the mat\n" * 40)
    settings = {
        "lm_eval": {"task": "choices", "include_path": str(tasks_folder), "batch_size": 1},
        "perplexity": {"file": "prose.txt", "window": 8, "batch_size": 1},
    }[name]
    evaluator = make_evaluator({"name": name, **settings, "deadline": 0.3}, "mine", tmp_path)
    evaluator.check()
    passes: list[int] = []
    forward = models[0].model.forward

    def slow(*inputs: torch.Tensor, **options: object) -> object:
        passes.append(1)
        time.sleep(0.1)
        return forward(*inputs, **options)

    monkeypatch.setattr(models[0].model, "forward", slow)
    with pytest.raises(DeadlineExceeded):
        evaluator.evaluate(models[0])
    assert 1 <= len(passes) <= 4


def test_a_function_that_took_too_long_has_no_score(models, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import time\ndef score(model, tokenizer):\n    time.sleep(0.2)\n    return 1"
    )
    settings = {"name": "python", "function": "mine.py:score", "deadline": 0.1}
    with pytest.raises(DeadlineExceeded, match="evaluator 'python'"):
        make_evaluator(settings, "mine", tmp_path).evaluate(models[0])


def test_both_errors_are_failures_to_evaluate():
    assert issubclass(DeadlineExceeded, EvaluationError)
    assert issubclass(OutOfMemory, EvaluationError)


def on_the_cpu() -> None:
    torch.empty(2**60)


def in_numpy() -> None:
    np.empty(2**58)


def in_python() -> None:
    raise MemoryError


def on_a_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore words")


def in_cublas() -> None:
    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


def in_the_users_code() -> None:
    try:
        on_the_cpu()
    except RuntimeError as error:
        raise EvaluationError("mine.py:3: it cannot score a") from error


@pytest.mark.parametrize(
    "exhaust", [on_the_cpu, in_numpy, in_python, on_a_gpu, in_cublas, in_the_users_code]
)
def test_memory_that_runs_out_is_one_error_wherever_it_does(exhaust):
    with (
        pytest.raises(OutOfMemory, match=r"^mine: memory ran out while it was scored, .*; lower"),
        memory_watched("mine"),
    ):
        exhaust()


@pytest.mark.parametrize(
    "error", [RuntimeError("shape mismatch"), EvaluationError("no task"), OutOfMemory("theirs")]
)
def test_other_errors_pass_as_they_are(error):
    with pytest.raises(type(error)) as raised, memory_watched("mine"):
        raise error
    assert raised.value is error


def test_a_model_that_does_not_fit_is_out_of_memory(models, tmp_path):
    source = "import torch\ndef score(model, tokenizer): return torch.zeros(2**60).sum()"
    (tmp_path / "mine.py").write_text(source)
    evaluator = make_evaluator({"name": "python", "function": "mine.py:score"}, "x", tmp_path)
    with pytest.raises(OutOfMemory, match=f"^{models[0].label}: memory ran out while it was"):
        evaluator.evaluate(models[0])
