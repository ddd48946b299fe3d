"""From a config.yaml, the copy in a run folder, or a mapping, to a document; and back to a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from evomerge.config.document import Config, ModelSetting
from evomerge.config.plain import plain_tree
from evomerge.errors import RecipeError, placed
from evomerge.goals import read_goals
from evomerge.recipe import AnyRecipe, ModelReference
from evomerge.recipe.adapters import recipe_in
from evomerge.recipe.reading import complaint, load_yaml, read_text
from evomerge.recipe.steps import renamed_tree


@dataclass(frozen=True)
class Located:
    """A config, and where its relative paths count from.

    Attributes:
        config: what it says; its recipe is a tree.
        folder: an absolute path.
        path: of the file, for messages.
    """

    config: Config
    folder: Path
    path: Path

    @property
    def run(self) -> Path:
        """The folder of the results."""
        return self.under(self.config.run)

    def under(self, path: str | Path) -> Path:
        """A path of the config as an absolute one, or as seen from the working directory."""
        return Path(os.path.normpath(self.folder / Path(path).expanduser()))

    def reference(self, alias: str) -> ModelReference:
        """The model that ``alias`` names."""
        setting = self.config.models[alias]
        if not isinstance(setting, ModelSetting):
            return self.placed(ModelReference.parse(setting))
        parts = (setting.model, setting.revision, setting.adapter, setting.adapter_revision)
        return self.placed(ModelReference(*parts))

    def template(self) -> dict[str, Any]:
        """The recipe with holes, from the file that the config names if it names one.

        Raises:
            RecipeError: there is no such file, or no mapping in it.
        """
        recipe = self.config.recipe
        if not isinstance(recipe, str):
            return recipe
        try:
            found = read_tree(self.under(recipe), "recipe")
        except RecipeError as error:
            raise placed(error, "config.recipe") from error
        if not isinstance(found, dict):
            raise RecipeError(f"config.recipe: {recipe} holds no recipe")
        return found

    def recipe(self, path: str) -> AnyRecipe:
        """The recipe in a file, whose models and adapters are meant like those of the config.

        Raises:
            RecipeError: there is no such file, or no recipe in it.
        """
        place = self.under(path)
        found = recipe_in(read_tree(place, "recipe"), f"{place}: recipe")
        named = (*found.references(), *found.model_references())
        places = {str(each): self.placed(each).written() for each in named}
        return recipe_in(self.with_data(renamed_tree(found.tree(), places)), path)

    def with_data(self, tree: object) -> object:
        """The tree of a recipe with holes, in which files of ``data`` have absolute paths.

        Parts without data are the very same objects: one hole with two places stays one.
        """
        if isinstance(tree, list):
            return [self.with_data(each) for each in tree] if data_files(tree) else tree
        if not isinstance(tree, Mapping) or not data_files(tree):
            return tree
        found = {key: self.with_data(each) for key, each in tree.items()}
        data = found.get("data")
        if isinstance(data, Mapping) and isinstance(data.get("file"), str):
            found["data"] = {**data, "file": str(self.under(data["file"]))}
        elif _is_way(tree) and isinstance(data, str):
            found["data"] = str(self.under(data))
        return found

    def placed(self, found: ModelReference) -> ModelReference:
        """The model with its folders as absolute paths."""
        adapter = None if found.adapter is None else self._place(found.adapter)
        return ModelReference(
            self._place(found.path), found.revision, adapter, found.adapter_revision
        )

    def _place(self, path: str) -> str:
        """A folder as an absolute path; a Hugging Face id as it is."""
        place = self.under(path)
        looks_local = path.startswith((".", "/", "~")) or path.count("/") > 1
        return str(place) if place.exists() or looks_local else path

    def changed(self, changes: dict[str, Any]) -> Located:
        """The same with other values of some keys, which are taken as they are."""
        return Located(self.config.model_copy(update=changes), self.folder, self.path)

    def written(self, **resolved: object) -> str:
        """The config as a file that can stand anywhere, with what has been resolved."""
        tree = self.config.model_dump(exclude_unset=True, exclude_none=True)
        tree |= {"folder": str(self.folder), "recipe": self.config.recipe, **resolved}
        head = (
            "# What this run was made from. Paths count from 'folder'. The budget may be changed.\n"
        )
        # Aliases stay aliases: in a recipe, one hole with two places is one dimension.
        return head + yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)


def data_files(tree: object) -> tuple[str, ...]:
    """Every file under a key ``data`` of a recipe with holes, or of an alignment, each once."""
    if isinstance(tree, list):
        return tuple(dict.fromkeys(file for each in tree for file in data_files(each)))
    if not isinstance(tree, Mapping):
        return ()
    data = tree.get("data")
    file = data.get("file") if isinstance(data, Mapping) else data if _is_way(tree) else None
    own = [file] if isinstance(file, str) else []
    return tuple(dict.fromkeys([*own, *data_files(list(tree.values()))]))


def _is_way(tree: Mapping[str, object]) -> bool:
    """Whether a mapping of a recipe says how a model is aligned: its data are just a path."""
    return "method" in tree


def read_config(path: Path) -> Located:
    """The config in a YAML file.

    Raises:
        RecipeError: there is no such file, or no config in it; the message begins with the path.
    """
    return located_in(read_tree(path, "config"), path, path.absolute().parent)


def config_of(tree: Mapping[str, object]) -> Located:
    """The config that a program gives. Relative paths count from the working directory.

    Raises:
        RecipeError: it is no config.
    """
    return located_in(plain_tree(tree, "config"), Path("config"), Path.cwd())


def located_in(tree: object, path: Path, folder: Path) -> Located:
    """The config in a tree that came from ``path``, whose paths count from ``folder``.

    Raises:
        RecipeError: it is no config; the message begins with the path.
    """
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        raise complaint(error, f"{path}: config") from error
    if config.folder is not None:
        folder = folder / Path(config.folder).expanduser()
    located = Located(config, folder, path)
    try:
        read_goals(config.objectives, config.constraints)
        recipe = located.template()
    except RecipeError as error:
        raise placed(error, str(path)) from error
    return located.changed({"recipe": recipe})


def read_tree(path: Path, what: str) -> object:
    """The tree in a YAML file; ``what`` is what messages call it.

    Raises:
        RecipeError: there is no such file, or it is not YAML; the message begins with the path.
    """
    return load_yaml(read_text(path), f"{path}: {what}")
