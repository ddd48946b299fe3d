"""``evomerge merge``: turns a recipe into a model folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from evomerge.cli.merge_adapters import Writing, merge_adapters
from evomerge.cli.progress import find_alignments, progress_bar
from evomerge.cli.quantities import bytes_in, in_words
from evomerge.errors import OutputError
from evomerge.merging.folder import check_merge, output_bytes, write_merge
from evomerge.merging.plan import Plan, plan_merge
from evomerge.merging.steps import merge_steps
from evomerge.merging.stream import Options
from evomerge.recipe import Recipe
from evomerge.recipe.adapters import AdapterRecipe, read_any
from evomerge.recipe.reading import following
from evomerge.recipe.steps import Step


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
    model is kept. A recipe of LoRA adapters becomes an adapter that PEFT loads, or a model.
    """
    asked = read_any(recipe)
    shard_bytes = bytes_in(shard_size, "--shard-size")
    options = Options(device=device, allow_nan=allow_nan)
    if isinstance(asked, AdapterRecipe):
        if seed is not None:
            asked = asked.model_copy(update={"seed": seed})
        how = Writing(shard_bytes, force=force, dry_run=dry_run, options=options)
        with following(recipe):
            merge_adapters(asked, out, str(recipe), how)
        return
    steps = asked
    if seed is not None:
        steps = [replace(each, recipe=_seeded(each.recipe, seed)) for each in steps]
    with following(recipe):
        if dry_run:
            plan = plan_merge(_only(steps, recipe))
            check_merge(plan, out, shard_bytes=shard_bytes, force=force, options=options)
            sys.stdout.write(f"{recipe} can be merged: {_described(plan)}\n")
            return

        def write(asked: Recipe, place: Path) -> None:
            plan = plan_merge(asked)
            find_alignments(plan)
            elements = sum(tensor.info.size for tensor in plan.tensors)
            with progress_bar(f"merging {asked.method_title()}", elements) as advance:
                write_merge(
                    plan,
                    place,
                    shard_bytes=shard_bytes,
                    force=force,
                    options=options,
                    progress=advance,
                )
            if place == out:
                sys.stdout.write(f"{out}: {_described(plan)}\n")

        merge_steps(steps, out, write)


def _only(steps: Sequence[Step], path: Path) -> Recipe:
    """The one recipe of a file: what later ones use has to be made before they can be checked."""
    if len(steps) > 1:
        raise OutputError(
            f"--dry-run: checks one recipe, and {path} has {len(steps)}, of which later ones use "
            "what earlier ones make; leave --dry-run out"
        )
    return steps[0].recipe


def _seeded(recipe: Recipe, seed: int) -> Recipe:
    return recipe.model_copy(update={"seed": seed})


def _described(plan: Plan) -> str:
    size = f"{len(plan.tensors)} tensors, {in_words(output_bytes(plan))}"
    return f"{plan.recipe.method_title()}, {size}"
