"""What becomes of two models on the straight line between them: the barrier, in bits per byte."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evomerge.evaluators.base import Evaluator, LoadedModel, Tick, no_tick
from evomerge.linear_merger.curve import Curve
from evomerge.recipe import ModelReference, Recipe


def line_between(
    models: tuple[ModelReference, ModelReference],
    shares: Sequence[float],
    build: Callable[[Recipe], LoadedModel],
    evaluator: Evaluator,
    *,
    tick: Tick = no_tick,
) -> Curve:
    """Scores what linear merges of two models make; less is better.

    Args:
        models: its ends.
        shares: of the second model, from 0 to 1.
        build: makes a model in memory of a recipe.
        evaluator: of one measure.
        tick: called between the batches of each evaluation.

    Raises:
        EvomergeError: the models cannot be merged, or not be scored.
    """
    values = []
    for share in shares:
        weights = zip(models, (1 - share, share), strict=True)
        entries = [
            {"model": each.written(), "parameters": {"weight": weight}} for each, weight in weights
        ]
        recipe = Recipe.from_tree({"merge_method": "linear", "models": entries})
        (measure,) = evaluator.evaluate(build(recipe), tick=tick).measures
        values.append(measure.value)
    return Curve(tuple(shares), tuple(values))
