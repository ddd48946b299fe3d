"""Lesions: what a model scores without one of its layers, or without a part of one.

What is left out adds nothing to the residual stream. It is still computed, for what else it leaves
behind: without its keys and values a cache would count too few tokens. A norm behind a part, which
some families have, is one without bias, and makes zero of zero.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor, nn

from evomerge.errors import EvaluationError
from evomerge.evaluators.base import Evaluator, LoadedModel, Tick, no_tick
from evomerge.evaluators.scores import Address, Measure, Scores
from evomerge.inspection.parts import Part, layers_of

# What a module is given under this name it adds its own output to: BLOOM's and MPT's parts.
STREAM = "residual"

# Of a module of transformers: one tensor, or that and what goes with it.
Output: TypeAlias = Tensor | tuple[Any, ...]

# By the evaluator's place, and the measure's address in it.
Scored: TypeAlias = dict[tuple[int, Address], Measure]


@dataclass(frozen=True)
class Lesions:
    """One metric of one task, of the model as it is and without each of its parts.

    Attributes:
        task: its name.
        metric: the metric's name.
        higher_is_better: the metric's direction.
        items: how many went into each score.
        intact: the score of the whole model.
        without: for each layer, the scores without all of it (``whole``), without its
            ``attention`` and without its ``mlp``; a part that the layer lacks has none.
    """

    task: str
    metric: str
    higher_is_better: bool
    items: int
    intact: float
    without: tuple[Mapping[Part, float], ...]


def lesion_study(
    loaded: LoadedModel, evaluators: Sequence[Evaluator], *, tick: Tick = no_tick
) -> tuple[Lesions, ...]:
    """Scores a model once as it is, and once without each part: for L layers, 3 L + 1 times.

    Args:
        loaded: the model, which is as it was afterwards.
        evaluators: what to score it by; they see it in memory, and never a folder.
        tick: called between the batches of each evaluation.

    Returns:
        One for each metric that counts: of each evaluator the main one, task by task.

    Raises:
        CheckpointError: the layers of the model are not known.
        EvaluationError: an evaluator cannot score it, or wants a folder to read it from.
    """
    bare = replace(loaded, folder=partial(_no_folder, loaded.label))
    layers = layers_of(loaded)
    intact = _scored(bare, evaluators, tick)
    found: list[dict[Part, Scored]] = []
    for layer in layers:
        found.append({})
        for name, module in layer.parts():
            with without(module, whole=name == "whole"):
                found[-1][name] = _scored(bare, evaluators, tick)
    return tuple(
        Lesions(
            one.task,
            one.metric,
            one.higher_is_better,
            one.size,
            one.value,
            tuple({part: scored[key].value for part, scored in each.items()} for each in found),
        )
        for key, one in intact.items()
    )


@contextmanager
def without(module: nn.Module, *, whole: bool) -> Iterator[None]:
    """Meanwhile, ``module`` adds nothing to the residual stream.

    Args:
        module: a layer, or a part of one.
        whole: whether it is a layer, which hands on the first of what it takes, the stream; a
            part hands on what is to be added to it.
    """
    names = tuple(inspect.signature(module.forward).parameters)

    def hook(
        _module: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any], output: Output
    ) -> Output:
        given = {**dict(zip(names, args, strict=False)), **keywords}
        first = output[0] if isinstance(output, tuple) else output
        nothing = given[names[0]] if whole else _nothing(given, first)
        return (nothing, *output[1:]) if isinstance(output, tuple) else nothing

    handle = module.register_forward_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _nothing(given: Mapping[str, Tensor], output: Tensor) -> Tensor:
    """What a part hands on that adds nothing."""
    return given[STREAM] if STREAM in given else output.new_zeros(output.shape)


def _scored(loaded: LoadedModel, evaluators: Sequence[Evaluator], tick: Tick) -> Scored:
    return {
        (place, one.address): one
        for place, evaluator in enumerate(evaluators)
        for one in _counting(evaluator.evaluate(loaded, tick=tick))
    }


def _counting(scores: Scores) -> Iterator[Measure]:
    """The measures that the main one is made of; all of them where there is no main one."""
    for one in scores.measures:
        if scores.main is None or scores.share(one):
            yield one


def _no_folder(label: str) -> Path:
    raise EvaluationError(
        f"{label}: without some of its parts it is in memory only, in no folder; take evaluators "
        "that score it there"
    )
