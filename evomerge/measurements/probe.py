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

# Without a file: so many tokens of what Python brings with it, in texts of so many.
TOKENS, LENGTH = 2048, 128
# In config.json: how many tokens a model reads at once.
POSITIONS = ("max_position_embeddings", "n_positions")


def probe_tokens(source: Source, data: Data | None = None) -> Tensor:
    """``(texts, length)``, int64: the beginning of a file, in the tokens of a model.

    Passages follow each other without a gap, and are cut into texts of one length: that of
    ``data``, or as many tokens as the model reads at once, if these are fewer.

    Args:
        source: the model.
        data: the file, and how many texts of which length; by default 2048 tokens of the text
            that comes with Python.

    Raises:
        CheckpointError: the model has no tokenizer.
        MergeError: the file cannot be read, is too short, or holds what the tokenizer does not
            know.
    """
    tokenizer = load_tokenizer(source.folder)
    limits = (source.config.get(key) for key in POSITIONS)
    wanted = LENGTH if data is None else data.length
    length = min([wanted, *(each for each in limits if isinstance(each, int))])
    texts = TOKENS // length if data is None else data.items
    tokens: list[int] = []
    for passage in _own() if data is None else passages_of(Path(data.file)):
        tokens += encoded(passage, tokenizer, source.label)
        if len(tokens) >= texts * length:
            break
    found = windows_of(tokens, length)[:texts]
    if len(found) < texts:
        where = "the text of Python" if data is None else data.file
        raise MergeError(
            f"{where}: {len(tokens)} tokens for {source.label}, and {texts} texts of {length} are "
            "asked for; give a longer text, or ask for fewer or shorter ones"
        )
    return torch.tensor(found)


def _own() -> Iterable[Passage]:
    return (Passage("the text of Python", f"{part}\n\n") for part in shuffled(paragraphs()))
