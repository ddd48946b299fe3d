"""The seams of a stack: where a layer reads another stream than in the model it comes from.

How far apart the two are says what a layer has to put up with: 1 is the direction that it was
trained on. The norm that reads a stream does not see its length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evomerge.errors import RecipeError
from evomerge.evaluators.base import LoadedModel, Tick, no_tick
from evomerge.inspection.similarity import directions
from evomerge.inspection.streams import check_tokens_alike, streams, windows_of
from evomerge.merging.plan import Plan
from evomerge.recipe import ModelReference
from evomerge.stacks import Hop
from evomerge.stacks.hops import follows

METHOD = "passthrough"


@dataclass(frozen=True)
class Place:
    """A part of a model.

    Attributes:
        model: whose.
        layer: which, counted from 0. None is what stands before all layers, the embeddings; or
            behind them, the last norm and the head.
    """

    model: str
    layer: int | None


@dataclass(frozen=True)
class Seam:
    """What reads another stream than it was trained on.

    Attributes:
        hop: its place in the stack, counted from 0; for the head, as many as there are hops.
        reader: it, in its own model.
        writer: what stands before it in the stack, in its own model.
        cosine: of the stream that it reads in the stack and the one in its own model: in [-1, 1],
            the mean over the tokens.
    """

    hop: int
    reader: Place
    writer: Place
    cosine: float


@dataclass(frozen=True)
class Joined:
    """The seams of a stack.

    Attributes:
        hops: how many there are.
        seams: from the first to the last.
        tokens: over how many tokens the cosines are means.
    """

    hops: int
    seams: tuple[Seam, ...]
    tokens: int


def route_of(plan: Plan) -> tuple[Hop, ...]:
    """The hops of a stack between two that stand for its ends.

    The first is layer -1 of the model whose embeddings it has, the last the layer that would come
    next in the model of its head. So the route of a whole model has no seam.

    Raises:
        RecipeError: the plan is of another merge.
    """
    if plan.recipe.method_names() != (METHOD,):
        raise RecipeError(
            f"recipe: merges by {plan.recipe.method_title()}; only a stack has seams: layers in "
            f"slices, with merge_method: {METHOD}"
        )
    sources = [part.sources[0] for part in plan.slices]
    first, last = sources[0].model, sources[-1].model
    hops = [Hop(source.model, layer) for source in sources for layer in source.layers]
    return Hop(first, -1), *hops, Hop(last, plan.models.layers()[last])


def seam_study(
    route: Sequence[Hop],
    build: Callable[[ModelReference | None], LoadedModel],
    documents: Sequence[str],
    *,
    tick: Tick = no_tick,
) -> Joined:
    """How alike, at each seam, what is read in the stack is to what is read in the own model.

    Args:
        route: of the stack.
        build: gives the stack for None, or one of its models, which may take the place of what it
            gave before.
        documents: the text.
        tick: called between runs of the models.

    Raises:
        VocabularyError: a model reads the text as other tokens than the stack.
        CheckpointError: the layers of a model are not known.
    """
    places = [at for at in range(1, len(route)) if not follows(route[at - 1], route[at])]
    stack = build(None)
    windows = windows_of(stack, documents)
    # What stands at place p of the route reads what hop p - 1 of the stack reads.
    read = [
        stream[[at - 1 for at in places]].cpu() for stream in streams(stack, windows, tick=tick)
    ]
    sums = torch.zeros(len(places), dtype=torch.float64)
    for model in dict.fromkeys(route[at].model for at in places):
        rows = [row for row, at in enumerate(places) if route[at].model == model]
        layers = [route[places[row]].layer for row in rows]
        own = build(model)
        check_tokens_alike(stack, own, documents)
        for here, there in zip(read, streams(own, windows, tick=tick), strict=True):
            sums[rows] += _summed(here[rows], there[layers].cpu())
    tokens = sum(map(len, windows))
    cosines = (sums / tokens).tolist()
    hops = len(route) - 2
    seams = (_seam(route, at, cosine) for at, cosine in zip(places, cosines, strict=True))
    return Joined(hops, tuple(seams), tokens)


def _summed(one: Tensor, other: Tensor) -> Tensor:
    """``(streams, tokens, width)`` each -> ``(streams,)``: the cosines, summed over the tokens."""
    products = directions(one) * directions(other)
    return products.sum(-1).double().sum(-1)


def _seam(route: Sequence[Hop], at: int, cosine: float) -> Seam:
    writer, reader = route[at - 1], route[at]
    return Seam(
        at - 1,
        Place(str(reader.model), reader.layer if at < len(route) - 1 else None),
        Place(str(writer.model), writer.layer if at > 1 else None),
        cosine,
    )
