"""``evomerge merge``: turns a recipe into a model folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from evomerge.cli.merging import Writing, foresee, write
from evomerge.cli.quantities import bytes_in
from evomerge.errors import OutputError
from evomerge.merging.steps import merge_steps
from evomerge.merging.stream import Options
from evomerge.recipe import AnyRecipe
from evomerge.recipe.reading import following
from evomerge.recipe.steps import Step, read_steps


def merge(  # noqa: PLR0913, PLR0917  the signature is the command line
    recipe: Annotated[Path, Argument(help="A mergekit recipe in YAML.", show_default=False)],
    out: Annotated[Path, Argument(help="The folder to write.", show_default=False)],
    device: Annotated[str, Option(help="Where to compute: cpu, cuda, …")] = "cpu",
    shard_size: Annotated[str, Option(help="How much a file holds: 500MB, 5GB, …")] = "5GB",
    force: Annotated[bool, Option("--force", help="Replace a model that stands there.")] = False,
    seed: Annotated[
        int | None, Option(help="Of random masks; overrides the recipe's seed.", show_default=False)
    ] = None,
    allow_nan: Annotated[
        bool, Option("--allow-nan", help="Let NaN and infinity in the models through.")
    ] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Check everything, write nothing.")] = False,
) -> None:
    """Turns a recipe into a model folder that transformers loads.

    A file of several recipes, as mergekit-multi reads it, is followed step by step; only the last
    result is kept. A recipe of LoRA adapters becomes an adapter that PEFT loads, or a model.
    """
    steps = read_steps(recipe)
    if seed is not None:
        steps = [replace(each, recipe=_seeded(each.recipe, seed)) for each in steps]
    options = Options(device=device, allow_nan=allow_nan)
    how = Writing(bytes_in(shard_size, "--shard-size"), force=force, options=options)
    with following(recipe):
        if dry_run:
            made = foresee(_only(steps, recipe), out, how)
            sys.stdout.write(f"{recipe} can be merged: {made}\n")
            return

        def follow(asked: AnyRecipe, place: Path) -> None:
            made = write(asked, place, how)
            if place == out:
                sys.stdout.write(f"{out}: {made}\n")

        merge_steps(steps, out, follow)


def _only(steps: Sequence[Step], path: Path) -> AnyRecipe:
    """The one recipe of a file: what later ones use has to be made before they can be checked."""
    if len(steps) > 1:
        raise OutputError(
            f"--dry-run: checks one recipe, and {path} has {len(steps)}, of which later ones use "
            "what earlier ones make; leave --dry-run out"
        )
    return steps[0].recipe


def _seeded(recipe: AnyRecipe, seed: int) -> AnyRecipe:
    return recipe.model_copy(update={"seed": seed})
