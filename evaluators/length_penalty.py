"""Right answers, and short ones: merged chat models tend to know the answer and go on talking.

    evomerge evaluate MODEL --evaluator evaluators/length_penalty.py:score

Each item is a prompt with the answer that is wanted. The model continues the prompt greedily. An
item scores 1 if the continuation begins with the answer, less ``penalty`` for each token beyond
the answer's own and a few for the end of a sentence, and never less than 0.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

QUESTIONS = (
    ("Question: What is the capital of France?\nAnswer:", "Paris"),
    ("Question: What is 7 + 5?\nAnswer:", "12"),
    ("Question: Which planet do we live on?\nAnswer:", "Earth"),
    ("Question: What is the opposite of hot?\nAnswer:", "cold"),
    ("Question: How many days has a week?\nAnswer:", "7"),
    ("Question: Which gas do we breathe in to live?\nAnswer:", "oxygen"),
    ("Question: What do bees make?\nAnswer:", "honey"),
    ("Question: What colour is a ripe banana?\nAnswer:", "yellow"),
)

# A full stop, an end of line and the end of the text are not talk.
FREE_TOKENS = 3


def score(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[int] | None = None,
    file: str | None = None,
    penalty: float = 0.02,
) -> list[float]:
    """The score of each item, in [0, 1]; higher is better.

    Args:
        model: the model to score.
        tokenizer: its tokenizer.
        items: which questions to ask, by index; all if None.
        file: JSON Lines with ``prompt`` and ``answer``, instead of `QUESTIONS`.
        penalty: what each superfluous token costs, above 0.
    """
    questions = QUESTIONS if file is None else _read(Path(file))
    chosen = range(len(questions)) if items is None else items
    return [_score_one(model, tokenizer, *questions[index], penalty) for index in chosen]


def _read(file: Path) -> list[tuple[str, str]]:
    entries = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    return [(entry["prompt"], entry["answer"]) for entry in entries]


def _score_one(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    answer: str,
    penalty: float,
) -> float:
    needed = len(tokenizer.encode(f" {answer}", add_special_tokens=False)) + FREE_TOKENS
    inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False).to(model.device)
    with torch.inference_mode():
        tokens = model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=needed + int(1 / penalty),  # beyond these it scores 0 in any case
            pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
        )[0, inputs["input_ids"].shape[1] :]
    text = tokenizer.decode(tokens, skip_special_tokens=True).strip()
    if not text.lower().startswith(answer.lower()):
        return 0.0
    return max(0.0, 1 - penalty * max(0, len(tokens) - needed))
