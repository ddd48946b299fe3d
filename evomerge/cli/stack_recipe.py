"""From a stack of layers to a file with its recipe, known to be one that can be merged."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from evomerge.checkpoint.source import Source
from evomerge.errors import RecipeError
from evomerge.export import check_file, write_file
from evomerge.export.extensions import extensions
from evomerge.families import PER_LAYER_LISTS, Family, family_of, layers_in
from evomerge.merging.folder import documents_of
from evomerge.merging.models import open_references, with_sources
from evomerge.merging.plan import Plan, plan_merge
from evomerge.recipe import ModelReference, Recipe
from evomerge.report.words import counted
from evomerge.stacks import Stack, slices_of
from evomerge.stacks.presets import Named, scaled

WIDTH = 98  # of a line of comment, without its sign


@dataclass(frozen=True)
class Wanted:
    """Where a recipe goes, and what holds for any stack.

    Attributes:
        out: the file; None is standard output.
        force: replace a file that stands there.
        scale: what the stream is multiplied with at each seam; None leaves it alone.
        anchor: the model that gives embedding, last norm, head and tokenizer; None is the first.
    """

    out: Path | None
    force: bool
    scale: float | None = None
    anchor: str | None = None


def write_stack(
    models: Sequence[str], wanted: Wanted, title: str, build: Callable[[Named], Stack]
) -> None:
    """Writes the recipe of a stack of the models' layers.

    Args:
        models: as they are named on the command line.
        wanted: where it goes.
        title: what the stack is, for the comment above it.
        build: makes it, once it is known how many layers the models have.

    Raises:
        OutputError: something stands where the recipe should go.
        CheckpointError: a model cannot be read.
        RecipeError: there is no such stack.
        MergeError: the models' layers cannot stand in one model.
    """
    if wanted.out is not None:
        check_file(wanted.out, force=wanted.force)
    references = [reference_of(model) for model in models]
    anchor = references[0] if wanted.anchor is None else reference_of(wanted.anchor)
    sources = open_references([*references, anchor])
    first = sources[references[0]]
    family = family_of(first.config, first.names(), first.label)
    stack = build([(each, _layers(sources[each], family)) for each in references])
    recipe = _recipe(stack, wanted, anchor, family)
    plan = plan_merge(recipe, with_sources(recipe, _named(recipe, sources)))
    remarks = list(_remarks(plan))
    depth = counted(len(stack), "layer")
    text = _commented([f"{title}: {depth}.", *remarks]) + recipe.write()
    for remark in remarks:
        sys.stderr.write(f"warning: {remark}\n")
    if wanted.out is None:
        sys.stdout.write(text)
        return
    write_file(wanted.out, text, force=wanted.force)
    sys.stdout.write(f"{wanted.out}: {title}, {depth}\n")


def reference_of(model: str) -> ModelReference:
    """The model that a word of the command line names, whatever is in the name of its folder."""
    return ModelReference.of(Path(model) if os.path.isdir(model) else model)


def layers_from(text: str, layers: int, model: object) -> range:
    """The layers that ``FIRST:END`` means.

    Raises:
        RecipeError: it means none, or some that the model has not.
    """
    first, colon, end = text.partition(":")
    if colon and first.isdigit() and end.isdigit() and int(first) < int(end) <= layers:
        return range(int(first), int(end))
    raise RecipeError(
        f"--layers: found '{text}'; {model} has {layers} layers, counted from 0: write FIRST:END, "
        f"END excluded, such as 1:{max(layers - 1, 2)}"
    )


def _layers(source: Source, family: Family) -> int:
    return layers_in(source.config, family, source.label)


def _recipe(stack: Stack, wanted: Wanted, anchor: ModelReference, family: Family) -> Recipe:
    if wanted.scale is not None:
        if wanted.scale <= 0:
            raise RecipeError(f"--scale: found {wanted.scale:g}; give a number above 0")
        stack = scaled(stack, wanted.scale)
    slices = slices_of(stack, anchor, family)
    return Recipe.from_tree({"merge_method": "passthrough", "slices": slices})


def _named(
    recipe: Recipe, sources: Mapping[ModelReference, Source]
) -> dict[ModelReference, Source]:
    return {reference: sources[reference] for reference in recipe.references()}


def _remarks(plan: Plan) -> Iterator[str]:
    """What someone who gives the recipe to mergekit must know, a sentence each."""
    if ours := extensions(plan.recipe):
        yield (
            f"mergekit does not know {', '.join(ours)}, and leaves such scales out: "
            "'evomerge merge' of this recipe makes the model."
        )
    config, donor = documents_of(plan).config, plan.models.donor.source.config
    for key in PER_LAYER_LISTS:
        if key in donor and config.get(key) != donor[key]:
            yield (
                f"mergekit 0.1.5 leaves {key} as it was, which does not fit these layers: "
                "'evomerge merge' of this recipe makes the model."
            )


def _commented(paragraphs: Sequence[str]) -> str:
    lines = [
        line for paragraph in paragraphs for line in wrap(paragraph, WIDTH, break_on_hyphens=False)
    ]
    return "".join(f"# {line}\n" for line in lines)
