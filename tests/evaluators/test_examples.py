"""Promises of the example evaluators at the top level of the project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from evomerge.evaluators.base import LoadedModel
from evomerge.evaluators.python import Python
from evomerge.evaluators.user_code import load_function
from evomerge.zoo.random_models import Options, random_model
from evomerge.zoo.small_tokenizers import byte_tokenizer

EXAMPLES = Path(__file__).parents[2] / "evaluators"


@pytest.fixture(scope="module")
def talker(module_folder) -> LoadedModel:
    """A model that reads any text."""
    from evomerge.evaluators.loading import load_model

    options = Options(tokenizer=byte_tokenizer(["some text"]))
    return load_model(random_model(module_folder / "talker", options=options), device="cpu")


class Parrot:
    """Continues every prompt with ``text``."""

    device = "cpu"

    def __init__(self, tokenizer, text: str) -> None:
        self.tokens = torch.tensor(tokenizer.encode(text, add_special_tokens=False))

    def generate(self, input_ids, max_new_tokens, **_):
        return torch.cat([input_ids[0], self.tokens[:max_new_tokens]])[None]


@pytest.mark.parametrize("name", ["distinct", "length_penalty"])
def test_examples_score_a_model_per_item(talker, name):
    evaluator = Python(function=f"{EXAMPLES}/{name}.py:score")
    main = evaluator.evaluate(talker).main
    assert main.size > 5
    assert 0 <= main.value <= 1
    some = evaluator.evaluate(talker, [3, 1]).main
    assert some.contributions == {index: main.contributions[index] for index in (3, 1)}


def test_a_right_answer_loses_by_its_length(talker, tmp_path):
    score = load_function(f"{EXAMPLES}/length_penalty.py:score")
    file = tmp_path / "questions.jsonl"
    file.write_text(json.dumps({"prompt": "1 + 1 =", "answer": "2"}) + "\n")

    def of(text: str) -> float:
        (found,) = score(Parrot(talker.tokenizer, text), talker.tokenizer, file=str(file))
        return found

    assert of(" 2.") == 1.0
    assert 0 < of(" 2. And that is so") < of(" 2. And that") < 1
    assert of(" 2" + " and so on" * 30) == 0.0
    assert of(" 3.") == 0.0


def test_a_loop_is_not_distinct(talker):
    score = load_function(f"{EXAMPLES}/distinct.py:score")

    def of(text: str) -> dict[str, list[float]]:
        return score(Parrot(talker.tokenizer, text), talker.tokenizer, items=[0])

    assert of("abcdefgh") == {"distinct": [1.0], "finished": [1.0]}
    assert of("abc" * 40) == {"distinct": [0.0], "finished": [0.0]}
    assert of("")["distinct"] == [1.0]
