"""What ``evomerge merge`` does with a recipe of LoRA adapters."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from evomerge.adapters.opened import OpenAdapters
from evomerge.adapters.plan import plan_adapters
from evomerge.cli.progress import progress_bar
from evomerge.cli.quantities import in_words
from evomerge.merging.adapters import Outcome, check_adapters, write_adapters
from evomerge.merging.stream import Options
from evomerge.recipe.adapters import AdapterRecipe


@dataclass(frozen=True)
class Writing:
    """How the result is written.

    Attributes:
        shard_bytes: how much one file of a model holds.
        force: replace what stands there.
        dry_run: check everything, write nothing.
        options: how a model is written.
    """

    shard_bytes: int
    force: bool
    dry_run: bool
    options: Options


def merge_adapters(recipe: AdapterRecipe, out: Path, path: str, how: Writing) -> None:
    """Writes what the recipe asks for, or says what it would be."""
    with OpenAdapters() as opened:
        plan = plan_adapters(recipe, opened)
        if how.dry_run:
            outcome = check_adapters(plan, out, force=how.force)
            sys.stdout.write(f"{path} can be merged: {described(recipe, outcome)}\n")
            return
        what = f"merging adapters by {recipe.merge_method}"
        with progress_bar(what, len(plan.planned)) as advance:
            outcome = write_adapters(
                plan,
                out,
                shard_bytes=how.shard_bytes,
                force=how.force,
                options=how.options,
                progress=advance,
            )
    sys.stdout.write(f"{out}: {described(recipe, outcome)}\n")


def described(recipe: AdapterRecipe, outcome: Outcome) -> str:
    """One line on the result, and one on each thing that its reader should know."""
    size = f", {in_words(outcome.nbytes)}" * bool(outcome.nbytes)
    lines = [
        f"{recipe.merge_method}, {'an' if recipe.output == 'adapter' else 'a'} {recipe.output}, "
        f"{outcome.matrices} matrices, rank {outcome.rank}{size}"
    ]
    if any(outcome.steps):
        lines.append(
            f"{min(outcome.steps)} to {max(outcome.steps)} steps for a matrix; the relative pull "
            f"that is left is at most {max(outcome.residuals):.1e}"
        )
    if outcome.partial:
        lines.append(
            f"{outcome.partial} matrices are changed by some of the adapters only; for the others "
            "the update is zero"
        )
    if outcome.decomposed:
        lines.append(
            f"{outcome.decomposed} matrices have trained lengths (DoRA), which are averaged apart; "
            "an adapter without them counts with the lengths that its rows have"
        )
    if outcome.wholes:
        lines.append(
            f"{outcome.wholes} biases and tensors of whole modules are averaged as weights; "
            f"{outcome.partial_wholes} are trained by some of the adapters only, and are the "
            "base's in the others"
        )
    return "\n".join(lines)
