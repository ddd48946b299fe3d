"""Follows a recipe of adapters: writes an adapter, or the base with the merged adapter in it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from evomerge.adapters.contents import Contents, Filling, Slot
from evomerge.adapters.folder import AdapterWriter
from evomerge.adapters.plan import AdapterPlan
from evomerge.checkpoint.card import write_adapter_card
from evomerge.dtypes import parse_dtype
from evomerge.errors import OutputError
from evomerge.merging.folder import (
    DEFAULT_SHARD_BYTES,
    output_bytes,
    write_merge,
)
from evomerge.merging.plan import plan_merge
from evomerge.merging.stream import Options
from evomerge.recipe import Recipe
from evomerge.recipe.adapters import AdapterRecipe


@dataclass
class Outcome:
    """What came of a recipe of adapters.

    Attributes:
        matrices: how many were merged.
        rank: the largest of the merged factors.
        partial: how many of the matrices only some of the adapters change.
        decomposed: how many have lengths that some adapter trained (DoRA).
        wholes: how many biases and tensors of modules were averaged as weights.
        partial_wholes: how many of these only some of the adapters train.
        nbytes: of the weights that were written.
        steps: of the iteration of each matrix.
        residuals: how far each was from its end.
    """

    matrices: int
    rank: int
    partial: int
    decomposed: int = 0
    wholes: int = 0
    partial_wholes: int = 0
    nbytes: int = 0
    steps: list[int] = field(default_factory=list)
    residuals: list[float] = field(default_factory=list)


def write_adapters(
    plan: AdapterPlan,
    out: Path,
    *,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    force: bool = False,
    options: Options | None = None,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Merges the adapters and writes what the recipe asks for, whole or not at all.

    Args:
        plan: what to make.
        out: the folder to write.
        shard_bytes: how much one file of a model holds; an adapter is one file.
        force: replace what stands there.
        options: how a model is written.
        progress: called with the number of matrices that were merged since.

    Raises:
        OutputError: the folder cannot be written.
        MergeError: a mean is not unique, or there is NaN.
    """
    recipe = plan.recipe
    _check_place(plan, out, force=force)
    outcome = foreseen(plan)
    if recipe.output == "adapter":
        writer = AdapterWriter(out, contents_of(plan, recipe.dtype), force=force)
        outcome.nbytes = writer.nbytes
        writer.write(
            _fillings(plan, outcome, progress),
            lambda folder: write_adapter_card(folder, recipe, name=out.resolve().name),
            plan.averaged(),
        )
    else:
        with TemporaryDirectory(prefix="evomerge-") as scratch:
            adapter = Path(scratch) / "adapter"
            writer = AdapterWriter(adapter, contents_of(plan, None), force=False)
            fillings = _fillings(plan, outcome, progress)
            writer.write(fillings, lambda folder: None, plan.averaged())  # noqa: ARG005
            model = replace(plan_merge(_applied(recipe, adapter)), adapters=recipe)
            write_merge(model, out, shard_bytes=shard_bytes, force=force, options=options)
            outcome.nbytes = output_bytes(model)
    _warn_of_unsettled(plan, outcome)
    return outcome


def check_adapters(plan: AdapterPlan, out: Path, *, force: bool = False) -> Outcome:
    """Refuses what `write_adapters` refuses without having read a factor. Writes nothing.

    Raises:
        OutputError: the folder cannot be written.
    """
    _check_place(plan, out, force=force)
    outcome = foreseen(plan)
    outcome.nbytes = AdapterWriter(out, contents_of(plan, plan.recipe.dtype), force=force).nbytes
    return outcome


def foreseen(plan: AdapterPlan) -> Outcome:
    """What can be said before the merge."""
    sources, rank = plan.sources, max(planned.rank for planned in plan.planned)
    wholes = [whole for whole in sources.wholes if not whole.tied]
    return Outcome(
        matrices=len(plan.planned),
        rank=rank,
        partial=sources.partial(sources.matrices),
        decomposed=sum(matrix.decomposed for matrix in sources.matrices),
        wholes=len(wholes),
        partial_wholes=sources.partial(wholes),
    )


def contents_of(plan: AdapterPlan, dtype: str | None) -> Contents:
    """What will be in the merged adapter; float32 if no type is asked for."""
    adapters = plan.sources.adapters
    return Contents(
        slots=[Slot(each.matrix, max(1, each.rank), plan.decomposed) for each in plan.planned],
        wholes=plan.sources.wholes,
        base=next((a.config.base for a in adapters if a.config.base), plan.recipe.base_model.path),
        task=next((a.task for a in adapters if a.task), ""),
        fan_in_fan_out=any(adapter.config.fan_in_fan_out for adapter in adapters),
        dtype=parse_dtype(dtype or "float32"),
    )


def _fillings(
    plan: AdapterPlan, outcome: Outcome, progress: Callable[[int], None] | None
) -> Iterator[Filling]:
    for made in plan.merged():
        outcome.steps.append(made.merged.steps)
        outcome.residuals.append(made.merged.residual)
        if progress is not None:
            progress(1)
        yield Filling(made.merged.update, made.lengths)


def _applied(recipe: AdapterRecipe, adapter: Path) -> Recipe:
    """The recipe of the base with an adapter in it."""
    base = recipe.base_model
    path: dict[str, object] = {"path": base.path}
    if base.revision:
        path["revision"] = base.revision
    model = {"model": path, "lora": {"path": str(adapter)}}
    tree: dict[str, object] = {"merge_method": "passthrough", "models": [{"model": model}]}
    return Recipe.from_tree(tree | ({"dtype": recipe.dtype} if recipe.dtype else {}))


def _check_place(plan: AdapterPlan, out: Path, *, force: bool) -> None:
    """Refuses to replace what is being merged."""
    sources = plan.sources
    places = {sources.base.label: sources.base.folder}
    places |= {adapter.label: adapter.folder for adapter in sources.adapters}
    for label, folder in places.items():
        if force and folder.resolve().is_relative_to(out.resolve()):
            raise OutputError(
                f"{out}: would replace {label}, which is being merged; choose another"
            )


def _warn_of_unsettled(plan: AdapterPlan, outcome: Outcome) -> None:
    limits = [planned.values.get("tolerance") for planned in plan.planned]
    left = [
        residual
        for residual, limit in zip(outcome.residuals, limits, strict=True)
        if limit is not None and residual > float(limit)
    ]
    if left:
        warnings.warn(
            f"{len(left)} of {outcome.matrices} matrices: the mean was not reached; the relative "
            f"pull that is left is up to {max(left):.1e}. Raise steps or tolerance",
            UserWarning,
            stacklevel=3,
        )
