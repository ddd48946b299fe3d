"""Which genes of a winner could be set back: to what a recipe need not say.

A gene is neutral where it has the value that a parameter has when a recipe leaves it out, such as
a density of 1; or, of several that belong together (the knots of a gradient, the values for
different tensors), where all are the same. What belongs together forms a tree, by name:

    weight                   tried first: all values at once
    ├── weight[mlp]          only where that is too much: these alone
    │   ├── weight[mlp][0]
    │   └── weight[mlp][1]
    └── weight[rest] …
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evomerge.recipe.align import NONE
from evomerge.recipe.methods import methods_in
from evomerge.space import ChoiceDimension, Dimension, Space
from evomerge.stacks.code import Code
from evomerge.template.scope import Methods
from evomerge.trial import Point, Value

# What the dimension of a choice among alignments is called at its end.
ALIGN = ".align"
# Up to the parameter's own key: what follows are its knots and tensors.
_PARAMETER = re.compile(r".*\bparameters\.\w+")


@dataclass(frozen=True)
class Gene:
    """Dimensions that may be set back together.

    Attributes:
        name: what their names begin with.
        key: the parameter that they set.
        dimensions: one or more.
        value: what is neutral; None is whatever the parameter is when a recipe leaves it out.
    """

    name: str
    key: str
    dimensions: tuple[Dimension, ...]
    value: Value | None = None

    def parts(self) -> Iterator[Gene]:
        """The genes that this one consists of; none if it is a single dimension."""
        if len(self.dimensions) == 1:
            return
        groups: dict[str, list[Dimension]] = {}
        for dimension in self.dimensions:
            rest = dimension.name[len(self.name) :]
            end = rest.find("]") + 1 or len(rest)
            groups.setdefault(self.name + rest[:end], []).append(dimension)
        genes = [Gene(name, self.key, tuple(each)) for name, each in groups.items()]
        yield from genes if len(genes) > 1 else genes[0].parts()

    def neutral(self, point: Point, neutral: Mapping[str, Value]) -> Iterator[tuple[str, Point]]:
        """What to try, the simplest first: what it sets the gene to, and ``point`` with that."""
        value = neutral.get(self.key) if self.value is None else self.value
        if value is not None and all(each.admits(value) for each in self.dimensions):
            yield f"{self.name} = {value}", self._at(point, [value] * len(self.dimensions))
        if len(self.dimensions) > 1:
            # In units of the range, so that a logarithmic one has its geometric mean.
            places = [each.encode(point[each.name]) for each in self.dimensions]
            middle = sum(places) / len(places)
            values = [each.decode(middle) for each in self.dimensions]
            yield f"{self.name} all = {values[0]}", self._at(point, values)

    def _at(self, point: Point, values: Sequence[Value]) -> Point:
        names = [each.name for each in self.dimensions]
        return {**point, **dict(zip(names, values, strict=True))}


def genes(space: Space, codes: Sequence[Code] = ()) -> list[Gene]:
    """One for each parameter that the space searches, in order.

    Choices are not set back, but that of an alignment to none. Of a stack, what its code calls
    simpler: no edit, no layer, no scale.
    """
    stacked = {each.name: code.neutral for code in codes for each in code.dimensions}
    groups: dict[str, list[Dimension]] = {}
    simpler: list[Gene] = []
    for dimension in space.dimensions:
        name = dimension.name
        if name in stacked:
            if name in stacked[name]:
                simpler.append(Gene(name, name, (dimension,), stacked[name][name]))
        elif isinstance(dimension, ChoiceDimension):
            if name.endswith(ALIGN) and NONE in dimension.options:
                simpler.append(Gene(name, name, (dimension,), NONE))
        else:
            groups.setdefault(_stem(dimension.name), []).append(dimension)
    return simpler + [
        Gene(name, name.rpartition(".")[2], tuple(dimensions))
        for name, dimensions in groups.items()
    ]


def defaults_of(recipe: Mapping[str, object], methods: Methods) -> dict[str, Value]:
    """What the parameters of a recipe are when it leaves them out: as its methods agree."""
    parts = recipe.get("slices")
    holders = [recipe, *(parts if isinstance(parts, list) else [])]
    names = {name for each in holders for name in methods_in(each.get("merge_method"))}
    found: dict[str, set[Value]] = {}
    for method in (methods[name] for name in names if name in methods):
        for name, param in method.params.items():
            if not param.required and isinstance(param.default, float | int | str):
                found.setdefault(name, set()).add(param.default)
    return {name: values.pop() for name, values in found.items() if len(values) == 1}


def _stem(name: str) -> str:
    found = _PARAMETER.match(name)
    return found.group() if found else name.partition("[")[0]
