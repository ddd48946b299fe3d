"""Bases and adapters that are open: each is opened once, and all are closed together."""

from __future__ import annotations

from contextlib import ExitStack

from evomerge.adapters.adapter import Adapter, open_adapter
from evomerge.adapters.sources import Sources, sources_of
from evomerge.adapters.updates import Update
from evomerge.checkpoint.reader import Checkpoint, open_checkpoint
from evomerge.recipe import ModelReference
from evomerge.recipe.adapters import AdapterRecipe


class OpenAdapters:
    """What recipes of adapters name, as far as they have been asked for."""

    def __init__(self, *, remembers: bool = False) -> None:
        """With ``remembers``, updates that were read stay in memory, and all found out of them."""
        self._remembers = remembers
        self._files = ExitStack()
        self._bases: dict[ModelReference, Checkpoint] = {}
        self._adapters: dict[tuple[ModelReference, ModelReference], Adapter] = {}
        self._sources: dict[tuple[ModelReference, ...], Sources] = {}

    def sources(self, recipe: AdapterRecipe) -> Sources:
        """Base and adapters of a recipe; the same object for the same ones in the same order.

        Raises:
            CheckpointError: one cannot be read.
            AdapterError: an adapter is not of this base; or they have no tensor in common, or
                train one in ways of which there is no mean.
        """
        named = recipe.references()
        if named not in self._sources:
            *adapters, model = named
            if model not in self._bases:
                opened = self._files.enter_context(open_checkpoint(model.path, model.revision))
                self._bases[model] = opened
            base = self._bases[model]
            self._sources[named] = sources_of(base, [self._adapter(a, model) for a in adapters])
        return self._sources[named]

    def close(self) -> None:
        """Closes all files, and forgets all that was read. Closing twice does nothing."""
        self._files.close()
        self._bases, self._adapters, self._sources = {}, {}, {}

    def __enter__(self) -> OpenAdapters:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _adapter(self, reference: ModelReference, model: ModelReference) -> Adapter:
        key = reference, model
        if key not in self._adapters:
            known: dict[str, Update] | None = {} if self._remembers else None
            found = open_adapter(reference, self._bases[model], self._files, known)
            self._adapters[key] = found
        return self._adapters[key]
