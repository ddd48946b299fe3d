"""Which rows of which model make up an embedding in the output's vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evomerge.errors import VocabularyError
from evomerge.recipe.reference import ModelReference
from evomerge.recipe.tokenizer import ModelToken, Token, TokenSource, Zero

# Instead of a row of the model's own: the mean of rows of other models, or that of all rows.
BORROWED, MEAN = -1, -2

# (number of the model in the order of the recipe, row of its embedding)
Donor = tuple[int, int]


@dataclass(frozen=True)
class ModelRows:
    """The rows of one input model.

    Attributes:
        ids: its tokens and their rows.
        count: how many rows its embedding has, be they more or fewer than the tokens.
    """

    ids: Mapping[str, int]
    count: int

    def row_of(self, token: str) -> int | None:
        """The row of a token, or None where the model has no embedding for it."""
        row = self.ids.get(token)
        return row if row is not None and row < self.count else None


@dataclass(frozen=True)
class RowPlan:
    """How the embedding of one model is rearranged.

    Attributes:
        own: ``(rows of the output,)``: a row of the model, or `BORROWED`, or `MEAN` for a row
            that belongs to no token: the mean of all rows that do.
        borrowed: of each row that is `BORROWED`, the donors whose mean it is; of none, zeros.
    """

    own: NDArray[np.int64]
    borrowed: Mapping[int, tuple[Donor, ...]]

    @property
    def rows(self) -> int:
        """How many rows the output has."""
        return len(self.own)


class Donors:
    """Where a model that lacks a token takes its embedding from; the rules are mergekit's.

    The recipe's word for this token; the only model that has it; the base; the mean of all
    models that have it; zeros.
    """

    def __init__(
        self,
        models: Mapping[ModelReference, ModelRows],
        base: ModelReference | None,
        tokens: Mapping[str, Token],
    ) -> None:
        """Takes in what the recipe says.

        Args:
            models: the inputs, in the order of the recipe.
            base: one of them, or None.
            tokens: the recipe's settings of single tokens.

        Raises:
            VocabularyError: a setting names a model or a token that is not there.
        """
        self._models = list(models.values())
        self._numbers = {reference: number for number, reference in enumerate(models)}
        self._base = None if base is None else self._numbers[base]
        self._forced = {token for token, setting in tokens.items() if setting.force}
        self._stated = {
            token: self._resolved(token, setting.source)
            for token, setting in tokens.items()
            if setting.source is not None
        }
        for token in self._forced - self._stated.keys():
            raise VocabularyError(f"tokenizer.tokens.{token}: force needs a source; name one")

    def of(self, token: str) -> tuple[Donor, ...]:
        """The donors of a token."""
        if token in self._stated:
            return self._stated[token]
        rows = ((number, model.row_of(token)) for number, model in enumerate(self._models))
        having = {number: row for number, row in rows if row is not None}
        if len(having) > 1 and self._base in having:
            return ((self._base, having[self._base]),)
        return tuple(having.items())

    def plan(self, model: ModelReference, tokens: Sequence[str | None]) -> RowPlan:
        """The plan of one of the models.

        Args:
            model: which.
            tokens: of each row of the output, or None where a row has no token.
        """
        rows = self._models[self._numbers[model]]
        own = np.full(len(tokens), MEAN, np.int64)
        borrowed = {}
        for number, token in enumerate(tokens):
            if token is None:
                continue
            row = None if token in self._forced else rows.row_of(token)
            own[number] = BORROWED if row is None else row
            if row is None:
                borrowed[number] = self.of(token)
        return RowPlan(own, borrowed)

    def _resolved(self, token: str, source: TokenSource) -> tuple[Donor, ...]:
        """The donor that the recipe names."""
        if isinstance(source, Zero):
            return ()
        model = source.model if isinstance(source, ModelToken) else source
        where = f"tokenizer.tokens.{token}"
        if model not in self._numbers:
            named = ", ".join(map(str, self._numbers))
            raise VocabularyError(f"{where}: {model} is not merged here; name one of {named}")
        number = self._numbers[model]
        rows = self._models[number]
        if isinstance(source, ModelToken) and source.token_id is not None:
            row: int | None = source.token_id
        else:
            wanted = source.token if isinstance(source, ModelToken) else token
            row = None if wanted is None else rows.row_of(wanted)
        if row is None or row >= rows.count:
            raise VocabularyError(
                f"{where}: {model} has no such token; name one of its tokens with "
                f"{{kind: model_token, model: …, token: …}}"
            )
        return ((number, row),)
