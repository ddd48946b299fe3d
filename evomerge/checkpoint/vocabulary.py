"""The vocabulary of a merged model: its tokenizer, and each input's embedding in its order."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evomerge.checkpoint.config import with_token_ids
from evomerge.checkpoint.documents import read_json
from evomerge.checkpoint.output_tokenizer import by_row, named, output_tokenizer
from evomerge.checkpoint.row_plan import Donors, ModelRows, RowPlan
from evomerge.checkpoint.source import Source
from evomerge.checkpoint.tokenizer import FolderTokenizer, read_tokenizer
from evomerge.checkpoint.tokenizer_files import GENERATION
from evomerge.checkpoint.with_vocabulary import WithVocabulary
from evomerge.errors import VocabularyError
from evomerge.families import Family
from evomerge.recipe.document import Recipe
from evomerge.recipe.reference import ModelReference
from evomerge.recipe.tokenizer import Tokenizer

Models = Mapping[ModelReference, Source]


@dataclass(frozen=True)
class Vocabulary:
    """The output's vocabulary, and the models in it.

    Attributes:
        tokenizer: that of the output.
        rows: of its embedding and head, padding included.
        sources: the models, with embeddings and heads rearranged.
        ids: the tokens of each model and their rows, as they were.
    """

    tokenizer: FolderTokenizer
    rows: int
    sources: Mapping[ModelReference, WithVocabulary]
    ids: Mapping[ModelReference, Mapping[str, int]]

    def adapted(self, config: Mapping[str, object], donor: ModelReference) -> dict[str, object]:
        """A config.json or generation_config.json of a model, with the new ids of its tokens.

        A token that is no more gives way to the output tokenizer's own of the same role.
        """
        new = self.tokenizer.ids
        moved = {row: new[token] for token, row in self.ids[donor].items() if token in new}
        return with_token_ids(config, moved, self.tokenizer.roles)

    def write(self, out: Path, donor: ModelReference) -> None:
        """Writes the tokenizer, and the donor's generation_config.json, into a folder.

        Raises:
            OSError: a file cannot be written.
        """
        self.tokenizer.write(out)
        folder = self.sources[donor].folder
        if (folder / GENERATION).is_file():
            settings = self.adapted(read_json(folder / GENERATION), donor)
            (out / GENERATION).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def check_same_vocabulary(sources: Sequence[Source], family: Family) -> None:
    """Refuses models whose embeddings differ in their number of rows.

    For recipes that say nothing of the tokenizer.

    Raises:
        VocabularyError: two of them differ, or one has no embedding.
    """
    counts = [_row_count(source, family) for source in sources]
    for source, count in zip(sources, counts, strict=True):
        if count != counts[0]:
            raise VocabularyError(
                f"{sources[0].label} has {counts[0]} tokens, {source.label} has {count}; to merge "
                f"them, add 'tokenizer_source: union' or 'tokenizer_source: base' to the recipe"
            )


def build_vocabulary(recipe: Recipe, models: Models, family: Family) -> Vocabulary | None:
    """The output's vocabulary as the recipe wants it; None where it leaves it alone.

    Args:
        recipe: what it says under ``tokenizer_source`` or ``tokenizer`` counts.
        models: all that it names, in the order of ``recipe.references()``.
        family: of all the models.

    Raises:
        VocabularyError: a tokenizer is missing or of an unknown kind, or a setting names a model
            or a token that is not there.
    """
    settings = recipe.tokenizer
    if recipe.tokenizer_source is not None:
        settings = Tokenizer(source=recipe.tokenizer_source)
    if settings is None:
        return None
    tokenizers = {ref: read_tokenizer(model.folder, model.label) for ref, model in models.items()}
    rows = {
        reference: ModelRows(tokenizers[reference].ids, _row_count(model, family))
        for reference, model in models.items()
    }
    tokenizer = output_tokenizer(settings, recipe.base_model, tokenizers, rows)
    tokens = by_row(tokenizer.ids, settings.pad_to_multiple_of or 1)
    donors = Donors(rows, recipe.base_model, settings.tokens)
    plans = [donors.plan(reference, tokens) for reference in models]
    _warn_of_zeros(tokens, plans, settings)
    return Vocabulary(
        tokenizer,
        len(tokens),
        dict(zip(models, _rearranged(list(models.values()), plans, family), strict=True)),
        {reference: tokenizer.ids for reference, tokenizer in tokenizers.items()},
    )


def _rearranged(
    sources: Sequence[Source], plans: Sequence[RowPlan], family: Family
) -> Iterator[WithVocabulary]:
    embeddings = [_embedding(source, family) for source in sources]
    heads = [
        family.head if family.head in source.names() else embedding
        for source, embedding in zip(sources, embeddings, strict=True)
    ]
    bias = family.head.removesuffix("weight") + "bias"
    shared: dict[str, Sequence[str]] = {}
    if family.head in heads:
        shared[family.head] = heads
    if all(bias in source.names() for source in sources):
        shared[bias] = [bias] * len(sources)
    for number, plan in enumerate(plans):
        matrices = {embeddings[number]: embeddings} | shared
        yield WithVocabulary(number, sources, matrices, plan)


def _row_count(source: Source, family: Family) -> int:
    return source.info(_embedding(source, family)).shape[0]


def _embedding(source: Source, family: Family) -> str:
    for name in source.names():
        if family.is_embedding(name):
            return name
    raise VocabularyError(f"{source.label}: has no {family.embedding}; is it a language model?")


def _warn_of_zeros(
    tokens: Sequence[str | None], plans: Sequence[RowPlan], settings: Tokenizer
) -> None:
    bare = [tokens[row] or "" for row, donors in plans[0].borrowed.items() if not donors]
    unknown = [token for token in bare if token not in settings.tokens]
    if unknown:
        warnings.warn(
            f"tokenizer: no model has an embedding for {named(unknown)}: zeros stand in; "
            f"give a source under 'tokenizer: tokens:'",
            UserWarning,
            stacklevel=3,
        )
