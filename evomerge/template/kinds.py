"""Whether a template merges models, or LoRA adapters as what they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evomerge.errors import RecipeError
from evomerge.recipe.adapters import is_of_adapters


def merges_adapters(tree: object, where: str) -> bool:
    """Whether the recipes of a template are of adapters.

    Raises:
        RecipeError: some are, and others are of models.
    """
    kinds = {is_of_adapters(body) for body in _bodies(tree)}
    if len(kinds) > 1:
        raise RecipeError(
            f"{where}.choose: recipes of models beside recipes of adapters; a search is of one "
            "kind. Models that carry an adapter can be merged as models: models: [{model: …}]"
        )
    return kinds == {True}


def makes_adapters(tree: object) -> bool:
    """Whether a recipe of a template writes an adapter, and not the model with it."""
    return any(
        is_of_adapters(body) and isinstance(body, Mapping) and body.get("output") != "model"
        for body in _bodies(tree)
    )


def _bodies(tree: object) -> Iterator[object]:
    """The recipes of which one is chosen; the tree itself where there is no choice."""
    options = tree.get("choose") if isinstance(tree, Mapping) else None
    if not isinstance(options, list | tuple):
        yield tree
        return
    for option in options:
        yield from _bodies(option)
