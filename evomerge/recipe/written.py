"""What every recipe can do: be read from YAML, written again, and named by what it says."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Annotated, TypeAlias, TypeVar, cast

from pydantic import AfterValidator, ValidationError

from evomerge.dtypes import dtype_name, parse_dtype
from evomerge.errors import RecipeError
from evomerge.recipe.digest import digest_of
from evomerge.recipe.entry import Entry, plain
from evomerge.recipe.reading import complaint, load_yaml, read_text
from evomerge.recipe.writing import dump_yaml


def _dtype(name: str) -> str:
    try:
        return dtype_name(parse_dtype(name))
    except RecipeError as error:
        raise ValueError(str(error).removeprefix("dtype: ")) from error


DTypeName: TypeAlias = Annotated[str, AfterValidator(_dtype)]
R = TypeVar("R", bound="Written")


class Written(Entry):
    """A recipe as a document of its own."""

    @classmethod
    def read(cls: type[R], path: str | PathLike[str]) -> R:
        """The recipe in a YAML file.

        Raises:
            RecipeError: no such file, or no recipe in it; the message begins with the path.
        """
        return cls.from_tree(load_yaml(read_text(path), str(path)), f"{path}: recipe")

    @classmethod
    def parse(cls: type[R], text: str, where: str = "recipe") -> R:
        """The recipe in a YAML text; ``where`` is what messages call it.

        Raises:
            RecipeError: the text is not YAML or not a recipe.
        """
        return cls.from_tree(load_yaml(text, where), where)

    @classmethod
    def from_tree(cls: type[R], tree: object, where: str = "recipe") -> R:
        """The recipe in a tree of dicts, lists and scalars; ``where`` is what messages call it.

        Raises:
            RecipeError: the tree is not a recipe.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise complaint(error, where) from error

    def tree(self) -> Mapping[str, object]:
        """The recipe as dicts, lists and scalars, defaults left out; ``from_tree`` reads it."""
        return cast("Mapping[str, object]", plain(self))

    def write(self) -> str:
        """The recipe as YAML, which mergekit reads too if nothing in it is ours."""
        return dump_yaml(self.tree())

    def digest(self) -> str:
        """A name for what the recipe says, however it is spelled: 64 hexadecimal digits."""
        return digest_of(self.tree())
