"""Promises of the list of benchmarks that are commonly reported."""

from __future__ import annotations

import pytest
from lm_eval.tasks import TaskManager

from evomerge.evaluators.benchmarks import FAMILIES, reported
from evomerge.evaluators.lm_eval import LmEval

# What mergekit-evolve guards, and what leaderboards have taken up since.
OF_MERGEKIT = (
    *("mmlu", "mmlu_astronomy", "mmlu_*", "hendrycks_ethics", "agieval", "gsm8k", "gsm8k_cot"),
    *("hellaswag", "winogrande", "arc_challenge", "arc_easy", "ai2_arc", "truthfulqa_mc2"),
    *("bigbench_rhyme", "piqa", "openbookqa", "leaderboard", "leaderboard_bbh"),
)
SINCE = ("mmlu_pro", "gpqa_main_zeroshot", "ifeval", "bbh_cot_fewshot", "tinyArc", "aime24")


@pytest.mark.parametrize("name", [*OF_MERGEKIT, *SINCE])
def test_benchmarks_are_recognised(name):
    assert reported([name]) == [name]


@pytest.mark.parametrize("name", ["sums", "archery", "my_mmlu", "arc_easy_train", "piqalike", ""])
def test_tasks_of_ones_own_and_training_sets_are_not(name):
    assert reported([name]) == []


def test_each_is_named_once_and_in_order():
    assert reported(["piqa", "sums", "gsm8k", "piqa"]) == ["gsm8k", "piqa"]


@pytest.mark.slow
def test_every_family_has_tasks_in_lm_eval():
    known = reported(TaskManager().all_tasks)
    for family in FAMILIES:
        assert any(name.lower().startswith(family.lower()) for name in known), family


def test_names_tell_before_anything_is_loaded():
    evaluator = LmEval(task=["mmlu", "hellaswag", "sums", "mmlu_*"])
    assert evaluator.benchmarks() == ["hellaswag", "mmlu", "mmlu_*"]
    assert evaluator.sizes() is None


def test_a_group_of_ones_own_does_not_hide_them(tasks_folder, tmp_path):
    text = (tasks_folder / "choices.yaml").read_text()
    (tmp_path / "boolq.yaml").write_text(text.replace("task: choices", "task: boolq"))
    (tmp_path / "mine.yaml").write_text("group: mine\ntask: [boolq]\n")
    evaluator = LmEval(task="mine", include_path=str(tmp_path))
    assert evaluator.benchmarks() == []
    evaluator.check()
    assert evaluator.benchmarks() == ["boolq"]
