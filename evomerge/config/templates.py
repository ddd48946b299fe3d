"""The template of a config: its recipe with holes, read with a look at its models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evomerge.adapters.base import adapter_methods
from evomerge.checkpoint.adapter import Adapted
from evomerge.checkpoint.reader import Checkpoint
from evomerge.checkpoint.source import Source, open_source
from evomerge.config.baselines import kin_of
from evomerge.config.checks import check_carriers, check_merge
from evomerge.config.reading import Located
from evomerge.errors import EvomergeError, RecipeError, placed
from evomerge.families import Family, family_of, layers_in
from evomerge.merging.models import tell_apart
from evomerge.methods.base import merge_methods
from evomerge.recipe import ModelReference
from evomerge.template import Template
from evomerge.template.kinds import merges_adapters

WHERE = "config.recipe"


def template_of(located: Located) -> Template:
    """The template of a config. Reads headers, no weights.

    Raises:
        EvomergeError: a model is missing, or the recipe does not fit; the message begins with the
            path.
    """
    try:
        return read_template(located, open_models(located))
    except EvomergeError as error:
        raise placed(error, str(located.path)) from error


def open_models(located: Located) -> dict[ModelReference, Checkpoint | Adapted]:
    """The models of a config, opened.

    Raises:
        CheckpointError: one cannot be found or read.
    """
    references = [located.reference(alias) for alias in located.config.models]
    sources = {reference: open_source(reference) for reference in references}
    tell_apart(sources)
    return sources


def read_template(located: Located, sources: Mapping[ModelReference, Source]) -> Template:
    """The template of a config whose models are open.

    Raises:
        EvomergeError: the recipe does not fit.
    """
    config = located.config
    family = _family(sources)
    of_adapters = merges_adapters(config.recipe, WHERE)
    template = Template.read(
        located.with_data(_with_dtype(config.recipe, config.dtype)),
        {alias: located.reference(alias) for alias in config.models},
        adapter_methods if of_adapters else merge_methods,
        where=WHERE,
        family=family,
        layers={
            reference: layers_in(source.config, family, str(reference))
            for reference, source in sources.items()
        },
    )
    if of_adapters:
        check_carriers(kin_of(template.tree, template.models))
    template.check_filters(next(iter(sources.values())).names(), family)
    template.check(lambda recipe: check_merge(recipe, sources))
    return template


def _with_dtype(recipe: object, dtype: str | None) -> dict[str, Any]:
    """The recipe's tree; where it names no dtype, with the config's."""
    if not isinstance(recipe, dict):
        raise RecipeError(f"{WHERE}: found {recipe!r}; expected a recipe with holes")
    if dtype is None or "dtype" in recipe or "choose" in recipe:
        return recipe
    return {**recipe, "dtype": dtype}


def _family(sources: Mapping[ModelReference, Source]) -> Family:
    first = next(iter(sources.values()))
    return family_of(first.config, first.names(), first.label)
