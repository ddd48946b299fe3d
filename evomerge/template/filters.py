"""Refusing filters that no tensor has in its name."""

from __future__ import annotations

from collections.abc import Iterable

from evomerge.errors import RecipeError, unknown
from evomerge.families import Family


def check_filters(
    filters: Iterable[tuple[str, str]], tensors: Iterable[str], family: Family
) -> None:
    """Refuses filters that match nothing.

    Args:
        filters: parts of tensor names, each with where it stands.
        tensors: the names of all tensors, on disk.
        family: of the models.

    Raises:
        RecipeError: which, and what there is: the parts of tensor names.
    """
    names = list(tensors)
    for pattern, where in filters:
        if not any(pattern in name for name in names):
            parts = dict.fromkeys(part for name in names for part in _parts(family, name))
            raise RecipeError(f"{where}: {unknown('part of a tensor name', pattern, parts)}")


def _parts(family: Family, name: str) -> list[str]:
    """The modules in a tensor's name, from the outermost."""
    bare = family.unnumbered(name).removeprefix(family.layers)
    return [part for part in bare.split(".")[:-1] if not part.isdigit() and part != "{}"]
