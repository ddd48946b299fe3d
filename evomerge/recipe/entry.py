"""What every mapping in a recipe has in common: fixed keys, frozen values, a plain-tree form."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import Repr
from typing import Annotated, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, PlainValidator, model_validator

from evomerge.errors import RecipeError, unknown
from evomerge.recipe.reference import ModelReference

_short = Repr()
_short.maxstring = _short.maxother = 60


def shown(value: object) -> str:
    """A value as messages show it, cut short."""
    return _short.repr(value)


def form(name: str) -> str:
    """A name for pydantic of one form of a value.

    It ends up in the paths of complaints; no key of a YAML text can be mistaken for it.
    """
    return f"\0{name}"


class Entry(BaseModel):
    """A mapping of a recipe. A key it does not know is an error; a key without a value is absent.

    Attributes:
        refused: keys known to mergekit that mean nothing here, and what to do instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    refused: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, tree: object) -> object:
        if isinstance(tree, cls):
            return tree
        if not isinstance(tree, Mapping):
            keys = ", ".join(cls.model_fields)
            raise ValueError(f"found {shown(tree)}; expected a mapping with the keys {keys}")
        for key in tree:
            if key in cls.refused:
                raise ValueError(cls.refused[key])
            if key not in cls.model_fields:
                raise ValueError(unknown("key", str(key), cls.model_fields))
        return {key: value for key, value in tree.items() if value is not None}

    def plain(self) -> dict[str, object]:
        """The mapping that YAML writes for it, defaults left out."""
        return {
            name: plain(getattr(self, name))
            for name, field in type(self).model_fields.items()
            if field.is_required() or getattr(self, name) != field.default
        }


def plain(value: object) -> object:
    """The tree of dicts, lists and scalars that YAML writes for it, defaults left out."""
    if isinstance(value, Entry):
        return value.plain()
    if isinstance(value, ModelReference):
        return value.written()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def _reference(value: object) -> ModelReference:
    try:
        return ModelReference.of(value)
    except RecipeError as error:
        raise ValueError(str(error)) from error


Reference: TypeAlias = Annotated[ModelReference, PlainValidator(_reference)]
