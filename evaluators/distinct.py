"""How little a model repeats itself: the first thing that a bad merge does.

    evomerge evaluate MODEL --evaluator evaluators/distinct.py:score

The model continues a few openings greedily. Each scores the share of its 3-token sequences that
occur once only: 1 is no repetition at all, near 0 is a loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

OPENINGS = (
    "Once upon a time",
    "The most important thing about science is",
    "Dear Sir or Madam,",
    "def main():",
    "To make a good soup,",
    "The history of the city begins",
)

SEQUENCE = 3  # tokens: two repeat in good prose, four miss short loops


def score(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[int] | None = None,
    length: int = 64,
) -> dict[str, list[float]]:
    """Per opening, ``distinct``, in [0, 1], and ``finished``, 1 if the model came to an end.

    Args:
        model: the model to score.
        tokenizer: its tokenizer.
        items: which of `OPENINGS`, by index; all if None.
        length: most tokens to write.
    """
    chosen = range(len(OPENINGS)) if items is None else items
    texts = [_continue(model, tokenizer, OPENINGS[index], length) for index in chosen]
    return {
        "distinct": [_distinct(tokens) for tokens in texts],
        "finished": [float(len(tokens) < length) for tokens in texts],
    }


def _continue(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, opening: str, length: int
) -> list[int]:
    inputs = tokenizer(opening, return_tensors="pt", return_token_type_ids=False).to(model.device)
    with torch.inference_mode():
        tokens = model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=length,
            pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
        )
    written: list[int] = tokens[0, inputs["input_ids"].shape[1] :].tolist()
    return written


def _distinct(tokens: Sequence[int]) -> float:
    sequences = Counter(zip(*(tokens[start:] for start in range(SEQUENCE)), strict=False))
    if not sequences:
        return 1.0
    return sum(count == 1 for count in sequences.values()) / sequences.total()
