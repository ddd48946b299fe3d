"""Follows several recipes, of which a later one uses what an earlier one makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from evomerge.errors import OutputError
from evomerge.recipe import AnyRecipe
from evomerge.recipe.steps import Step, renamed

# Writes what a recipe makes to a folder.
Write = Callable[[AnyRecipe, Path], None]


def merge_steps(steps: Sequence[Step], out: Path, write: Write) -> None:
    """Makes the model of the last step; those of the others are removed again.

    Args:
        steps: one or more, each with a name but the last.
        out: the folder to write. The models in between stand beside it meanwhile.
        write: makes one of them.

    Raises:
        EvomergeError: a step cannot be followed, or a folder cannot be written.
    """
    *before, last = steps
    if not before:
        write(last.recipe, out)
        return
    beside = next(folder for folder in out.absolute().parents if folder.is_dir())
    try:
        scratch = TemporaryDirectory(prefix=f".{out.name}.", suffix=".steps", dir=beside)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror}; choose another") from error
    with scratch as folder:
        made: dict[str, str] = {}
        for number, step in enumerate(before, start=1):
            place = Path(folder) / str(number)
            write(renamed(step.recipe, made), place)
            made[step.name] = str(place)
        write(renamed(last.recipe, made), out)
