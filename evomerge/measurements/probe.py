"""The probe: tokens that several models are shown, so that their units can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from evomerge.checkpoint.source import Source
from evomerge.errors import MergeError
from evomerge.evaluators.loading import load_tokenizer
from evomerge.measurements.own_text import paragraphs, shuffled
from evomerge.measurements.texts import Passage, encoded, passages_of, windows_of
from evomerge.recipe.data import Data

# What messages call the text that comes with Python.
OWN = "the text of Python"
# Without a file: so many tokens of what Python brings with it, in texts of so many.
TOKENS, LENGTH = 2048, 128
# In config.json: how many tokens a model reads at once.
POSITIONS = ("max_position_embeddings", "n_positions")


def probe_tokens(source: Source, data: Data | None = None, tokens: int = TOKENS) -> Tensor:
    """``(texts, length)``, int64: the beginning of a file, in the tokens of a model.

    Passages follow each other without a gap, and are cut into texts of one length. A model that
    reads fewer tokens at once gets more and shorter texts.

    Args:
        source: the model.
        data: the file, and how many texts of which length; by default the text that comes with
            Python.
        tokens: so many of that text.

    Raises:
        CheckpointError: the model has no tokenizer.
        MergeError: the file cannot be read, is too short, or holds what the tokenizer does not
            know.
    """
    tokenizer = load_tokenizer(source.folder)
    wanted, longest = (tokens, LENGTH) if data is None else (data.items * data.length, data.length)
    limits = (source.config.get(key) for key in POSITIONS)
    length = min([longest, *(each for each in limits if isinstance(each, int))])
    texts = wanted // length
    found: list[int] = []
    for passage in _own() if data is None else passages_of(Path(data.file)):
        found += encoded(passage, tokenizer, source.label)
        if len(found) >= texts * length:
            return torch.tensor(windows_of(found[: texts * length], length))
    raise MergeError(
        f"{OWN if data is None else data.file}: {len(found)} tokens of {source.label}, and "
        f"{texts * length} are asked for; give a longer text, or ask for fewer"
    )


def _own() -> Iterable[Passage]:
    return (Passage(OWN, f"{part}\n\n") for part in shuffled(paragraphs()))
