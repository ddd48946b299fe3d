"""evomerge: language-model merges from mergekit recipes.

    import evomerge

    evomerge.merge("recipe.yaml", "out/")              # writes a model folder
    for name, tensor in evomerge.tensors("recipe.yaml"):
        ...                                            # or takes the tensors one by one

Nothing heavy is imported before a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evomerge.api import merge, tensors
    from evomerge.errors import EvomergeError
    from evomerge.recipe import Recipe

_HOMES = {
    "merge": "evomerge.api",
    "tensors": "evomerge.api",
    "EvomergeError": "evomerge.errors",
    "Recipe": "evomerge.recipe",
}

__all__ = ["EvomergeError", "Recipe", "merge", "tensors"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'evomerge' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
