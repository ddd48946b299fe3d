"""A middle whose layers run side by side: an execution plan, which no checkpoint can express.

Every layer of the middle reads the same stream, and what follows reads the mean of what they hand
on; looped, the mean goes through the middle again [1].

[1] Q. Sun et al. Transformer layers as painters. 2024. https://arxiv.org/abs/2407.09298
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import Cache

from evomerge.errors import EvaluationError
from evomerge.evaluators.base import LoadedModel
from evomerge.inspection.parts import layers_of


@contextmanager
def side_by_side(loaded: LoadedModel, middle: range, loops: int = 1) -> Iterator[LoadedModel]:
    """The model while the layers of its middle run side by side.

    Args:
        loaded: the model, which is as it was afterwards.
        middle: which layers, counted from 0.
        loops: how often the stream goes through the middle. More than once, no cache of keys and
            values is kept, as a layer has a place for one pass in it.

    Raises:
        CheckpointError: the layers of the model are not known.
        EvaluationError: there are no such layers, or there is no such number of loops.
    """
    layers = [layer.whole for layer in layers_of(loaded)]
    if not 0 <= middle.start < middle.stop <= len(layers) or loops < 1:
        raise EvaluationError(
            f"{loaded.label}: found the layers {middle.start}:{middle.stop}, {loops} times; "
            f"there are {len(layers)} layers, counted from 0, to run once or more"
        )
    run = _Middle([layers[number] for number in middle], loops)
    times = "" if loops == 1 else f", {loops} times"
    label = f"{loaded.label} with layers {middle.start} to {middle.stop - 1} side by side{times}"
    with ExitStack() as stack:
        for layer in run.layers:
            before = layer.register_forward_pre_hook(run.before, with_kwargs=True)
            after = layer.register_forward_hook(run.after)
            stack.callback(before.remove)
            stack.callback(after.remove)
        if loops > 1:
            model: Any = loaded.model
            model.generate = partial(_without_cache, model.generate)
            stack.callback(delattr, model, "generate")
        yield replace(loaded, label=label, folder=None)


@dataclass
class _Middle:
    """One pass after the other through the layers of the middle.

    Attributes:
        layers: of the middle.
        loops: how often the stream goes through them.
        stream: what they all read.
        calls: what each was given beside the stream in this pass.
        outputs: what each handed on.
    """

    layers: Sequence[nn.Module]
    loops: int
    stream: Tensor | None = None
    calls: list[tuple[Sequence[Any], Mapping[str, Any]]] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)

    def before(
        self, layer: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Every layer reads what the first one was given."""
        if layer is self.layers[0]:
            self.stream, self.calls, self.outputs = args[0], [], []
        rest, named = args[1:], keywords
        if self.loops > 1:
            rest = tuple(map(_no_cache, rest))
            named = {name: _no_cache(value) for name, value in keywords.items()}
        self.calls.append((rest, named))
        return (self.stream, *rest), named

    def after(self, layer: nn.Module, _args: tuple[Any, ...], output: object) -> object:
        """What the last one hands on is the mean."""
        self.outputs.append(_stream_of(output))
        if layer is not self.layers[-1]:
            return output
        stream = _mean(self.outputs)
        for _ in range(1, self.loops):
            stream = _mean(
                [
                    _stream_of(each.forward(stream, *rest, **named))
                    for each, (rest, named) in zip(self.layers, self.calls, strict=True)
                ]
            )
        self.stream, self.calls, self.outputs = None, [], []
        return (stream, *output[1:]) if isinstance(output, tuple) else stream


def _stream_of(output: object) -> Tensor:
    """Layers of some families hand on more than the stream."""
    return cast("Tensor", output[0] if isinstance(output, tuple) else output)


def _mean(outputs: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(outputs)).float().mean(0).to(outputs[0].dtype)


def _no_cache(value: object) -> object:
    return None if isinstance(value, Cache) else value


def _without_cache(generate: Callable[..., object], *args: object, **keywords: object) -> object:
    """Generates token by token from the whole text, whoever asks."""
    return generate(*args, **{**keywords, "use_cache": False})
