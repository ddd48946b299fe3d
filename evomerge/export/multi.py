"""A recipe of several methods as a file for the program ``mergekit-multi``.

mergekit knows one method for a recipe, but ``mergekit-multi`` follows several recipes, of which a
later one may use what an earlier one made. So where each slice of the output has one method, there
is a recipe for each run of layers with the same method, and a last one that stacks what they make:
the embedding of the first, the final norm and the head of the last, as in ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from evomerge.export.extensions import MERGEKIT, extensions
from evomerge.recipe import Recipe
from evomerge.recipe.entry import plain
from evomerge.recipe.layers import SliceEntry
from evomerge.recipe.settings import filters
from evomerge.recipe.steps import SEPARATOR
from evomerge.recipe.writing import dump_yaml

# A filter that could look at the number of a layer, which is another one in a part.
_NUMBERED = re.compile(r"(^|\.)\d")
# What only the model as a whole has.
_OF_THE_WHOLE = ("tokenizer", "tokenizer_source")


@dataclass(frozen=True)
class Part:
    """Consecutive layers of the output with one method.

    Attributes:
        first: its first layer, counted from 0.
        layers: how many they are.
        recipe: makes a model of these layers.
    """

    first: int
    layers: int
    recipe: Recipe

    @property
    def name(self) -> str:
        """What the last recipe calls that model."""
        return f"layers-{self.first}-{self.first + self.layers}"


def parts_of(recipe: Recipe) -> list[Part]:
    """The output as models of some of its layers, each made by one method.

    Every slice of the recipe must have one method.
    """
    found, first = [], 0
    for method, entries in groupby(recipe.slices, lambda entry: _method(recipe, entry)):
        slices = list(entries)
        layers = sum(end - start for start, end in (s.sources[0].layer_range for s in slices))
        found.append(Part(first, layers, _one_method(recipe, method, slices)))
        first += layers
    return found


def obstacle(recipe: Recipe) -> str | None:
    """Why no file for ``mergekit-multi`` makes the tensors of ``recipe``; None if one does."""
    if not recipe.slices or any(not _method(recipe, entry) for entry in recipe.slices):
        return "the method differs between tensors of the same layers"
    for key in _OF_THE_WHOLE:
        if getattr(recipe, key) is not None:
            return f"{key} is about all models at once, and a part knows only its own"
    parts = parts_of(recipe)
    if not all(part.layers for part in parts):
        return "a slice without layers has a method of its own"
    numbered = next((text for text in _filters(recipe) if _NUMBERED.search(text)), None)
    if numbered is not None:
        return f"the filter '{numbered}' may be about a layer's number, which differs in a part"
    ours = dict.fromkeys(each for part in parts for each in extensions(part.recipe))
    return f"mergekit does not know {', '.join(ours)}" if ours else None


def multi_text(recipe: Recipe) -> str:
    """The documents of a file for ``mergekit-multi``; there must be no `obstacle`."""
    return SEPARATOR.join(map(dump_yaml, multi_trees(recipe)))


def multi_trees(recipe: Recipe, prefix: str = "") -> list[Mapping[str, object]]:
    """The same as trees, in which the names of the steps begin with ``prefix``."""
    parts = parts_of(recipe)
    trees = [{"name": prefix + part.name, **part.recipe.tree()} for part in parts]
    return [*trees, _stacked(recipe, parts, prefix)]


def _method(recipe: Recipe, entry: SliceEntry) -> str:
    """The one method of a slice; empty if it has several."""
    method = entry.merge_method or recipe.merge_method
    return method if isinstance(method, str) else ""


def _one_method(recipe: Recipe, method: str, slices: Sequence[SliceEntry]) -> Recipe:
    known = MERGEKIT.get(method, frozenset())
    read = {name: value for name, value in recipe.parameters.items() if name in known}
    own = tuple(entry.model_copy(update={"merge_method": None}) for entry in slices)
    kept = {"merge_method": method, "slices": own, "parameters": read}
    # The whole has a chat template; a seed means nothing to mergekit.
    return recipe.model_copy(update={**kept, "chat_template": None, "seed": 0})


def _stacked(recipe: Recipe, parts: Sequence[Part], prefix: str) -> Mapping[str, object]:
    slices = [
        {"sources": [{"model": prefix + part.name, "layer_range": [0, part.layers]}]}
        for part in parts
    ]
    written = recipe.out_dtype or recipe.dtype
    rest = {"dtype": written, "chat_template": recipe.chat_template}
    kept = {key: plain(value) for key, value in rest.items() if value is not None}
    return {"slices": slices, "merge_method": "passthrough", **kept}


def _filters(recipe: Recipe) -> Iterator[str]:
    for scope in recipe.scopes():
        for setting in scope.settings.values():
            yield from filters(setting)
