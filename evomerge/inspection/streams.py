"""The residual stream of a model in memory, before and after each of its layers, over a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from evomerge.errors import VocabularyError
from evomerge.evaluators.base import LoadedModel, Tick, no_tick
from evomerge.evaluators.memory import memory_watched
from evomerge.evaluators.texts import Texts
from evomerge.inspection.parts import layers_of

# Tokens read at once: their streams before all layers are in memory together.
WINDOW = 512

# Token ids, for each run of the model.
Windows: TypeAlias = tuple[tuple[int, ...], ...]


def windows_of(loaded: LoadedModel, documents: Sequence[str]) -> Windows:
    """The tokens of each document, in pieces of no more than a model reads at once."""
    length = min(WINDOW, getattr(loaded.model.config, "max_position_embeddings", WINDOW))
    return tuple(
        tuple(tokens[start : start + length])
        for tokens in Texts(documents).tokens(loaded.tokenizer)
        for start in range(0, len(tokens), length)
    )


def check_tokens_alike(one: LoadedModel, other: LoadedModel, documents: Sequence[str]) -> None:
    """Checks that two models read a text as the same tokens.

    Raises:
        VocabularyError: they do not.
    """
    ours, theirs = (
        list(chain.from_iterable(Texts(documents).tokens(each.tokenizer))) for each in (one, other)
    )
    if ours != theirs:
        raise VocabularyError(
            f"{other.label}: reads the text as {len(theirs)} tokens, {one.label} as "
            f"{len(ours)} others; streams are compared token by token, so give models with one "
            "tokenizer"
        )


def streams(loaded: LoadedModel, windows: Windows, *, tick: Tick = no_tick) -> Iterator[Tensor]:
    """For each window ``(layers + 1, tokens, width)``: the stream before each layer, and the last.

    The first is what the embeddings give, the last what the norm before the head reads.

    Raises:
        CheckpointError: the layers of the model are not known.
        OutOfMemory: there was too little memory.
    """
    layers = [layer.whole for layer in layers_of(loaded)]
    for window in windows:
        tick()
        tokens = torch.tensor([window], device=loaded.model.device)
        with memory_watched(loaded.label), torch.inference_mode(), _recorded(layers) as found:
            loaded.model.base_model(tokens, use_cache=False)
            stacked = torch.stack(found)
        yield stacked


@contextmanager
def _recorded(layers: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Meanwhile, what the layers get in a run, and what the last one gives, is listed."""
    found: list[Tensor] = []

    def before(_layer: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        found.append((args[0] if args else next(iter(keywords.values())))[0])

    def behind(_layer: nn.Module, _args: object, output: Tensor | tuple[Any, ...]) -> None:
        found.append((output[0] if isinstance(output, tuple) else output)[0])

    with ExitStack() as hooks:
        for layer in layers:
            handle = layer.register_forward_pre_hook(before, with_kwargs=True)
            hooks.callback(handle.remove)
        hooks.callback(layers[-1].register_forward_hook(behind).remove)
        yield found
