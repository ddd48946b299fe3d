"""The task files of `evaluators/tasks`: their scores are what a direct count finds."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest
import torch
import yaml
from torch.nn.functional import cross_entropy

from evomerge.evaluators.base import LoadedModel
from evomerge.evaluators.lm_eval import LmEval
from evomerge.evaluators.scores import Scores
from evomerge.zoo.models import new_model
from evomerge.zoo.scoring import encode, hidden_states, score
from evomerge.zoo.small_tokenizers import byte_tokenizer
from evomerge.zoo.tasks import SIZES, SKILLS, Item, items

TASKS = Path(__file__).parents[2] / "evaluators" / "tasks"
TOKENIZER = byte_tokenizer((), 260)
# Of every task, the items that are scored, and those of them that the model has learnt by heart.
SCORED, LEARNT = 12, 5


def suffix(split: str) -> str:
    return "" if split == "search" else f"_{split}"


@pytest.fixture(scope="module")
def learner() -> LoadedModel:
    """A model that knows some of the items, and none of the skills."""
    known = [item for skill in SKILLS for split in SIZES for item in items(skill, split)[:LEARNT]]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = new_model(TOKENIZER, layers=2)
    tokens, targets = encode(TOKENIZER, known)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(100):
        states, wanted = hidden_states(model, tokens, targets)
        cross_entropy(model.lm_head(states), wanted).backward()
        optimizer.step()
        optimizer.zero_grad()
    return LoadedModel(model.eval(), TOKENIZER, "learner")


@pytest.fixture(scope="module")
def found(learner: LoadedModel) -> Scores:
    """All tasks at once."""
    kinds = [f"{skill}{kind}" for skill in SKILLS for kind in ("", "_generate")]
    names = [f"{kind}{suffix(split)}" for kind in kinds for split in SIZES]
    return LmEval(task=names, include_path=str(TASKS), limit=SCORED).evaluate(learner)


def value(scores: Scores, task: str, metric: str) -> float:
    (measure,) = (m for m in scores.measures if (m.task, m.metric) == (task, metric))
    assert measure.size == SCORED
    return measure.value


@torch.no_grad()
def writes(model: torch.nn.Module, item: Item) -> bool:
    """Whether the model, token by token, writes the answer and its end."""
    tokens = TOKENIZER(item.prompt, add_special_tokens=False, return_tensors="pt").input_ids
    asked = tokens.shape[1]
    for _ in TOKENIZER(item.answer, add_special_tokens=False).input_ids:
        tokens = torch.cat([tokens, model(tokens).logits[:, -1:].argmax(-1)], dim=1)
    return TOKENIZER.decode(tokens[0, asked:]) == item.answer


@pytest.mark.parametrize("skill", SKILLS)
@pytest.mark.parametrize("split", SIZES)
def test_scores_equal_a_direct_count(learner, found, skill, split):
    scored = items(skill, split)[:SCORED]
    right = [writes(learner.model, item) for item in scored]
    assert LEARNT <= sum(right) < SCORED
    task = f"{skill}{suffix(split)}"
    assert value(found, task, "acc") == sum(right) / SCORED
    direct = score(learner.model, TOKENIZER, scored)
    assert direct.accuracy == sum(right) / SCORED
    likelihood = value(found, task, "log_likelihood")
    assert likelihood == pytest.approx(direct.log_likelihood, rel=1e-5)


@pytest.mark.parametrize("skill", SKILLS)
@pytest.mark.parametrize("split", SIZES)
def test_what_is_written_out_counts_the_same(learner, found, skill, split):
    right = [writes(learner.model, item) for item in items(skill, split)[:SCORED]]
    task = f"{skill}_generate{suffix(split)}"
    assert value(found, task, "exact_match") == sum(right) / SCORED


def test_every_task_reads_all_items_of_its_split_and_no_others():
    for file in TASKS.glob("*.yaml"):
        # The skill, the split and the kind are in the name.
        lines = [line for line in file.read_text("utf-8").splitlines() if "!function" not in line]
        task = yaml.safe_load("\n".join(lines))
        assert task["task"] == file.stem
        skill, *rest = file.stem.split("_")
        split = "holdout" if "holdout" in rest else "search"
        if skill == "prose":
            assert task["dataset_kwargs"] == {"split": split}
        else:
            assert task["dataset_kwargs"] == {"file": f"{skill}_{split}"}
            assert (task["include"] == "_generate") == ("generate" in rest)


def test_search_and_holdout_share_no_prompt():
    prompts = {
        file.stem: {json.loads(line)["prompt"] for line in file.read_text("utf-8").splitlines()}
        for file in (TASKS / "data").glob("*.jsonl")
    }
    assert {name: len(found) for name, found in prompts.items()} == {
        f"{skill}_{split}": size for skill in SKILLS for split, size in SIZES.items()
    }
    assert [pair for pair in combinations(prompts, 2) if prompts[pair[0]] & prompts[pair[1]]] == []


def test_real_text_is_scored_in_bits_of_each_split(learner):
    both = LmEval(task=["prose", "prose_holdout"], include_path=str(TASKS), limit=3)
    bits = {m.task: m.value for m in both.evaluate(learner).measures if m.metric == "bits_per_byte"}
    assert bits.keys() == {"prose", "prose_holdout"}
    assert bits["prose"] != bits["prose_holdout"]
    # Of a model that has read none: more than of one that has, and not much more than its bytes.
    assert all(2 < each < 40 for each in bits.values())
