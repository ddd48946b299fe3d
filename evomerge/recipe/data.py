"""``data:`` of a recipe: texts for methods that look at what their models do with them. Ours."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from evomerge.recipe.entry import Entry


class Data(Entry):
    """Texts that a model is shown.

    Attributes:
        file: JSON Lines of ``text``, of ``prompt`` and ``answer``, or of chat ``messages``; or a
            text.
        items: so many, the first of the file. Of a text, each is ``length`` tokens.
        batch: so many are read at a time.
        length: tokens of an item at most.
        seed: of the continuations that are drawn for the Fisher information.
    """

    file: Annotated[str, Field(min_length=1)]
    items: Annotated[int, Field(gt=0, strict=True)] = 256
    batch: Annotated[int, Field(gt=0, strict=True)] = 8
    length: Annotated[int, Field(gt=1, strict=True)] = 256
    seed: Annotated[int, Field(strict=True)] = 0
