"""``evomerge merge``: turns a recipe into a model folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from evomerge.cli.progress import progress_bar
from evomerge.cli.quantities import bytes_in, in_words
from evomerge.merging.folder import check_merge, output_bytes, write_merge
from evomerge.merging.plan import plan_merge
from evomerge.merging.stream import Options
from evomerge.recipe import Recipe
from evomerge.recipe.reading import following


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
    """Turns a recipe into a model folder that transformers loads."""
    asked = Recipe.read(recipe)
    if seed is not None:
        asked = asked.model_copy(update={"seed": seed})
    shard_bytes = bytes_in(shard_size, "--shard-size")
    options = Options(device=device, allow_nan=allow_nan)
    with following(recipe):
        plan = plan_merge(asked)
        size = f"{len(plan.tensors)} tensors, {in_words(output_bytes(plan))}"
        if dry_run:
            check_merge(plan, out, shard_bytes=shard_bytes, force=force, options=options)
            sys.stdout.write(f"{recipe} can be merged: {asked.method_title()}, {size}\n")
            return
        elements = sum(tensor.info.size for tensor in plan.tensors)
        with progress_bar(f"merging {asked.method_title()}", elements) as advance:
            write_merge(
                plan, out, shard_bytes=shard_bytes, force=force, options=options, progress=advance
            )
    sys.stdout.write(f"{out}: {asked.method_title()}, {size}\n")
