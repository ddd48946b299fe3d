"""What every search is compared with, and starts from.

The base, every parent, and what one would try by hand are scored first, on the same items: a
winner that does not beat them is none. Those that the template can express tell the optimizer
where to begin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evomerge.recipe import AnyRecipe, ModelReference, Recipe
from evomerge.recipe.adapters import AdapterRecipe
from evomerge.searching import Start
from evomerge.template import Template
from evomerge.template.aliases import adapter_of

# The values of the papers: TIES keeps the top fifth; DARE drops half and shares the weight out.
TIES_DENSITY, DARE_DENSITY = 0.2, 0.5

# Keys of a filled recipe that decide what a model is written in, and with which tokens; and the
# data, so that a template that has some can express a merge that needs none.
SHARED_KEYS = (
    "dtype",
    "out_dtype",
    "tokenizer_source",
    "tokenizer",
    "chat_template",
    "data",
    "seed",
)


@dataclass(frozen=True)
class Kin:
    """The models of a search.

    Attributes:
        base: the alias of the model that the others were made from, if the recipe names one.
        parents: the aliases of the others, in the order of the config.
        references: every model by its alias.
    """

    base: str | None
    parents: tuple[str, ...]
    references: Mapping[str, ModelReference]


def kin_of(tree: object, references: Mapping[str, ModelReference]) -> Kin:
    """Who is who: the base is what the recipe calls ``base_model``, if that is one model."""
    named = {name for name in _bases(tree) if name in references}
    base = next(iter(named)) if len(named) == 1 else None
    return Kin(base, tuple(alias for alias in references if alias != base), references)


def baselines(kin: Kin, filled: AnyRecipe) -> Iterator[Start]:
    """The base, every parent, their uniform soup, and the standard merges with their defaults.

    Where adapters are merged, a parent is one of them on the base, and the standard merge is their
    average.

    Args:
        kin: the models.
        filled: any recipe of the template; theirs are written in the same type, with the same
            tokens.
    """
    if isinstance(filled, AdapterRecipe):
        yield from _of_adapters(kin, filled)
        return
    shared = {key: value for key, value in filled.tree().items() if key in SHARED_KEYS}
    if kin.base is not None:
        yield Start("base", _alone(kin, kin.base, shared))
    for alias in kin.parents:
        yield Start(f"parent {alias}", _alone(kin, alias, shared))
    if len(kin.parents) < 2:  # noqa: PLR2004  one model alone is no merge
        return
    yield Start("uniform soup", _merge(kin, "linear", shared, weight=1.0))
    if kin.base is not None:
        each = 1.0 / len(kin.parents)
        yield Start("default TIES", _merge(kin, "ties", shared, weight=1.0, density=TIES_DENSITY))
        yield Start(
            "default DARE-TIES",
            _merge(kin, "dare_ties", shared, weight=each, density=DARE_DENSITY),
        )


def corners(template: Template, taken: Sequence[Start]) -> Iterator[Start]:
    """Points of the space whose models are known by name, unless they stand in ``taken``."""
    seen = {start.recipe.digest() for start in taken}
    for label, point in template.corners():
        recipe = template.fill(point)
        if recipe.digest() not in seen:
            seen.add(recipe.digest())
            yield Start(f"corner {label}", recipe, template.settle(point))


def expressed(template: Template, start: Start) -> Start:
    """``start`` with its place in the space, if the template can express it exactly."""
    point = template.match(start.recipe)
    return start if point is None else Start(start.label, start.recipe, point)


def _alone(kin: Kin, alias: str, shared: Mapping[str, object]) -> Recipe:
    reference = kin.references[alias].written()
    tree = {"merge_method": "passthrough", "models": [{"model": reference}], **shared}
    return Recipe.from_tree(tree)


def _of_adapters(kin: Kin, filled: AdapterRecipe) -> Iterator[Start]:
    of_model = {"dtype": filled.dtype} if filled.output == "model" and filled.dtype else {}
    if kin.base is not None:
        yield Start("base", _alone(kin, kin.base, of_model))
    adapters = {alias: adapter_of(kin.references[alias]) for alias in kin.parents}
    listed = {alias: {"adapter": each.written()} for alias, each in adapters.items() if each}
    averages = {f"parent {alias}": [entry] for alias, entry in listed.items()}
    if len(listed) > 1:
        averages["default linear"] = [*listed.values()]
    for label, entries in averages.items():
        tree = {**filled.tree(), "merge_method": "linear", "adapters": entries, "parameters": {}}
        yield Start(label, AdapterRecipe.from_tree(tree))


def _merge(kin: Kin, method: str, shared: Mapping[str, object], **parameters: float) -> Recipe:
    tree: dict[str, object] = {
        "merge_method": method,
        "models": [
            {"model": kin.references[alias].written(), "parameters": parameters}
            for alias in kin.parents
        ],
        **shared,
    }
    if kin.base is not None and method != "linear":
        tree["base_model"] = kin.references[kin.base].written()
    return Recipe.from_tree(tree)


def _bases(tree: object) -> Iterator[str]:
    """Everything under a key ``base_model``, at any depth."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            if key == "base_model" and isinstance(value, str):
                yield value
            else:
                yield from _bases(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _bases(value)
