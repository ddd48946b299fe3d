"""Candidates that are the base with a merged adapter in it."""

from __future__ import annotations

from collections.abc import Hashable
from hashlib import blake2b

import numpy as np

from evomerge.adapters.opened import OpenAdapters
from evomerge.adapters.plan import AdapterPlan, plan_adapters
from evomerge.checkpoint.adapter import Adapted
from evomerge.checkpoint.adapter_parts import Base
from evomerge.checkpoint.fingerprint import DIGEST_BYTES
from evomerge.merging.adapters import contents_of
from evomerge.merging.plan import Plan
from evomerge.merging.recipes import MERGED, merged_adapter, plan_with
from evomerge.recipe.adapters import AdapterRecipe
from evomerge.workbench.resident import Sharing

# Of each number of an adapter: as it was read, balanced, and beside those of the others.
COPIES = 3
# They are float64.
NUMBER_BYTES = 8


class Candidate(Adapted):
    """The base with a merged adapter in it.

    It tells what is in its tensors: so nothing is done to those that a candidate has in common with
    the one before it, or with the base.
    """

    def __init__(self, plan: AdapterPlan, base: Base) -> None:
        """Merges nothing yet."""
        adapter, settings = merged_adapter(plan)
        super().__init__(base, adapter, settings, MERGED)
        self.adapter = adapter

    def is_of_base(self, name: str) -> bool:
        """Whether a tensor is as the base has it."""
        return not self.parts_of(name)

    def content(self, name: str) -> Hashable:
        """What decides the numbers of a tensor: those of the base's, and what is done to it."""
        own = self._base, self.source_of(name)
        if self.is_of_base(name):
            return own
        total = blake2b(digest_size=DIGEST_BYTES)
        for part in self.parts_of(name):
            total.update(np.ascontiguousarray(self.adapter.load(part)).view(np.uint8).data)
        return *own, total.digest()

    def memory(self, name: str) -> np.ndarray | None:
        """The base's memory of a tensor that is as the base has it."""
        if not self.is_of_base(name) or not isinstance(self._base, Sharing):
            return None
        return self._base.memory(self.source_of(name))


class Adapting:
    """The adapters of a search, read once."""

    def __init__(self) -> None:
        """Opens nothing yet."""
        self._opened = OpenAdapters(remembers=True)

    def plan(self, recipe: AdapterRecipe, base: Base) -> Plan:
        """How a recipe becomes a model, whose base is read where ``base`` has it.

        Raises:
            EvomergeError: it cannot be followed.
        """
        return plan_with(recipe, Candidate(plan_adapters(recipe, self._opened), base))

    def nbytes(self, recipe: AdapterRecipe) -> int:
        """What is held in memory, judged by one recipe: of its adapters, and of what they make."""
        sources = self._opened.sources(recipe)
        made = contents_of(plan_adapters(recipe, self._opened), recipe.dtype).infos
        numbers = sum(
            sum(matrix.shape) * adapter.rank(matrix.name)
            for matrix in sources.matrices
            for adapter in sources.adapters
        )
        return numbers * COPIES * NUMBER_BYTES + sum(info.nbytes for info in made)

    def close(self) -> None:
        """Closes all files, and forgets what was read."""
        self._opened.close()
