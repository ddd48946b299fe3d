"""What verbs do with a recipe of models or adapters: write what it makes, or say what that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from evomerge.adapters.opened import OpenAdapters
from evomerge.adapters.plan import plan_adapters
from evomerge.cli.adapters_shown import described
from evomerge.cli.progress import find_alignments, progress_bar
from evomerge.cli.quantities import in_words
from evomerge.merging.adapters import check_adapters, write_adapters
from evomerge.merging.folder import DEFAULT_SHARD_BYTES, check_merge, output_bytes, write_merge
from evomerge.merging.plan import Plan, plan_merge
from evomerge.merging.stream import Options
from evomerge.recipe import AnyRecipe, Recipe


@dataclass(frozen=True)
class Writing:
    """How the result is written.

    Attributes:
        shard_bytes: how much one file of a model holds.
        force: replace what stands there.
        options: how a model is written.
    """

    shard_bytes: int = DEFAULT_SHARD_BYTES
    force: bool = False
    options: Options = field(default_factory=Options)


def foresee(recipe: AnyRecipe, out: Path, how: Writing) -> str:
    """What writing would make of a recipe, in words; refuses what it would refuse at once."""
    if isinstance(recipe, Recipe):
        plan = plan_merge(recipe)
        check_merge(plan, out, shard_bytes=how.shard_bytes, force=how.force, options=how.options)
        return _of_models(plan)
    with OpenAdapters() as opened:
        outcome = check_adapters(plan_adapters(recipe, opened), out, force=how.force)
    return described(recipe.merge_method, recipe.output, outcome)


def write(recipe: AnyRecipe, out: Path, how: Writing) -> str:
    """Writes what a recipe makes, with a progress bar, and says in words what it is."""
    if isinstance(recipe, Recipe):
        return _write_models(recipe, out, how)
    with OpenAdapters() as opened:
        plan = plan_adapters(recipe, opened)
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
    return described(recipe.merge_method, recipe.output, outcome)


def _write_models(recipe: Recipe, out: Path, how: Writing) -> str:
    plan = plan_merge(recipe)
    find_alignments(plan)
    elements = sum(tensor.info.size for tensor in plan.tensors)
    with progress_bar(f"merging {recipe.method_title()}", elements) as advance:
        write_merge(
            plan,
            out,
            shard_bytes=how.shard_bytes,
            force=how.force,
            options=how.options,
            progress=advance,
        )
    return _of_models(plan)


def _of_models(plan: Plan) -> str:
    size = f"{len(plan.tensors)} tensors, {in_words(output_bytes(plan))}"
    return f"{plan.recipe.method_title()}, {size}"
