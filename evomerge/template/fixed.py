"""Where no hole may stand."""

from __future__ import annotations

from evomerge.errors import RecipeError
from evomerge.template.holes import is_hole
from evomerge.template.places import Place

PLACES = (
    "the whole recipe, merge_method, base_model, dtype, out_dtype, tokenizer_source, models, "
    "slices, adapters and their entries, model, adapter, align and everything in it but seed, and "
    "everything under parameters"
)


def refuse_hole(tree: object, place: Place) -> None:
    """Refuses a hole.

    Raises:
        RecipeError: it is one.
    """
    if is_hole(tree):
        raise RecipeError(f"{place.where}: no hole may stand here; holes stand for {PLACES}")
