"""Whose tokens a merged model has, and in which order."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence

from evomerge.checkpoint.hub import locate
from evomerge.checkpoint.row_plan import ModelRows
from evomerge.checkpoint.tokenizer import AddedToken, FolderTokenizer, read_tokenizer
from evomerge.recipe.reference import ModelReference
from evomerge.recipe.tokenizer import Tokenizer

# How many tokens a message names.
_NAMED = 5


def output_tokenizer(
    settings: Tokenizer,
    base: ModelReference | None,
    tokenizers: Mapping[ModelReference, FolderTokenizer],
    rows: Mapping[ModelReference, ModelRows],
) -> FolderTokenizer:
    """The tokenizer of the output: one of the models', limited to its rows, and extended.

    Args:
        settings: of the recipe.
        base: one of the models, or None; then the first stands in for it.
        tokenizers: of the models, in the order of the recipe.
        rows: of the models.

    Raises:
        VocabularyError: the tokenizer of a model that is not merged cannot be used.
        CheckpointError: that model cannot be found.
    """
    donor = base or next(iter(tokenizers))
    if isinstance(settings.source, ModelReference):
        donor = settings.source
    if donor in tokenizers:
        output = _limited(tokenizers[donor], rows[donor], str(donor))
    else:
        output = read_tokenizer(locate(donor.path, donor.revision), str(donor))
    if settings.source == "union":
        for reference, tokenizer in tokenizers.items():
            output = output.extended_by(_tokens_of(tokenizer, rows[reference]))
    return output.extended_by(AddedToken(token) for token in settings.tokens)


def _limited(tokenizer: FolderTokenizer, rows: ModelRows, where: str) -> FolderTokenizer:
    limited = tokenizer.limited_to(rows.count)
    lost = [token for token in tokenizer.ids if token not in limited.ids]
    if lost:
        warnings.warn(
            f"{where}: its embedding has {rows.count} rows, and none for {named(lost)}: "
            f"left out of the output's vocabulary",
            UserWarning,
            stacklevel=4,
        )
    return limited


def _tokens_of(tokenizer: FolderTokenizer, rows: ModelRows) -> Iterator[AddedToken]:
    """What a model adds to a union: its tokens that have an embedding, by their rows."""
    for token in sorted(tokenizer.ids, key=tokenizer.ids.__getitem__):
        if rows.row_of(token) is not None:
            yield tokenizer.added.get(token) or AddedToken(token)


def by_row(ids: Mapping[str, int], multiple: int) -> list[str | None]:
    """The token of each row, padded to a multiple with rows that have none."""
    count = max(ids.values(), default=-1) + 1
    tokens: list[str | None] = [None] * (count + -count % multiple)
    for token, row in ids.items():
        tokens[row] = token
    return tokens


def named(tokens: Sequence[str]) -> str:
    """Some tokens as messages name them: the first ones, and how many more."""
    more = f" and {len(tokens) - _NAMED} more" if len(tokens) > _NAMED else ""
    return ", ".join(map(repr, tokens[:_NAMED])) + more
