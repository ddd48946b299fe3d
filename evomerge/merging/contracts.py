"""What a plan refuses: too few models, a missing base, tensors that do not fit together."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence

from evomerge.checkpoint.alike import difference
from evomerge.checkpoint.config import text_config
from evomerge.dtypes import is_float
from evomerge.errors import MergeError, RecipeError
from evomerge.merging.inputs import Input
from evomerge.merging.layout import Place
from evomerge.merging.models import Models
from evomerge.methods.base import Declaration, Parameters, merge_methods
from evomerge.recipe import OutputSlice, Recipe


def check_contracts(recipe: Recipe, slices: Sequence[OutputSlice], places: Sequence[Place]) -> None:
    """Every slice has the base, and as many models, as each of its methods needs.

    Args:
        recipe: the recipe.
        slices: of its output.
        places: of all the tensors of the output.

    Raises:
        RecipeError: one has not; where a slice has several methods, the message says which tensor
            it is about, and what merges the others.
    """
    for number, part in enumerate(slices):
        where = "recipe.models" if recipe.models else f"recipe.slices.{number}.sources"
        if isinstance(part.methods, str):
            check_contract(merge_methods[part.methods], part, where)
            continue
        made: dict[str, str] = {}
        for place in places:
            if place.slice is part:
                made.setdefault(part.method_for(place.name), place.name)
        for name, tensor in made.items():
            try:
                check_contract(merge_methods[name], part, where)
            except RecipeError as error:
                others = (f"{one} merges {other}" for one, other in made.items() if one != name)
                raise RecipeError(
                    f"{tensor}: to be merged by {name}; {error}"
                    + "".join(f"\n       {each} in the same slice" for each in others)
                ) from error


def check_contract(method: Declaration, part: OutputSlice, where: str) -> None:
    """A slice has the base, and as many models, as its method needs.

    Raises:
        RecipeError: it has not.
    """
    listed = [source.model for source in part.sources]
    if method.base in {"first", "required"}:
        if part.base is None:
            raise RecipeError(
                f"recipe.base_model: missing; {method.name} needs a base model, "
                "the one that the others were fine-tuned from"
            )
        if part.base not in listed:
            raise RecipeError(
                f"{where}: the base model {part.base} is not among them "
                f"({', '.join(map(str, listed))}); list it there"
            )
    on_task_vectors = method.base in {"optional", "required"} and part.base in listed
    counted = [model for model in listed if not on_task_vectors or model != part.base]
    least, most = method.models
    if len(counted) < least or (most is not None and len(counted) > most):
        expected = f"exactly {least}" if least == most else f"{least} or more"
        how = f", the base{' not' * on_task_vectors} counted" if part.base in listed else ""
        raise RecipeError(
            f"{where}: found {len(counted)} ({', '.join(map(str, counted)) or 'none'}); "
            f"{method.name} merges {expected}{how}"
        )


def check_layers_alike(models: Models, slices: Sequence[OutputSlice]) -> None:
    """Models that give layers to the output agree in what one config.json says of all layers.

    Raises:
        MergeError: they do not.
    """
    donor = models.donor.source
    giving = {part.described.model for part in slices if len(part)}
    for reference in (each for each in models.by_reference if each in giving):
        source = models.by_reference[reference].source
        found = difference(text_config(donor.config), text_config(source.config))
        if found is not None:
            raise MergeError(
                f"config.json: {found.key}: {donor.label} has {json.dumps(found.one)}, "
                f"{source.label} has {json.dumps(found.other)}; it stands there once for all "
                "layers, so stack layers of models that agree in it"
            )


def check_missing(models: Models, place: Place) -> None:
    """Only biases that the architecture can do without, buffers and heads may be missing.

    Raises:
        MergeError: one of the models lacks something else.
    """
    if not models.family.requires(place.name):
        return
    lacking = next((ref for ref, _, name in place.found if name is None), None)
    if lacking is not None:
        label = models.by_reference[lacking].source.label
        raise MergeError(f"{place.name}: {label} has no such tensor; models must have the same")


def check_shapes(inputs: Sequence[Input], name: str) -> None:
    """The inputs of the tensor ``name`` have one shape, and are all floats or all whole numbers.

    Raises:
        MergeError: they have not.
    """
    infos = [each.source.info(each.name) for each in inputs]
    if len({info.shape for info in infos}) > 1:
        first = infos[0]
        i = next(i for i, info in enumerate(infos) if info.shape != first.shape)
        raise MergeError(
            f"{name}: {inputs[0].source.label} has shape {first.shape}, "
            f"{inputs[i].source.label} has {infos[i].shape}; models must share an architecture "
            "and a vocabulary to be merged this way"
        )
    if len({is_float(info.dtype) for info in infos}) > 1:
        raise MergeError(f"{name}: whole numbers in some of the models, floats in others")


def warn_of_densities(found: Iterable[tuple[str, Parameters | None]]) -> None:
    """Says once, of the first tensor that has one, that a density lies outside [0, 1]."""
    for name, parameters in found:
        if parameters is None or "density" not in parameters.per_model:
            continue
        outside = [d for d in parameters.each("density") if not 0.0 <= d <= 1.0]
        if outside:
            warnings.warn(
                f"{name}: density {outside[0]:g} lies outside [0, 1]; as in mergekit, "
                "above 1 keeps everything and below 0 nothing",
                UserWarning,
                stacklevel=3,
            )
            return
