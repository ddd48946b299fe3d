"""A stack as the slices of a recipe, and back.

Hops that follow each other in their model, at one scale, are one slice. Where the anchor is not the
first hop's model, or the last one's, a slice without layers of it stands there: what is outside the
layers comes from the first and the last slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from evomerge.errors import RecipeError
from evomerge.families import FAMILIES, Family
from evomerge.recipe import ModelReference
from evomerge.stacks.folding import cumulative, folded, ratio, unfolded
from evomerge.stacks.hops import Hop, Stack, block, follows

METHOD = "passthrough"

# A slice as a recipe's plain tree has it.
Slice = dict[str, object]


def slices_of(stack: Stack, anchor: ModelReference, family: Family) -> list[Slice]:
    """The ``slices`` of the recipe of a stack.

    Args:
        stack: the hops.
        anchor: the model that gives embedding, last norm, head and tokenizer.
        family: of all the models.

    Raises:
        RecipeError: there is no hop, or a scale cannot be folded into such layers.
    """
    if not stack:
        raise RecipeError("stack: there is no layer in it; keep at least one")
    made = [
        _slice(stack[first].model, stack[first].layer, end - first, folded(total, family))
        for first, end, total in _runs(stack)
    ]
    ends = _slice(anchor, 0, 0, {})
    before = [] if stack[0].model == anchor else [ends]
    after = [] if stack[-1].model == anchor else [ends]
    return [*before, *made, *after]


def stack_of(
    slices: Sequence[Mapping[str, object]], family: Family
) -> tuple[Stack, ModelReference] | None:
    """Hops and anchor of the ``slices`` of a recipe of passthrough; None if they are no stack."""
    parts: list[tuple[Stack, float]] = []
    for each in slices:
        part = _part_of(each, family)
        if part is None:
            return None
        parts.append(part)
    ends = [_model_of(slices[0]), _model_of(slices[-1])] if slices else []
    layers = [(hop, total) for hops, total in parts for hop in hops]
    if not layers or ends[0] != ends[1] or not _anchored(parts):
        return None
    totals = [1.0, *(total for _, total in layers)]
    scales = [ratio(*pair) for pair in pairwise(totals)]
    hops = [Hop(hop.model, hop.layer, s) for (hop, _), s in zip(layers, scales, strict=True)]
    return tuple(hops), ends[0]


def stack_in(recipe: Mapping[str, object]) -> tuple[Stack, ModelReference] | None:
    """Hops and anchor of a recipe's plain tree, whatever its family; None if it is no stack.

    A scale is written by the names of a family's tensors, and so tells that it is of such a family.
    """
    slices = recipe.get("slices")
    if recipe.get("parameters") or not isinstance(slices, list):
        return None
    method = {"merge_method": recipe.get("merge_method", METHOD)}
    whole = [{**method, **each} for each in slices]
    found = (stack_of(whole, family) for family in FAMILIES)
    return next((each for each in found if each is not None), None)


def _runs(stack: Stack) -> Iterator[tuple[int, int, float]]:
    """First hop, end and cumulative scale of each slice."""
    totals = list(cumulative(hop.scale for hop in stack))
    first = 0
    for end in range(1, len(stack) + 1):
        if end == len(stack) or not (
            follows(stack[end - 1], stack[end]) and totals[end] == totals[first]
        ):
            yield first, end, totals[first]
            first = end


def _slice(
    model: ModelReference, first: int, layers: int, parameters: Mapping[str, object]
) -> Slice:
    source: Slice = {"model": model.written(), "layer_range": [first, first + layers]}
    return {"sources": [source | ({"parameters": parameters} if parameters else {})]}


def _part_of(tree: Mapping[str, object], family: Family) -> tuple[Stack, float] | None:
    """The hops of one slice, and their cumulative scale."""
    match {"merge_method": METHOD, **tree}:
        case {
            "merge_method": "passthrough",
            "sources": [{"model": model, "layer_range": [int(first), int(end)], **rest}],
        }:
            parameters = rest.get("parameters", {})
            if isinstance(parameters, Mapping) and (total := unfolded(parameters, family)):
                return block(ModelReference.of(model), first, end), total
    return None


def _model_of(tree: Mapping[str, object]) -> ModelReference:
    """The model of a slice that is known to have one."""
    sources: Any = tree["sources"]
    return ModelReference.of(sources[0]["model"])


def _anchored(parts: Sequence[tuple[Stack, float]]) -> bool:
    """Whether only the first and the last slice may have no layers."""
    return all(hops for hops, _ in parts[1:-1])
