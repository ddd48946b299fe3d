"""The models that recipes align: each once for all candidates, in every way that they ask for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from evomerge.checkpoint.source import Source
from evomerge.merging.alignment import Brought, as_merged
from evomerge.merging.models import Models
from evomerge.recipe import ModelReference, Recipe
from evomerge.workbench.resident import Resident

Opened = Mapping[ModelReference, Source]
# Receives what will take a while, in words.
Tell = Callable[[str], None]


class Aligning:
    """Models as they are merged: the same objects for recipes that align them alike.

    Attributes:
        recipes: that together align models in all the ways that a search may ask for.
    """

    def __init__(self, recipes: Sequence[Recipe] = (), tell: Tell | None = None) -> None:
        """Nothing is aligned yet; ``tell`` is told of what is being found."""
        self.recipes = recipes
        self._tell = tell
        self._brought: dict[Hashable, Brought] = {}
        self._resident: dict[Hashable, Resident] = {}

    def of(self, recipe: Recipe, opened: Opened) -> dict[ModelReference, Brought]:
        """What the models of a recipe are read through that it aligns. Reads headers, no weights.

        Args:
            recipe: what it aligns to what, and how.
            opened: its models, and those that they are aligned to, as they are on disk.

        Raises:
            EvomergeError: two models cannot be aligned.
        """
        keys = ways_of(recipe)
        if any(key not in self._brought for key in keys.values()):
            for model, source in as_merged(recipe, opened).items():
                if isinstance(source, Brought):
                    self._brought.setdefault(keys[model], source)
        return {model: self._brought[key] for model, key in keys.items()}

    def resident(self, recipe: Recipe) -> dict[ModelReference, Resident]:
        """The same models, after `of`, in memory: beside those that are as they were."""
        return {
            model: self._resident.setdefault(key, Resident(self._brought[key]))
            for model, key in ways_of(recipe).items()
        }

    def find(self, models: Models) -> None:
        """Finds what moves the models of a recipe.

        Raises:
            EvomergeError: they cannot be aligned, or cannot be read.
        """
        for each in models.aligned:
            if self._tell is not None and not each.is_known:
                self._tell(each.task)
            each.find()

    def clear(self) -> None:
        """Frees the memory."""
        self._brought.clear()
        self._resident.clear()


def ways_of(recipe: Recipe) -> dict[ModelReference, Hashable]:
    """For each model that a recipe aligns, what tells the way from other ways."""
    tokens = repr((recipe.tokenizer_source, recipe.tokenizer))
    return {model: (model, repr(way.how), tokens) for model, way in recipe.aligned().items()}


def aligned_bytes(recipes: Iterable[Recipe], opened: Opened) -> int:
    """What the models take in memory that recipes align; each way counts once."""
    aligning, sizes = Aligning(), {}
    for recipe in recipes:
        keys = ways_of(recipe)
        for model, source in aligning.of(recipe, opened).items():
            sizes[keys[model]] = sum(source.info(name).nbytes for name in source.names())
    return sum(sizes.values())
