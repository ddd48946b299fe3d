"""Bits per byte of a text: how many bits the model needs for a byte of it. Lower is better.

Unlike a perplexity per token, it compares across tokenizers. Documents longer than the window are
read in overlapping windows, each of which scores what the one before has not [1].

[1] Hugging Face. Perplexity of fixed-length models.
    https://huggingface.co/docs/transformers/perplexity
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import log_softmax

from evomerge.errors import EvaluationError
from evomerge.evaluators.base import Evaluator, Items, LoadedModel, Tick, evaluator, indices
from evomerge.evaluators.scores import UNFILTERED, Measure, Scores, main_measure
from evomerge.evaluators.texts import Texts, Window, field_of, read_documents, read_rows, windows

# A token of English is about four bytes: a block of a plain text is about a window.
BYTES_PER_TOKEN = 4

# Positions whose distributions over the vocabulary are held in float32 at once.
POSITIONS = 256


@evaluator("perplexity")
@dataclass(frozen=True, kw_only=True)
class Perplexity(Evaluator):
    """Scores a model by the bits it needs for each byte of the documents of a file.

    Attributes:
        file: JSON Lines (``.jsonl``), a document a line; or a plain text, whose documents are
            blocks of whole lines of at least four bytes for each token of the window.
        field: the key of the text in each JSON line.
        window: tokens read at once; at most as many as the model was made for.
        stride: tokens from one window to the next, at most a window; by default half of one.
        limit: only the first so many documents.
        batch_size: windows in one forward pass.
        goal: there is only one; it may be written for the reader.
    """

    paths: ClassVar[tuple[str, ...]] = ("file",)

    file: Path
    field: str = "text"
    window: Annotated[int, Field(gt=1)] = 1024
    stride: Annotated[int, Field(gt=0)] | None = None
    limit: Annotated[int, Field(gt=0)] | None = None
    batch_size: Annotated[int, Field(gt=0)] = 4
    goal: Literal["min"] = "min"

    def score(self, model: LoadedModel, items: Items | None, tick: Tick) -> Scores:
        """Scores ``model`` on ``items``, or on all documents.

        A document contributes its log-likelihood in nats and its bytes.

        Raises:
            EvaluationError: the file cannot be read, or the model gives no numbers.
        """
        chosen = self._chosen(items)
        found = dict.fromkeys(chosen, 0.0)
        for document, log_likelihood in self._predicted(model, chosen, tick):
            found[document] += log_likelihood
        sizes = {document: len(self._texts.documents[document].encode()) for document in chosen}
        measure = Measure(
            task=self.file.stem,
            metric="bits_per_byte",
            filter=UNFILTERED,
            value=-sum(found.values()) / sum(sizes.values()) / log(2),
            higher_is_better=False,
            size=len(chosen),
            aggregation="bits_per_byte",
            contributions={document: (found[document], sizes[document]) for document in chosen},
        )
        return Scores((measure,), main_measure([measure], needed=True))

    def check(self) -> None:
        """Reads the file.

        Raises:
            EvaluationError: it cannot be read, or holds no texts.
        """
        self._there  # noqa: B018  reading is what is wanted
        super().check()

    def sizes(self) -> Mapping[str, int]:
        """The number of documents that are not empty."""
        return {self.file.stem: len(self._there)}

    def clusters(self, field: str) -> Mapping[str, Mapping[int, str]]:
        """What the lines of the file have under ``field``.

        Raises:
            EvaluationError: the file is no JSON Lines, or a line has no such field.
        """
        if self.file.suffix != ".jsonl":
            raise EvaluationError(
                f"{self.file}: a plain text has no field '{field}'; leave out cluster"
            )
        rows = read_rows(self.file)
        found = {index: field_of(rows[index], field) for index in self._there}
        return {self.file.stem: {index: str(value) for index, value in found.items()}}

    @cached_property
    def _texts(self) -> Texts:
        block = BYTES_PER_TOKEN * self.window
        return Texts(read_documents(self.file, field=self.field, block=block)[: self.limit])

    @property
    def _there(self) -> Sequence[int]:
        """The documents that can be scored: empty ones have nothing to predict."""
        return [index for index, text in enumerate(self._texts.documents) if text]

    def _chosen(self, items: Items | None) -> Sequence[int]:
        """The documents to score."""
        there = self._there
        wanted = indices(items, str(self.file))
        if wanted is None:
            return there
        for missing in sorted(set(wanted) - set(there)):
            raise EvaluationError(
                f"{self.file}: no text in document {missing}; "
                f"there are {len(self._texts.documents)}, counted from 0"
            )
        return sorted(set(wanted))

    def _predicted(
        self, model: LoadedModel, chosen: Sequence[int], tick: Tick
    ) -> Iterator[tuple[int, float]]:
        """(document, log-likelihood in nats) of each window."""
        tokens = self._texts.tokens(model.tokenizer)
        length = min(
            self.window, getattr(model.model.config, "max_position_embeddings", self.window)
        )
        stride = min(self.stride or max(1, length // 2), length)
        parts = [
            window
            for document in chosen
            for window in windows(document, tokens[document], length=length, stride=stride)
        ]
        parts.sort(key=lambda window: -len(window.tokens))  # little padding, and the worst first
        for start in range(0, len(parts), self.batch_size):
            tick()
            batch = parts[start : start + self.batch_size]
            for window, logits in zip(batch, _logits(model, batch), strict=True):
                yield window.document, _log_likelihood(window, logits)


def _logits(model: LoadedModel, batch: Sequence[Window]) -> Tensor:
    """``(windows, tokens, vocabulary)`` for all tokens but the last of each window."""
    longest = max(len(window.tokens) for window in batch) - 1
    inputs = torch.zeros(len(batch), longest, dtype=torch.long)
    for row, window in enumerate(batch):
        inputs[row, : len(window.tokens) - 1] = torch.tensor(window.tokens[:-1])
    with torch.inference_mode():
        return model.model(inputs.to(model.device), use_cache=False).logits


def _log_likelihood(window: Window, logits: Tensor) -> float:
    """Of the tokens that the window scores, in nats. ``logits`` are ``(tokens, vocabulary)``."""
    end = len(window.tokens) - 1
    targets = torch.tensor(window.tokens[1:], device=logits.device)
    total = 0.0
    for start in range(end - window.scored, end, POSITIONS):
        part = slice(start, min(start + POSITIONS, end))
        log_probabilities = log_softmax(logits[part].float(), dim=-1)
        of_targets = log_probabilities.gather(-1, targets[part, None])
        total += float(of_targets.double().sum())
    return total
