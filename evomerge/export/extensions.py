"""What of a recipe mergekit does not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evomerge.errors import RecipeError
from evomerge.methods.base import merge_methods
from evomerge.recipe import AnyRecipe, Recipe
from evomerge.recipe.adapters import AdapterRecipe
from evomerge.recipe.lookup import as_flag
from evomerge.recipe.settings import Scalar, scalars

_THINNED = frozenset({"weight", "density", "normalize", "rescale", "int8_mask", "lambda"})

# The methods of mergekit 0.1.5 that are methods here too, and the parameters it reads. All are
# numbers or flags. A parity test holds this table against mergekit itself.
MERGEKIT: Mapping[str, frozenset[str]] = {
    "arcee_fusion": frozenset(),
    "breadcrumbs": _THINNED | {"gamma"},
    "breadcrumbs_ties": _THINNED | {"gamma"},
    "dare_linear": _THINNED,
    "dare_ties": _THINNED,
    "della": _THINNED | {"epsilon"},
    "della_linear": _THINNED | {"epsilon"},
    "karcher": frozenset({"max_iter", "tol"}),
    "linear": frozenset({"weight", "normalize"}),
    "model_stock": frozenset({"filter_wise"}),
    "multislerp": frozenset({"weight", "normalize_weights", "eps"}),
    "nearswap": frozenset({"t"}),
    "nuslerp": frozenset({"weight", "nuslerp_flatten", "nuslerp_row_wise"}),
    "passthrough": frozenset({"scale"}),
    "ram": frozenset({"epsilon"}),
    "ramplus_tl": frozenset({"r", "alpha", "epsilon"}),
    "sce": frozenset({"select_topk", "int8_mask"}),
    "slerp": frozenset({"t"}),
    "task_arithmetic": _THINNED,
    "ties": _THINNED,
}
# Methods that draw masks: mergekit draws others each time.
DRAWING = ("dare_", "della")


def extensions(recipe: Recipe) -> tuple[str, ...]:
    """Every key and value of ``recipe`` that is ours, as it stands in YAML: ``trim: global``.

    What is spelled out but means what mergekit does anyway, such as ``trim: tensor``, is no
    extension.
    """
    found = [f"seed: {recipe.seed}"] if recipe.seed else []
    found += ["data"] if any(map(recipe.data_for, recipe.references())) else []
    found += ["align"] if recipe.aligned() else []
    methods = recipe.method_names()
    if len(methods) > 1:
        found.append(f"more than one merge_method ({recipe.method_title()})")
    found += [f"merge_method: {method}" for method in methods if method not in MERGEKIT]
    found += [
        f"{name}: {_written(value)}"
        for scope in recipe.scopes()
        for name, setting in scope.settings.items()
        for value in scalars(setting)
        if any(_is_ours(method, name, value) for method in scope.methods)
    ]
    return tuple(dict.fromkeys(found))


def draws_masks(recipe: AnyRecipe) -> bool:
    """Whether a method of the recipe drops elements at random."""
    return any(map(_draws, recipe.method_names()))


def remarks(recipe: AnyRecipe) -> Iterator[str]:
    """What someone who gives the recipe to mergekit must know, a sentence each."""
    if isinstance(recipe, AdapterRecipe):
        yield (
            "mergekit does not know recipes of adapters. 'evomerge merge' of this file makes the "
            f"{recipe.output} that was scored."
        )
        return
    if ours := extensions(recipe):
        yield (
            f"mergekit does not know {', '.join(ours)}: it ignores or refuses that. "
            "'evomerge merge' of this file makes the model that was scored."
        )
    if drawing := [method for method in recipe.method_names() if _draws(method)]:
        yield (
            f"mergekit draws the masks of {' and '.join(drawing)} anew in every run. "
            "'evomerge merge' of this file draws those that were scored, and gives the same "
            "weights bit for bit on the same kind of device."
        )


def _draws(method: str) -> bool:
    return method.startswith(DRAWING)


def _is_ours(method: str, name: str, value: Scalar) -> bool:
    """Whether mergekit takes the value of a parameter for something else."""
    if method not in MERGEKIT:  # which is said of the method itself
        return False
    if name in MERGEKIT[method]:
        return isinstance(value, str) and not _is_flag(value)
    param = merge_methods[method].params.get(name)
    return param is not None and value != param.default


def _is_flag(word: str) -> bool:
    try:
        as_flag(word, "")
    except RecipeError:
        return False
    return True


def _written(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
