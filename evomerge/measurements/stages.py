"""A model run layer by layer: all items go through one layer before the next is looked at.

So what is measured of one layer can be written and forgotten before the next one begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from evomerge.errors import MergeError

# How far a layer's output may be from that of the whole model, relative to its largest number.
ROUNDING = 1e-3


class Watch(Protocol):
    """Looks at modules while a batch passes."""

    def watching(self, counted: Tensor) -> AbstractContextManager[None]:
        """``counted``, ``(items, tokens)``, says which tokens are no filling."""


@dataclass(frozen=True)
class Batch:
    """Some items side by side.

    Attributes:
        tokens: ``(items, tokens)``; short items are filled up at their ends.
        counted: which of them are no filling.
    """

    tokens: Tensor
    counted: Tensor


@dataclass
class _Passing:
    """A batch on its way: what each layer was called with, and what the next one gets."""

    batch: Batch
    state: Tensor
    calls: Sequence[tuple[tuple[Any, ...], Mapping[str, Any]]]


def batches_of(items: Sequence[Sequence[int]], size: int, device: torch.device) -> list[Batch]:
    """Items of tokens in batches. No token sees those behind it, so what fills up is not seen."""
    made = []
    for start in range(0, len(items), size):
        part = items[start : start + size]
        tokens = torch.zeros(len(part), max(map(len, part)), dtype=torch.long)
        counted = torch.zeros_like(tokens, dtype=torch.bool)
        for row, item in enumerate(part):
            tokens[row, : len(item)] = torch.tensor(item)
            counted[row, : len(item)] = True
        made.append(Batch(tokens.to(device), counted.to(device)))
    return made


class Stages:
    """A model whose layers follow each other, each taking what the one before it gives."""

    def __init__(self, model: nn.Module, layers: Sequence[nn.Module], label: str) -> None:
        """``label`` is what messages call the model."""
        self._model = model
        self._layers = layers
        self._label = label
        self._passing: list[_Passing] = []

    @torch.no_grad()
    def begin(self, batches: Sequence[Batch], outside: Watch) -> None:
        """Runs the whole model once; ``outside`` looks at what stands outside the layers."""
        for batch in batches:
            with ExitStack() as hooks:
                hooks.enter_context(outside.watching(batch.counted))
                self._passing.append(self._recorded(batch, hooks))

    @torch.no_grad()
    def run(self, layer: int, watch: Watch) -> None:
        """Takes every batch through one layer; ``watch`` looks at it. From the first to the last.

        Raises:
            MergeError: the layer gives something else than it did in the whole model.
        """
        following = layer + 1
        for passing in self._passing:
            arguments, named = passing.calls[layer]
            with watch.watching(passing.batch.counted):
                found = self._layers[layer](passing.state, *arguments, **named)
            passing.state = found[0] if isinstance(found, tuple) else found
        if following == len(self._layers):
            self._compare()

    def stream(self) -> Tensor:
        """``(tokens, width)``: the residual stream, as the next layer would get it."""
        return torch.cat([each.state[each.batch.counted] for each in self._passing])

    def _recorded(self, batch: Batch, hooks: ExitStack) -> _Passing:
        calls: list[tuple[tuple[Any, ...], Mapping[str, Any]]] = []
        first: list[Tensor] = []
        last: list[Tensor] = []

        def record(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            rest = dict(named)
            state = arguments[0] if arguments else rest.pop("hidden_states")
            if not first:
                first.append(state)
            calls.append((arguments[1:], rest))

        def keep(_: nn.Module, __: object, found: Tensor | tuple[Tensor, ...]) -> None:
            last.append(found[0] if isinstance(found, tuple) else found)

        for each in self._layers:
            hooks.callback(each.register_forward_pre_hook(record, with_kwargs=True).remove)
        hooks.callback(self._layers[-1].register_forward_hook(keep).remove)
        self._model(input_ids=batch.tokens, use_cache=False)
        if len(calls) != len(self._layers):
            raise MergeError(f"{self._label}: {_APART}")
        if not self._passing:
            self._expected = last[0]
        return _Passing(batch, first[0], calls)

    def _compare(self) -> None:
        """Whether what came out, of the first batch, is what the whole model gave.

        What is not finite equals nothing; that is for those to say who look at it.
        """
        found, expected = self._passing[0].state, self._expected
        if not bool(expected.isfinite().all()):
            return
        bound = ROUNDING * float(expected.abs().max())
        if not bool((found - expected).abs().max() <= bound):
            raise MergeError(f"{self._label}: {_APART}")


_APART = (
    "its layers do not simply follow each other, so they cannot be measured one by one; merge it "
    "with another method"
)


def layers_of(model: nn.Module, places: Iterator[str]) -> tuple[str, Sequence[nn.Module]] | None:
    """The list of a model's layers and its name, at the first of the ``places`` where one is."""
    modules = dict(model.named_modules())
    for place in places:
        found = modules.get(place)
        if isinstance(found, nn.ModuleList):
            return place, list(found)
    return None
