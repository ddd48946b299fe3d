"""The ``tokenizer:`` of a recipe: the output vocabulary, and where its embeddings come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from evomerge.recipe.entry import Entry, Reference, form


def _vocabulary_form(value: object) -> str:
    return form("keyword" if isinstance(value, str) and value in {"union", "base"} else "model")


# Whose vocabulary: of all models together, of the base, or of the model named.
Vocabulary: TypeAlias = Annotated[
    Annotated[Literal["union", "base"], Tag(form("keyword"))]
    | Annotated[Reference, Tag(form("model"))],
    Discriminator(_vocabulary_form),
]


class ModelToken(Entry):
    """The embedding of one token of a model, named by its text or by its row.

    Attributes:
        kind: tells this source from the others.
        model: the model that has the token.
        token: its text; None if ``token_id`` is given.
        token_id: its row in the embedding matrix; None if ``token`` is given.
    """

    kind: Literal["model_token"]
    model: Reference
    token: str | None = None
    token_id: Annotated[int, Field(strict=True, ge=0)] | None = None

    @model_validator(mode="after")
    def _one_name(self) -> ModelToken:
        if (self.token is None) == (self.token_id is None):
            raise ValueError("give exactly one of token and token_id")
        return self


class Zero(Entry):
    """The embedding of zeros."""

    kind: Literal["zero"]


def _source_form(value: object) -> str:
    if isinstance(value, Mapping):
        kind = value.get("kind", "model")
    else:
        kind = getattr(value, "kind", "model")
    return form(str(kind))


TokenSource: TypeAlias = Annotated[
    Annotated[Reference, Tag(form("model"))]
    | Annotated[ModelToken, Tag(form("model_token"))]
    | Annotated[Zero, Tag(form("zero"))],
    Discriminator(
        _source_form,
        custom_error_type="token_source",
        custom_error_message="expected a model, {kind: model_token, ...} or {kind: zero}",
    ),
]


class Token(Entry):
    """Where the embedding of one token of the output comes from.

    Attributes:
        source: the model whose embedding stands in where a model lacks the token, or
            another source; None leaves it to the usual rules.
        force: whether the source replaces the embeddings of the models that have the token too.
    """

    source: TokenSource | None = None
    force: Annotated[bool, Field(strict=True)] = False


class Tokenizer(Entry):
    """The vocabulary of the output.

    Attributes:
        source: whose vocabulary it is.
        tokens: sources of single tokens, by their text; one that the vocabulary lacks is added.
        pad_to_multiple_of: the rows of the embedding are padded to a multiple of it; None does not.
    """

    source: Vocabulary = "union"
    tokens: Mapping[str, Token] = Field(default={})
    pad_to_multiple_of: Annotated[int, Field(strict=True, gt=0)] | None = None
