"""The tokenizer of a model folder, read and rewritten as the JSON that it is.

Neither transformers nor tokenizers is loaded: which token has which id stands in tokenizer.json,
and a changed vocabulary is a changed list in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from evomerge.checkpoint.documents import Document, read_json
from evomerge.checkpoint.tokenizer_files import (
    BESIDE,
    SETTINGS,
    SPECIAL_TOKENS,
    TOKENIZER,
    copy_files,
    copy_tokenizer,
)
from evomerge.errors import CheckpointError, VocabularyError

# The special tokens that transformers adds on loading if the vocabulary lacks them, in its order.
_ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_MORE_SPECIAL = ("additional_special_tokens", "extra_special_tokens")
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


@dataclass(frozen=True)
class AddedToken:
    """A token that is cut out of a text before the rest is split. Flags as in tokenizers."""

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True
    special: bool = False

    @classmethod
    def of(cls, entry: object) -> AddedToken:
        """From an entry of tokenizer.json or tokenizer_config.json; a bare text is special."""
        if not isinstance(entry, Mapping):
            return cls(str(entry), normalized=False, special=True)
        flags = {flag: bool(entry[flag]) for flag in _FLAGS if flag in entry}
        return cls(str(entry["content"]), **flags)

    def entry(self) -> dict[str, object]:
        """The entry of tokenizer_config.json; with its id, that of tokenizer.json."""
        return {"content": self.content} | {flag: getattr(self, flag) for flag in _FLAGS}


@dataclass(frozen=True)
class FolderTokenizer:
    """The tokenizer in a folder, perhaps with tokens taken away or added.

    Attributes:
        folder: where it is.
        document: the content of tokenizer.json.
        settings: the content of tokenizer_config.json.
        changed: whether it differs from what is in the folder.
    """

    folder: Path
    document: Document
    settings: Document
    changed: bool = False

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Every token, added ones included, and its row in the embedding."""
        ids = _vocabulary(self.document)
        ids.update((str(entry["content"]), int(str(entry["id"]))) for entry in self._entries)
        return ids

    @cached_property
    def added(self) -> Mapping[str, AddedToken]:
        """The added tokens by their text."""
        return {str(entry["content"]): AddedToken.of(entry) for entry in self._entries}

    @property
    def roles(self) -> Mapping[str, int]:
        """The ids of the special tokens by their keys in config.json, such as ``eos_token_id``."""
        named = {role: self._named.get(f"{role}_token") for role in _ROLES}
        tokens = {role: AddedToken.of(entry).content for role, entry in named.items() if entry}
        return {f"{role}_token_id": self.ids[t] for role, t in tokens.items() if t in self.ids}

    def limited_to(self, rows: int) -> FolderTokenizer:
        """Without the tokens that have no row among the first ``rows``."""
        lost = {token for token, row in self.ids.items() if row >= rows}
        if not lost:
            return self
        document = self.document | {
            "model": _reduced(_model(self.document), lost),
            "added_tokens": [entry for entry in self._entries if entry["content"] not in lost],
        }
        return replace(self, document=document, changed=True)

    def extended_by(self, tokens: Iterable[AddedToken]) -> FolderTokenizer:
        """With the tokens that it lacks, in the given order, behind its last row."""
        first = max(self.ids.values(), default=-1) + 1
        new = list({t.content: t for t in tokens if t.content not in self.ids}.values())
        if not new:
            return self
        entries = [{"id": row} | token.entry() for row, token in enumerate(new, start=first)]
        document = self.document | {"added_tokens": [*self._entries, *entries]}
        return replace(self, document=document, changed=True)

    def added_on_loading(self) -> Iterator[AddedToken]:
        """The tokens that the settings name, in the order in which transformers adds them."""
        listed = self.settings.get("added_tokens_decoder")
        if isinstance(listed, dict):
            yield from (AddedToken.of(listed[row]) for row in sorted(listed, key=int))
        for role in _ROLES:
            if self._named.get(f"{role}_token"):
                yield AddedToken.of(self._named[f"{role}_token"])
        for key in _MORE_SPECIAL:
            more = self._named.get(key)
            yield from map(AddedToken.of, more if isinstance(more, list) else ())

    def write(self, out: Path) -> None:
        """Writes it into a folder, with everything that belongs to it."""
        if not self.changed:
            copy_tokenizer(self.folder, out)
            return
        copy_files(self.folder, out, BESIDE)
        _write_json(out / TOKENIZER, self.document)
        if self.settings:
            _write_json(out / SETTINGS, self._consistent(self.settings))
        if (out / SPECIAL_TOKENS).exists():
            _write_json(out / SPECIAL_TOKENS, self._consistent(read_json(out / SPECIAL_TOKENS)))

    @cached_property
    def _named(self) -> Document:
        """The settings that name special tokens. Those of the older file win."""
        file = self.folder / SPECIAL_TOKENS
        return self.settings | (read_json(file) if file.is_file() else {})

    @cached_property
    def _entries(self) -> list[Document]:
        entries = self.document.get("added_tokens")
        return entries if isinstance(entries, list) else []

    def _consistent(self, settings: Document) -> Document:
        """Settings that name only tokens there are: transformers would add the others again."""
        kept: Document = {}
        for key, value in settings.items():
            if key.endswith("_token") and isinstance(value, str | dict):
                if AddedToken.of(value).content in self.ids:
                    kept[key] = value
            elif key in _MORE_SPECIAL and isinstance(value, list):
                kept[key] = [token for token in value if AddedToken.of(token).content in self.ids]
            elif key == "added_tokens_decoder":
                kept[key] = {str(self.ids[name]): t.entry() for name, t in self.added.items()}
            else:
                kept[key] = value
        return kept


