"""What a model costs to run: its size, and its speed. Objectives beside quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Annotated, Literal

import torch
from pydantic import Field

from evomerge.errors import EvaluationError
from evomerge.evaluators.base import Evaluator, Items, LoadedModel, Tick, evaluator
from evomerge.evaluators.kv_cache import numbers_per_token
from evomerge.evaluators.scores import UNFILTERED, Measure, Scores, main_measure

SPEED = "tokens_per_second"

# Tokens of the prompt behind which the speed is measured, at most.
PROMPT = 16


@dataclass(frozen=True)
class _Run:
    """One generation: the tokens of the prompt, and how many to write."""

    prompt: int
    tokens: int


@evaluator("cost")
@dataclass(frozen=True, kw_only=True)
class Cost(Evaluator):
    """Measures what a model costs. All is better low, but speed.

    Attributes:
        metric: what counts: ``parameters``; their ``bytes`` in the type they have; ``layers``;
            ``kv_cache_bytes``, for each token of the context, in that type too; or
            ``tokens_per_second``, of one text. These but the last are always reported.
        tokens: how many tokens to write, to measure the speed.
        runs: how often; the median counts.
    """

    metric: Literal["parameters", "bytes", "layers", "kv_cache_bytes", "tokens_per_second"]
    tokens: Annotated[int, Field(gt=0)] = 64
    runs: Annotated[int, Field(gt=0)] = 3

    def score(self, model: LoadedModel, items: Items | None, tick: Tick) -> Scores:
        """Counts, and measures the speed if it is what counts.

        Raises:
            EvaluationError: items are given, or the model is too short for a single token.
        """
        if items is not None:
            raise EvaluationError("cost: a model has one cost, not one for each item")
        tick()
        found = _sizes(model)
        if self.metric == SPEED:
            found[SPEED] = self._speed(model, tick)
        measures = [
            # What is counted is exact: it has no items that a test could draw from.
            Measure("cost", name, UNFILTERED, float(value), name == SPEED, int(name == SPEED))
            for name, value in found.items()
        ]
        main = next(one for one in measures if one.metric == self.metric)
        return Scores(tuple(measures), main_measure([main], needed=True))

    def sizes(self) -> Mapping[str, int]:
        """No documents."""
        return {}

    @property
    def deterministic(self) -> bool:
        """All is counted, but speed is measured."""
        return self.metric != SPEED

    def _speed(self, model: LoadedModel, tick: Tick) -> float:
        room = getattr(model.model.config, "max_position_embeddings", None) or PROMPT + self.tokens
        prompt = min(PROMPT, room // 2)
        run = _Run(prompt, min(self.tokens, room - prompt))
        _seconds(model, _Run(prompt, 1), tick)  # what the first call sets up is not counted
        return run.tokens / median(_seconds(model, run, tick) for _ in range(self.runs))


def _sizes(model: LoadedModel) -> dict[str, float]:
    """What is written to a folder counts: tied tensors once, repeated layers each time."""
    tied = getattr(model.model, "all_tied_weights_keys", {})
    tensors = [
        tensor
        for name, tensor in model.model.named_parameters(remove_duplicate=False)
        if name not in tied
    ]
    config = model.model.config
    return {
        "parameters": sum(tensor.numel() for tensor in tensors),
        "bytes": sum(tensor.numel() * tensor.element_size() for tensor in tensors),
        "layers": config.get_text_config().num_hidden_layers,
        "kv_cache_bytes": numbers_per_token(config) * model.model.dtype.itemsize,
    }


def _seconds(model: LoadedModel, run: _Run, tick: Tick) -> float:
    """Of writing the run's tokens one after the other, greedily, behind any prompt."""
    vocabulary = model.model.get_input_embeddings().num_embeddings
    inputs = (torch.arange(run.prompt, device=model.device) % vocabulary)[None]
    cache = None
    start = perf_counter()
    with torch.inference_mode():
        for _ in range(run.tokens):
            tick()
            found = model.model(inputs, past_key_values=cache, use_cache=True)
            cache = found.past_key_values
            inputs = found.logits[:, -1:].argmax(-1)
            inputs.tolist()  # waits until the device has done it
    return perf_counter() - start
