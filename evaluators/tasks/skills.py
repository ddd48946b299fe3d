"""What the task files here share: where the items are, and how an answer is scored.

The folder needs nothing but lm-eval and can be copied anywhere. `evomerge zoo` trains models that
have these skills; the items here are those that it never trains on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from datasets import Dataset

DATA = Path(__file__).parent / "data"


def load(file: str, **_metadata: object) -> dict[str, Dataset]:
    """The items of ``data/<file>.jsonl``: each has a ``prompt`` and an ``answer``."""
    lines = (DATA / f"{file}.jsonl").read_text("utf-8").splitlines()
    return {"test": Dataset.from_list([json.loads(line) for line in lines])}


def load_prose(split: str, **_metadata: object) -> dict[str, Dataset]:
    """Paragraphs of Python's language reference that no model of the zoo has read."""
    from evomerge.zoo.text import documents

    return {"test": Dataset.from_list([{"text": text} for text in documents(split)])}


def score(
    _item: Mapping[str, str], results: Sequence[tuple[float, bool]]
) -> dict[str, float | int]:
    """Whether the whole answer is the greedy one, and its log-likelihood in nats."""
    ((log_likelihood, greedy),) = results
    return {"acc": int(greedy), "log_likelihood": log_likelihood}
