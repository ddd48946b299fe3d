"""The hole of a whole stack of layers, as it is written.

{stack: {models: [a, b], encoding: edits, keep: 1, max_layers: 6, scale: [0.7, 1.4]}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from evomerge.errors import RecipeError, unknown
from evomerge.recipe import ModelReference
from evomerge.recipe.entry import Entry
from evomerge.recipe.reading import complaint
from evomerge.stacks.code import Code
from evomerge.stacks.edit_code import EditCode
from evomerge.stacks.ground import Ground, Source
from evomerge.stacks.indicator_code import IndicatorCode
from evomerge.stacks.path_code import PathCode
from evomerge.template.places import Place

Count = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, gt=0)]

# Options that only one encoding has.
OWN: Mapping[str, tuple[str, ...]] = {"edits": ("edits", "block"), "indicator": ("repeats",)}


class StackSetting(Entry):
    """What stands under ``stack``.

    Attributes:
        models: the aliases of those that layers are taken from.
        encoding: how a point says which stack it is.
        anchor: whose embedding, last norm, head and tokenizer it has; by default the first.
        keep: how many of the anchor's first, and of its last, layers stay where they are.
        min_layers: of the stack; by default one, or as many as are kept.
        max_layers: by default half as many again as the anchor has.
        scale: the range of the scale of the residual stream before a hop.
        edits: how many there may be.
        block: how many layers an edit is about, at most.
        repeats: how often the layers of all models stand in a row.
    """

    models: Annotated[list[str], Field(min_length=1)]
    encoding: Literal["edits", "indicator", "path"] = "edits"
    anchor: str | None = None
    keep: Count | tuple[Count, Count] = 1
    min_layers: Positive | None = None
    max_layers: Positive | None = None
    scale: tuple[float, float] | None = None
    edits: Positive | None = None
    block: Positive | None = None
    repeats: Positive | None = None


def is_stack(tree: object) -> bool:
    """Whether a value of a template is a whole stack to be found."""
    return isinstance(tree, Mapping) and "stack" in tree


def read_stack(
    tree: Mapping[str, object],
    place: Place,
    references: Mapping[str, ModelReference],
    layers: Mapping[ModelReference, int],
) -> Code:
    """The encoding that a hole writes down.

    Args:
        tree: the hole.
        place: where it stands.
        references: the models that it may name.
        layers: how many each of them has.

    Raises:
        RecipeError: it has other keys or values, or there is no such stack.
    """
    for key in tree:
        if key != "stack":
            raise RecipeError(f"{place.where}: {unknown('key of a hole', str(key), ['stack'])}")
    here = place.key("stack")
    try:
        setting = StackSetting.model_validate(tree["stack"])
    except ValidationError as error:
        raise complaint(error, here.where) from error
    _check_own(setting, here.where)
    ground = _ground(setting, here, references, layers)
    if setting.encoding == "edits":
        return EditCode(ground, here.title, setting.edits or 4, setting.block or 2)
    if setting.encoding == "indicator":
        return IndicatorCode(ground, here.title, setting.repeats or 2)
    return PathCode(ground, here.title)


def _check_own(setting: StackSetting, where: str) -> None:
    for encoding, keys in OWN.items():
        for key in keys:
            if encoding != setting.encoding and getattr(setting, key) is not None:
                raise RecipeError(
                    f"{where}.{key}: found with the encoding {setting.encoding}; "
                    f"only {encoding} reads it"
                )


def _ground(
    setting: StackSetting,
    here: Place,
    references: Mapping[str, ModelReference],
    layers: Mapping[ModelReference, int],
) -> Ground:
    sources: dict[str, Source] = {}
    for position, alias in enumerate(setting.models):
        if alias not in references:
            raise RecipeError(
                f"{here.where}.models.{position}: {unknown('model', alias, references)}"
            )
        reference = references[alias]
        sources[alias] = Source(reference, layers[reference])
    anchor = setting.anchor or setting.models[0]
    if anchor not in sources:
        raise RecipeError(f"{here.where}.anchor: {unknown('model', anchor, sources)}")
    keep = setting.keep if isinstance(setting.keep, tuple) else (setting.keep, setting.keep)
    deep = sources[anchor].layers
    shallowest = min(source.layers for source in sources.values())
    if sum(keep) > shallowest:
        raise RecipeError(
            f"{here.where}.keep: {keep[0]} first and {keep[1]} last layers are more than the "
            f"{shallowest} that a model has"
        )
    low = setting.min_layers or max(1, sum(keep))
    high = setting.max_layers or max(low, deep + (deep + 1) // 2)
    ground = Ground(sources, anchor, keep, (low, high), setting.scale)
    _check_limits(ground, setting, here.where)
    return ground


def _check_limits(ground: Ground, setting: StackSetting, where: str) -> None:
    low, high = ground.layers
    if low > high:
        raise RecipeError(f"{where}.max_layers: {high} is below min_layers, {low}")
    if low < sum(ground.keep):
        raise RecipeError(
            f"{where}.min_layers: {low} is below the {sum(ground.keep)} layers that are kept"
        )
    deep = ground.sources[ground.anchor].layers
    if setting.encoding == "edits" and not low <= deep <= high:
        raise RecipeError(
            f"{where}: edits begin with {ground.anchor} as it is, and its {deep} layers are not "
            f"from {low} to {high}; change min_layers or max_layers, or take another encoding"
        )
    places = sum(1 for _ in ground.everywhere()) * (setting.repeats or 2)
    if setting.encoding == "indicator" and places < ground.slots[0]:
        raise RecipeError(
            f"{where}.min_layers: {low} is more than all layers make; give more repeats"
        )
    if ground.slots[0] > 0 and not places:
        raise RecipeError(f"{where}.keep: leaves no layer to put between the ends; keep fewer")
    if ground.scale is not None:
        _check_scale(*ground.scale, f"{where}.scale")


def _check_scale(low: float, high: float, where: str) -> None:
    if not 0 < low <= 1 <= high:
        raise RecipeError(
            f"{where}: found [{low:g}, {high:g}]; expected a range above 0 with 1 in it, "
            "which is no scale"
        )
