"""The items of a data file, as the token ids of one model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from evomerge.errors import EvaluationError, MergeError
from evomerge.evaluators.texts import Row, read_rows
from evomerge.recipe.data import Data

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# What an answer may stand under, behind its prompt.
ANSWERS = ("answer", "completion", "response")
# An item predicts something only if it has as many tokens.
FEWEST = 2


class Passage(NamedTuple):
    """Something to read.

    Attributes:
        where: the file, and the line if it has items in lines.
        text: what it says; None for a conversation.
        messages: of a conversation.
    """

    where: str
    text: str | None
    messages: Sequence[object] = ()


def read_items(data: Data, tokenizer: PreTrainedTokenizerBase, label: str) -> list[list[int]]:
    """The token ids of the first ``data.items`` items, each behind the token that begins a text.

    Args:
        data: the file and the sizes.
        tokenizer: of the model.
        label: what messages call the model.

    Raises:
        MergeError: the file cannot be read, is too short, or holds what the tokenizer does not
            know.
    """
    file = Path(data.file)
    items: list[list[int]] = []
    for passage in passages_of(file):
        tokens = encoded(passage, tokenizer, label)
        items += windows_of(tokens, data.length) if file.suffix != ".jsonl" else [tokens]
        short = next((item for item in items[-1:] if len(item) < FEWEST), None)
        if short is not None and file.suffix == ".jsonl":
            raise MergeError(
                f"{passage.where}: {len(short)} token of {label}; an item needs two, of which "
                "the first predicts the second"
            )
        if len(items) >= data.items:
            break
    if len(items) < data.items:
        raise MergeError(
            f"{data.file}: {len(items)} items for {label}, and 'items: {data.items}' are asked "
            "for; ask for fewer, or give more"
        )
    return [item[: data.length] for item in items[: data.items]]


def passages_of(file: Path) -> Iterator[Passage]:
    """What stands in a text, as one, or in the lines of a JSON Lines file, one by one.

    Raises:
        MergeError: the file cannot be read, or a line holds nothing to read.
    """
    try:
        if file.suffix == ".jsonl":
            yield from (_passage(row) for row in read_rows(file))
            return
        yield Passage(str(file), file.read_bytes().decode())
    except EvaluationError as error:
        raise MergeError(str(error)) from error
    except OSError as error:
        raise MergeError(f"{file}: {error.strerror}; expected a text or JSONL file") from error
    except UnicodeDecodeError as error:
        raise MergeError(f"{file}: byte {error.start} is not UTF-8; re-encode it") from error


def _passage(row: Row) -> Passage:
    entry = row.entry if isinstance(row.entry, dict) else {"text": row.entry}
    match entry:
        case {"messages": list(messages)} if messages:
            return Passage(row.where, None, messages)
        case {"text": str(text)}:
            return Passage(row.where, text)
        case {"prompt": str(prompt)}:
            answer = next((entry[key] for key in ANSWERS if key in entry), None)
            if isinstance(answer, str):
                return Passage(row.where, prompt + answer)
    raise MergeError(
        f"{row.where}: nothing to read, it has {', '.join(map(str, entry))}; expected text, "
        "messages, or prompt and answer"
    )


def encoded(passage: Passage, tokenizer: PreTrainedTokenizerBase, label: str) -> list[int]:
    """The token ids of a passage, a text's behind the token that begins a text.

    Raises:
        MergeError: it holds what the tokenizer or its chat template does not take.
    """
    start = tokenizer.bos_token_id
    start = tokenizer.eos_token_id if start is None else start
    before = [] if start is None or passage.text is None else [start]
    text = _conversation(passage, tokenizer, label) if passage.text is None else passage.text
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    unknown = tokenizer.unk_token_id
    if unknown is not None and unknown in ids:
        raise MergeError(
            f"{passage.where}: the tokenizer of {label} has no token for "
            f"{_unknown(text, tokenizer)!r}; give it text that it was made for"
        )
    return [*before, *ids]


def _conversation(passage: Passage, tokenizer: PreTrainedTokenizerBase, label: str) -> str:
    from jinja2 import TemplateError

    if tokenizer.chat_template is None:
        raise MergeError(
            f"{passage.where}: {label} has no chat template for messages; give plain text"
        )
    try:
        return str(tokenizer.apply_chat_template(list(passage.messages), tokenize=False))
    except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise MergeError(
            f"{passage.where}: the chat template of {label} refuses these messages: {error}"
        ) from error


def _unknown(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """The first sign that becomes the token for unknown things, or a word in which all do."""

    def is_unknown(part: str) -> bool:
        ids = tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"]
        return tokenizer.unk_token_id in ids

    word = next(filter(is_unknown, text.split()), text)
    signs = list(filter(is_unknown, word))
    return signs[0] if 0 < len(signs) < len(word) else word


def windows_of(tokens: Sequence[int], length: int) -> list[list[int]]:
    """Consecutive pieces of ``length`` tokens; what is left over at the end is left out."""
    starts = range(0, len(tokens) - length + 1, length)
    return [list(tokens[start : start + length]) for start in starts]
