"""The two functions that Python programs call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from evomerge.merging.folder import DEFAULT_SHARD_BYTES, write_merge
from evomerge.merging.plan import plan_merge
from evomerge.merging.stream import Options, stream
from evomerge.recipe import Recipe
from evomerge.recipe.reading import following

if TYPE_CHECKING:
    from torch import Tensor


def merge(
    recipe: Recipe | str | PathLike[str],
    out: str | PathLike[str],
    *,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    force: bool = False,
    options: Options | None = None,
) -> Path:
    """Turns a recipe into a model folder that transformers loads.

    Args:
        recipe: a recipe, or the path of one in YAML.
        out: the folder to write; it exists afterwards whole or not at all.
        shard_bytes: how much one file of weights holds.
        force: replace a model that stands there.
        options: device, threads, and whether NaN is let through.

    Returns:
        The folder.

    Raises:
        EvomergeError: the recipe cannot be followed; nothing was written.
    """
    with _following(recipe) as asked:
        plan = plan_merge(asked)
        write_merge(plan, Path(out), shard_bytes=shard_bytes, force=force, options=options)
    return Path(out)


def tensors(
    recipe: Recipe | str | PathLike[str], *, options: Options | None = None
) -> Iterator[tuple[str, Tensor]]:
    """The tensors of the merged model by name, in the order of the model, a few made ahead.

    Args:
        recipe: a recipe, or the path of one in YAML.
        options: device, threads, and whether NaN is let through.

    Raises:
        EvomergeError: the recipe cannot be followed.
    """
    with _following(recipe) as asked:
        plan = plan_merge(asked)
    return stream(plan, options)


@contextmanager
def _following(recipe: Recipe | str | PathLike[str]) -> Iterator[Recipe]:
    """The recipe; what is found wrong with it begins with its path, if it has one."""
    if isinstance(recipe, Recipe):
        yield recipe
        return
    asked = Recipe.read(recipe)
    with following(recipe):
        yield asked
