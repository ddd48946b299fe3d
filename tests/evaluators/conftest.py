"""Two tiny models of one vocabulary, and a folder of tasks of every kind lm-eval has."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import yaml

from evomerge.evaluators.base import LoadedModel
from evomerge.evaluators.loading import load_model
from evomerge.zoo.random_models import Options, random_model
from evomerge.zoo.small_tokenizers import word_tokenizer

WORDS = ("the", "cat", "dog", "sat", "ran", "on", "in", "mat", "red", "big", "Q:", "A:", "user:")
SPLITS = {"test": 9, "train": 6}
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} : {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant : {% endif %}"
)

MEAN = {"aggregation": "mean", "higher_is_better": True}
ACCURACY = [{"metric": metric, **MEAN} for metric in ("acc", "acc_norm")]
CHOICES = {
    "output_type": "multiple_choice",
    "doc_to_text": "Q: {{text}} A:",
    "doc_to_choice": "{{choices}}",
    "doc_to_target": "{{gold}}",
    "metric_list": ACCURACY,
}
ANSWERS = {
    "output_type": "generate_until",
    "doc_to_text": "Q: {{text}} A:",
    "doc_to_target": "{{choices[0]}}",
    "metric_list": [{"metric": "exact_match", **MEAN}],
    "generation_kwargs": {"until": ["\n", "mat"], "max_gen_toks": 6, "do_sample": False},
}
SAMPLED = {"until": ["\n"], "max_gen_toks": 4, "do_sample": True, "temperature": 1.0}
FIRST = {"name": "first", "filter": [{"function": "take_first"}]}
VOTE = {"name": "vote", "filter": [{"function": "majority_vote"}, {"function": "take_first"}]}
SHORT = {
    "name": "short",
    "filter": [{"function": "regex", "regex_pattern": "(\\w+)"}, {"function": "take_first"}],
}

GRADER = '''
def grade(document, answers):
    """Changes its document, which must not reach the next model."""
    document["seen"] = document.get("seen", 0) + 1
    return {"length": len(answers[0]) / document["seen"]}
'''

TASKS = {
    "choices": CHOICES,
    "few_shot": {**CHOICES, "num_fewshot": 2, "fewshot_split": "train"},
    "never_few_shot": {**CHOICES, "num_fewshot": 0},
    "mutual": {**CHOICES, "metric_list": [{"metric": "acc_mutual_info", **MEAN}, *ACCURACY]},
    "many_golds": {**CHOICES, "doc_to_target": "{{[gold, 0]}}"},
    "named_gold": {**CHOICES, "doc_to_target": "{{choices[gold]}}"},
    "inputs": {**CHOICES, "doc_to_text": "{{gold}}", "doc_to_target": "on the mat"},
    "answers": {**ANSWERS, "filter_list": [FIRST, SHORT]},
    "sampled": {
        **ANSWERS,
        "repeats": 2,
        "generation_kwargs": SAMPLED,
        "filter_list": [FIRST, VOTE],
    },
    "targets": {
        "output_type": "loglikelihood",
        "doc_to_text": "{{text}}",
        "doc_to_target": " {{choices[0]}}",
        "metric_list": [
            {"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False},
            {"metric": "acc", **MEAN},
        ],
    },
    "prose": {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{(text ~ ' ') * 20}}",
        "metric_list": [
            {"metric": metric, "aggregation": aggregation, "higher_is_better": False}
            for metric, aggregation in (
                ("word_perplexity", "weighted_perplexity"),
                ("bits_per_byte", "bits_per_byte"),
            )
        ],
    },
}


@pytest.fixture(scope="session")
def tasks_folder(session_folder: Path) -> Path:
    folder = session_folder / "tasks"
    folder.mkdir()
    draw = random.Random(0)
    files = {}
    for split, count in SPLITS.items():
        files[split] = str(folder / f"{split}.jsonl")
        rows = [_row(draw) for _ in range(count)]
        Path(files[split]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files, "cache_dir": str(session_folder / "cache")},
        "test_split": "test",
        "training_split": "train",
    }
    for name, task in TASKS.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"task": name, **data, **task}))
    (folder / "grader.py").write_text(GRADER)
    graded = {**data, **ANSWERS, "task": "graded", "metric_list": [{"metric": "length", **MEAN}]}
    text = yaml.safe_dump(graded) + "process_results: !function grader.grade\n"
    (folder / "graded.yaml").write_text(text)
    mean = [{"metric": "acc", "aggregation": "mean", "weight_by_size": True}]
    group = {"group": "both", "task": ["choices", "few_shot"], "aggregate_metric_list": mean}
    (folder / "both.yaml").write_text(yaml.safe_dump(group))
    mean[0]["weight_by_size"] = False
    (folder / "evenly.yaml").write_text(yaml.safe_dump({**group, "group": "evenly"}))
    return folder


def _row(draw: random.Random) -> dict[str, object]:
    def words(least: int, most: int) -> str:
        return " ".join(draw.choices(WORDS[:10], k=draw.randint(least, most)))

    choices = [words(1, 1) for _ in range(3)] + [words(2, 3)]
    return {"text": words(3, 8), "choices": choices, "gold": draw.randrange(4)}


@pytest.fixture(scope="session")
def models(session_folder: Path) -> tuple[LoadedModel, LoadedModel]:
    """Two different models with the same words, in folders ``a`` and ``b``."""
    return _model(session_folder / "a", 0), _model(session_folder / "b", 1)


def _model(folder: Path, seed: int) -> LoadedModel:
    tokenizer = word_tokenizer(WORDS)
    tokenizer.chat_template = CHAT_TEMPLATE
    options = Options(hidden=32, layers=2, tokenizer=tokenizer)
    return load_model(random_model(folder, seed=seed, options=options), device="cpu")


@pytest.fixture
def only_our_tasks(monkeypatch):
    """lm-eval's own 14,000 tasks take seconds to read, and are read where ours do not suffice."""
    monkeypatch.setattr("evomerge.evaluators.harness.tasks._is_closed", lambda name, manager: True)
