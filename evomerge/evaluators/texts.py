"""Texts to predict: documents of a file, and the windows of tokens in which a model reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from evomerge.errors import EvaluationError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Window(NamedTuple):
    """Consecutive tokens of a document.

    Attributes:
        document: the document's index.
        tokens: their ids; each but the first can be predicted from those before it.
        scored: how many of the last ones no earlier window has predicted.
    """

    document: int
    tokens: Sequence[int]
    scored: int


def read_documents(file: Path, *, field: str, block: int) -> list[str]:
    """The texts in a file: of JSON Lines each line's ``field``, of another file its blocks.

    A block is a run of whole lines of at least ``block`` bytes. So is the last one: what is left
    over at the end belongs to the block before.

    Raises:
        EvaluationError: the file cannot be read, or holds no such texts.
    """
    if file.suffix == ".jsonl":
        documents = [_text_of(row, field) for row in read_rows(file)]
    else:
        documents = _blocks(_read(file), block)
    if not any(documents):
        raise EvaluationError(f"{file}: no text in it")
    return documents


class Row(NamedTuple):
    """A line of a JSON Lines file that is not blank.

    Attributes:
        where: the file and the line's number.
        entry: what it holds.
    """

    where: str
    entry: object


def read_rows(file: Path) -> list[Row]:
    """The lines of a JSON Lines file.

    Raises:
        EvaluationError: the file cannot be read, or a line is not JSON.
    """
    return [
        _row(f"{file}:{number}", line)
        for number, line in enumerate(_read(file).split("\n"), 1)
        if line.strip()
    ]


def field_of(row: Row, field: str) -> object:
    """What a line has under ``field``.

    Raises:
        EvaluationError: it has no such field.
    """
    if isinstance(row.entry, dict) and field in row.entry:
        return row.entry[field]
    raise EvaluationError(f"{row.where}: nothing under '{field}'; it has {_keys(row)}")


class Texts:
    """Documents, and their token ids by the tokenizer that asked last."""

    def __init__(self, documents: Sequence[str]) -> None:
        self.documents = documents
        self._tokenizer: PreTrainedTokenizerBase | None = None
        self._tokens: Sequence[Sequence[int]] = ()

    def tokens(self, tokenizer: PreTrainedTokenizerBase) -> Sequence[Sequence[int]]:
        """Each document's token ids, behind the token that begins a text if there is one."""
        if tokenizer is not self._tokenizer:
            start = tokenizer.bos_token_id
            start = tokenizer.eos_token_id if start is None else start
            before = [] if start is None else [start]
            encoded = tokenizer(list(self.documents), add_special_tokens=False, verbose=False)
            self._tokens = [before + ids for ids in encoded["input_ids"]]
            self._tokenizer = tokenizer
        return self._tokens


def windows(document: int, tokens: Sequence[int], *, length: int, stride: int) -> Iterator[Window]:
    """Windows with up to ``length`` tokens to read, and one more to predict, ``stride`` apart.

    Together they score each token but the first of ``tokens`` exactly once.
    """
    scored = 1
    for start in range(0, len(tokens), stride):
        end = min(start + length + 1, len(tokens))
        if end > scored:
            yield Window(document, tokens[start:end], end - scored)
        scored = end
        if end == len(tokens):
            return


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise EvaluationError(f"{file}: {error.strerror}; expected a text or JSONL file") from error
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{file}: byte {error.start} is not UTF-8; re-encode it") from error


def _row(where: str, line: str) -> Row:
    try:
        return Row(where, json.loads(line))
    except json.JSONDecodeError as error:
        raise EvaluationError(f"{where}: not JSON, {error.msg} at column {error.colno}") from error


def _text_of(row: Row, field: str) -> str:
    text = row.entry.get(field) if isinstance(row.entry, dict) else row.entry
    if not isinstance(text, str):
        raise EvaluationError(f"{row.where}: no text under '{field}'; it has {_keys(row)}")
    return text


def _keys(row: Row) -> str:
    if isinstance(row.entry, dict):
        return ", ".join(sorted(row.entry))
    return type(row.entry).__name__


def _blocks(text: str, least: int) -> list[str]:
    blocks: list[str] = []
    lines: list[str] = []
    size = 0
    for line in text.splitlines(keepends=True):
        lines.append(line)
        size += len(line.encode())
        if size >= least:
            blocks.append("".join(lines))
            lines, size = [], 0
    rest = "".join(lines)
    return [*blocks[:-1], blocks[-1] + rest] if blocks else [rest]
