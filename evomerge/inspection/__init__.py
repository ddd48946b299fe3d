"""What is in a model, or in a recipe, and whether it can be merged: from headers alone.

Configs and the headers of weight files are read, never weights, so it takes moments whatever the
size of the models.

- ``contents``: a model's tensors, counted by kind
- ``model``: a model, with its adapter if it has one
- ``recipe``: a recipe: its models, what it will make of them, or why it cannot be merged
"""

from __future__ import annotations

from evomerge.inspection.contents import Contents, Group
from evomerge.inspection.model import AdapterFacts, ModelFacts, Unreadable, inspect_model
from evomerge.inspection.recipe import (
    Applied,
    OutputFacts,
    RecipeFacts,
    SliceFacts,
    inspect_recipe,
)

__all__ = [
    "AdapterFacts",
    "Applied",
    "Contents",
    "Group",
    "ModelFacts",
    "OutputFacts",
    "RecipeFacts",
    "SliceFacts",
    "Unreadable",
    "inspect_model",
    "inspect_recipe",
]
