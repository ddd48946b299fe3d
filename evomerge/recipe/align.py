"""``align:`` of a recipe: a model that is moved along its symmetries before it is merged. Ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field, PlainValidator

from evomerge.errors import unknown
from evomerge.recipe.entry import Entry, Reference, shown
from evomerge.recipe.reference import ModelReference
from evomerge.recipe.settings import scalar_in

NONE = "none"
# What may be moved: the stream, the neurons, the order of heads, and within each head the gauges of
# keys against queries, and of values against the output matrix.
GROUPS = ("residual", "neurons", "heads", "keys", "values")


def groups_in(found: object) -> tuple[str, ...] | None:
    """The groups of a list, or a single one, in their own order; None is all of them.

    Raises:
        ValueError: there is none, or one that nobody knows.
    """
    names = [found] if isinstance(found, str) else found
    if not isinstance(names, list | tuple) or not names:
        raise ValueError(f"found {shown(found)}; expected some of {', '.join(GROUPS)}")
    for name in names:
        if name not in GROUPS:
            raise ValueError(unknown("group", str(name), GROUPS))
    return None if set(names) == set(GROUPS) else tuple(g for g in GROUPS if g in names)


def option_in(found: object) -> object:
    """The value of an option: a scalar, or a list or a mapping of them.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(found, Mapping):
        return {str(key): option_in(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return tuple(map(option_in, found))
    return scalar_in(found)


Option: TypeAlias = Annotated[object, PlainValidator(option_in)]


class Align(Entry):
    """How a model is brought to another.

    Attributes:
        method: the name of an aligner, which may be any to this unit.
        to: the model that it is brought to; None is the base, or the first model where there is
            none.
        groups: what may be moved; None is all of it.
        seed: of what the aligner draws.
        options: all other keys, which are the aligner's.
    """

    method: Annotated[str, Field(min_length=1)]
    to: Reference | None = None
    groups: Annotated[tuple[str, ...] | None, BeforeValidator(groups_in)] = None
    seed: Annotated[int, Field(strict=True)] = 0
    options: Mapping[str, Option] = Field(default={})

    def plain(self) -> dict[str, object]:
        """The mapping that YAML writes, in which options stand beside the other keys."""
        tree = super().plain()
        options = tree.pop("options", {})
        return {**tree, **options} if isinstance(options, dict) else tree


# Keys of the mapping; all others are options.
KEYS = ("method", "to", "groups", "seed")


def _read(found: object) -> object:
    """A name is the mapping that has nothing else; ``none`` and false are no alignment."""
    if found is False or found == NONE:
        return None
    if isinstance(found, Align | None):
        return found
    if isinstance(found, str):
        return {"method": found}
    if not isinstance(found, Mapping):
        raise ValueError(
            f"found {shown(found)}; expected the name of an aligner, {NONE}, or a mapping with the "
            f"keys {', '.join(KEYS)} and those of the aligner"
        )
    if found.get("method") == NONE:
        raise ValueError(f"method: found {NONE}; write 'align: {NONE}', without other keys")
    own = {key: value for key, value in found.items() if key in KEYS}
    rest = {key: value for key, value in found.items() if key not in KEYS}
    return {**own, "options": rest} if rest else own


Aligning: TypeAlias = Annotated[Align | None, BeforeValidator(_read)]


def refuse_two_ways(entries: Iterable[tuple[ModelReference, Align | None]]) -> None:
    """Raises ValueError if a model is aligned in one place and not, or otherwise, in another."""
    found: dict[ModelReference, Align | None] = {}
    for model, align in entries:
        if found.setdefault(model, align) != align:
            raise ValueError(
                f"align: found two different ways for {model}; a model is moved as a whole: say "
                "the same wherever it stands"
            )


def refuse_anchors(aligned: Mapping[ModelReference, ModelReference]) -> None:
    """Raises ValueError if what a model is brought to, by model, does not stay where it is."""
    for model, anchor in aligned.items():
        if anchor == model:
            raise ValueError(
                f"align: {model} would be aligned to itself; name another model under 'to', or "
                "leave it as it is"
            )
        if anchor in aligned:
            raise ValueError(
                f"align: {model} would be aligned to {anchor}, which is aligned itself; name a "
                "model under 'to' that stays as it is"
            )


def without_default(tree: Mapping[str, object], anchor: object) -> dict[str, object]:
    """The tree of a recipe that leaves out ``to`` where it names the model that is meant anyway."""
    changed = dict(tree)
    for key in ("models", "sources"):
        if isinstance(entries := tree.get(key), list):
            changed[key] = [_without(entry, anchor) for entry in entries]
    if isinstance(parts := tree.get("slices"), list):
        changed["slices"] = [without_default(part, anchor) for part in parts]
    return changed


def _without(entry: Mapping[str, object], anchor: object) -> Mapping[str, object]:
    align = entry.get("align")
    if not isinstance(align, Mapping) or align.get("to") != anchor:
        return entry
    return {**entry, "align": {key: value for key, value in align.items() if key != "to"}}
