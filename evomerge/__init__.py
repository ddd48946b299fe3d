"""evomerge: merges language models, and searches for the recipe.

    import evomerge

    evomerge.merge("recipe.yaml", "out/")              # writes a model folder
    for name, tensor in evomerge.tensors("recipe.yaml"):
        ...                                            # or takes the tensors one by one

    study = evomerge.search("config.yaml")             # or evomerge.resume(run)
    evomerge.merge(study.run / "best.yaml", "best/")
    for trial in evomerge.Study.open("runs/other").trials:
        ...                                            # what another run has tried

Nothing heavy is imported before a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evomerge.adapters.extracting import extract_lora
    from evomerge.api import merge, resume, search, task_vectors, tensors
    from evomerge.errors import EvomergeError
    from evomerge.recipe import Recipe
    from evomerge.study import Study

_HOMES = {
    "extract_lora": "evomerge.adapters.extracting",
    "merge": "evomerge.api",
    "resume": "evomerge.api",
    "search": "evomerge.api",
    "task_vectors": "evomerge.api",
    "tensors": "evomerge.api",
    "EvomergeError": "evomerge.errors",
    "Recipe": "evomerge.recipe",
    "Study": "evomerge.study",
}

__all__ = [
    "EvomergeError",
    "Recipe",
    "Study",
    "extract_lora",
    "merge",
    "resume",
    "search",
    "task_vectors",
    "tensors",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'evomerge' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
