"""The skills: every answer is right, every item is in one split, and they are the same for all."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.zoo.tasks import ENDS, SIZES, SKILLS, as_lines, draw, items, split_of

TASKS = Path(__file__).parents[2] / "evaluators" / "tasks"

skills = st.sampled_from(sorted(SKILLS))
splits = st.sampled_from(sorted(ENDS))
seeds = st.integers(0, 2**32)


def right_answer(prompt: str) -> str:
    """By the words of the prompt, independently of how items are made."""
    verb, what, equals = prompt.split(" ")
    assert equals == "="
    if verb == "sum":
        return str(sum(map(int, what.split("+"))))
    return {"rev": "".join(reversed(what)), "up": what.upper()}[verb]


@given(skills, splits, seeds)
def test_answers_are_right_and_say_where_they_end(skill: str, split: str, seed: int):
    item = draw(skill, split, Random(seed))
    assert item.answer == f" {right_answer(item.prompt)}\n"


@given(skills, splits, seeds)
def test_what_is_drawn_is_in_its_split(skill: str, split: str, seed: int):
    assert split_of(draw(skill, split, Random(seed)).prompt) == split


@given(skills, splits, seeds)
def test_a_seed_draws_the_same_item(skill: str, split: str, seed: int):
    assert draw(skill, split, Random(seed)) == draw(skill, split, Random(seed))


@given(st.text())
def test_any_text_is_in_a_split(text: str):
    assert split_of(text) in ENDS


@pytest.mark.parametrize("skill", SKILLS)
def test_items_are_different_and_as_many_as_promised(skill: str):
    assert SIZES["holdout"] >= 500
    assert SIZES["search"] >= 200
    for split, size in SIZES.items():
        assert len({item.prompt for item in items(skill, split)}) == size


@pytest.mark.parametrize("skill", SKILLS)
def test_splits_are_disjoint_and_training_never_meets_them(skill: str):
    random = Random(0)
    seen = {split: {item.prompt for item in items(skill, split)} for split in SIZES}
    seen["watch"] = {item.prompt for item in items(skill, "watch", 100)}
    seen["train"] = {draw(skill, "train", random).prompt for _ in range(3000)}
    assert [pair for pair in combinations(seen, 2) if seen[pair[0]] & seen[pair[1]]] == []


def test_splits_have_the_shares_they_say():
    counts = dict.fromkeys(ENDS, 0)
    for number in range(20_000):
        counts[split_of(f"number {number}")] += 1
    for split, share in {"train": 0.65, "watch": 0.05, "search": 0.1, "holdout": 0.2}.items():
        assert counts[split] / 20_000 == pytest.approx(share, abs=0.01)


def test_examples_by_hand():
    first = items("reverse", "search")[0]
    assert json.loads(as_lines([first])) == {"prompt": first.prompt, "answer": first.answer}
    assert as_lines([{"text": "é"}, {"text": "\n"}]) == '{"text": "é"}\n{"text": "\\n"}\n'


@pytest.mark.parametrize("skill", SKILLS)
@pytest.mark.parametrize("split", SIZES)
def test_the_files_of_the_tasks_are_what_the_generator_makes(skill: str, split: str):
    """If this fails, scores are no longer comparable with older ones: `FORMAT` has to change."""
    written = (TASKS / "data" / f"{skill}_{split}.jsonl").read_text("utf-8")
    assert written == as_lines(items(skill, split))
