"""What to merge: recipes in mergekit's YAML, as frozen values.

reference   which model: path, revision, adapter
settings    the values under ``parameters:``
lookup      what a parameter is for one tensor
methods     which method makes which tensors
layers      which layers of which models make the output
tokenizer   the vocabulary of the output
data        the texts that models are shown
written     a recipe as a document: read, write, digest
document    the recipe itself
adapters    a recipe of LoRA adapters
steps       several recipes, of which a later one uses what an earlier one makes
"""

from __future__ import annotations

from evomerge.recipe.adapters import AnyRecipe
from evomerge.recipe.document import Recipe, Scope
from evomerge.recipe.layers import OutputSlice, SliceSource
from evomerge.recipe.lookup import look_up
from evomerge.recipe.reference import ModelReference
from evomerge.recipe.settings import Setting, Settings

__all__ = [
    "AnyRecipe",
    "ModelReference",
    "OutputSlice",
    "Recipe",
    "Scope",
    "Setting",
    "Settings",
    "SliceSource",
    "look_up",
]
