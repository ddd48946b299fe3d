"""Seconds to score one more model: the evaluator ``lm_eval`` beside `lm_eval.simple_evaluate`.

    python benchmarks/evaluate.py

A search asks the same questions of hundreds of models of one size, so what counts is the second
model and all that follow. The case is the one on which mergekit-evolve was measured: a model of
0.2 M parameters, 200 multiple-choice items of four answers, one core. Both sides are given the
model in memory and give the same numbers, which is checked. "rest" is what is not the model's
forward passes.
"""

from __future__ import annotations

import json
import logging
import os
import random
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import torch
import yaml
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from evomerge.evaluators.base import LoadedModel, make_evaluator
from evomerge.evaluators.loading import load_model
from evomerge.zoo.random_models import Options, random_model
from evomerge.zoo.small_tokenizers import byte_tokenizer

ITEMS = 200
BATCH = 32
WORDS = ["cat", "dog", "mat", "red", "blue", "ran", "sat", "the", "on", "under"]


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    with TemporaryDirectory() as name, open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        folder = Path(name)
        model = write_case(folder)
        rows, ratio = measure(folder, model)
    parameters = sum(one.numel() for one in model.model.parameters())
    print(f"{parameters / 1e6:.2f} M parameters, {ITEMS} items, 4 answers each, 1 thread, seconds")
    print(f"{'':34}{'whole':>8}{'forward':>9}{'rest':>8}")
    for row, whole, forward in rows:
        print(f"{row:34}{whole:8.3f}{forward:9.3f}{whole - forward:8.3f}")
    print(f"ratio {ratio:.2f}")


def write_case(folder: Path) -> LoadedModel:
    """Writes the task to ``folder``, and makes the model."""
    write_task(folder)
    options = Options(layers=4, hidden=64, tokenizer=byte_tokenizer(WORDS, size=400))
    return load_model(random_model(folder / "model", options=options), device="cpu")


def write_task(
    folder: Path, *, prompt: str = "Question: {{text}} Answer:", words: int = 8, answer: int = 2
) -> None:
    """Writes the task ``items``: ``words`` in ``prompt``, and answers of ``answer`` words."""
    draw = random.Random(0)
    with (folder / "items.jsonl").open("w") as lines:
        for _ in range(ITEMS):
            choices = [" ".join(draw.choices(WORDS, k=answer)) for _ in range(4)]
            text = " ".join(draw.choices(WORDS, k=words))
            lines.write(json.dumps({"text": text, "choices": choices, "gold": 1}) + "\n")
    task = {
        "task": "items",
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {"test": str(folder / "items.jsonl")},
            "cache_dir": str(folder / "cache"),
        },
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": prompt,
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{gold}}",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / "items.yaml").write_text(yaml.safe_dump(task))


def measure(folder: Path, model: LoadedModel) -> tuple[list[tuple[str, float, float]], float]:
    """Rows of (what, seconds in all, seconds in forward passes), and the ratio of the last two."""
    forward = [0.0]
    watch(model, forward)
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    their_model = HFLM(pretrained=model.model, tokenizer=model.tokenizer, batch_size=BATCH)
    evaluator = make_evaluator(
        {"name": "lm_eval", "task": "items", "include_path": str(folder), "batch_size": BATCH}
    )

    def theirs() -> float:
        found = simple_evaluate(
            their_model, tasks=["items"], task_manager=manager, bootstrap_iters=0
        )
        return float(found["results"]["items"]["acc,none"])

    def ours() -> float:
        return next(one.value for one in evaluator.evaluate(model).measures)

    if ours() != theirs():
        raise SystemExit("the two disagree: the benchmark is void")
    rows = [
        ("simple_evaluate", *seconds(theirs, forward, 5)),
        ("evomerge, a further model", *seconds(ours, forward, 15)),
    ]
    return rows, rows[1][1] / rows[0][1]


def watch(model: LoadedModel, forward: list[float]) -> None:
    """Adds the seconds of the model's forward passes to ``forward[0]``."""
    passes = model.model.forward

    def timed(*args: object, **kwargs: object) -> object:
        start = perf_counter()
        logits = passes(*args, **kwargs)
        forward[0] += perf_counter() - start
        return logits

    model.model.forward = timed


def seconds(run: Callable[[], float], forward: list[float], times: int) -> tuple[float, float]:
    """Medians over ``times`` runs: of the whole, and of the forward passes in it."""
    wholes, passes = [], []
    for _ in range(times):
        forward[0] = 0.0
        start = perf_counter()
        run()
        wholes.append(perf_counter() - start)
        passes.append(forward[0])
    return median(wholes), median(passes)


if __name__ == "__main__":
    main()