def read_tokenizer(folder: Path, label: str) -> FolderTokenizer:
    """The tokenizer of a model, with the same tokens that transformers gives it.

    Args:
        folder: the model's.
        label: what messages call the model.

    Raises:
        VocabularyError: there is no tokenizer.json, or one of an unknown kind.
        CheckpointError: a file is not valid JSON, or not what a tokenizer consists of.
    """
    if not (folder / TOKENIZER).is_file():
        raise VocabularyError(f"{label}: {_what_there_is(folder)}")
    settings = read_json(folder / SETTINGS) if (folder / SETTINGS).is_file() else {}
    tokenizer = FolderTokenizer(folder, read_json(folder / TOKENIZER), settings)
    try:
        if _vocabulary(tokenizer.document):
            return tokenizer.extended_by(tokenizer.added_on_loading())
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # a list for a mapping, …
        raise CheckpointError(
            f"{folder / TOKENIZER}: it or {SETTINGS} is not what tokenizers write "
            f"({type(error).__name__}: {error}); download both again"
        ) from error
    raise VocabularyError(
        f"{label}: {TOKENIZER} has no list of tokens that can be rearranged; "
        f"leave out the recipe's tokenizer setting"
    )


def _what_there_is(folder: Path) -> str:
    names = sorted(path.name for path in folder.glob("*.model")) + sorted(
        path.name for path in folder.glob("vocab.*")
    )
    if not names:
        return f"has no tokenizer ({TOKENIZER}), which the recipe's tokenizer setting needs"
    return (
        f"has a tokenizer of an older kind ({', '.join(names)}) and no {TOKENIZER}; convert it: "
        f"AutoTokenizer.from_pretrained({str(folder)!r}).save_pretrained({str(folder)!r})"
    )


def _model(document: Mapping[str, object]) -> Document:
    model = document.get("model")
    return model if isinstance(model, dict) else {}


def _vocabulary(document: Mapping[str, object]) -> dict[str, int]:
    """The tokens of the model proper: a mapping, or for Unigram (token, score) by row."""
    vocabulary = _model(document).get("vocab")
    if isinstance(vocabulary, dict):
        return dict(vocabulary)
    pairs = vocabulary if isinstance(vocabulary, list) else []
    return {token: row for row, (token, _) in enumerate(pairs)}


def _reduced(model: Document, lost: set[str]) -> Document:
    """A model without some of its tokens, and without the merges that need them."""
    vocabulary, merges = model["vocab"], model.get("merges")
    reduced = dict(model)
    if isinstance(vocabulary, dict):
        reduced["vocab"] = {token: row for token, row in vocabulary.items() if token not in lost}
    elif isinstance(vocabulary, list):
        reduced["vocab"] = [entry for entry in vocabulary if entry[0] not in lost]
    if isinstance(merges, list):
        reduced["merges"] = [merge for merge in merges if not lost.intersection(_needed(merge))]
    return reduced


def _needed(merge: str | list[str]) -> tuple[str, str, str]:
    """The two tokens of a merge and the one it makes."""
    left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
    return left, right, left + right


def _write_json(path: Path, document: Document) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
