"""Several recipes in one file, of which a later one may use what an earlier one makes.

This is the format of ``mergekit-multi``: documents of YAML, each with a ``name`` but the last. Ours
is that some may merge adapters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike

from evomerge.errors import RecipeError
from evomerge.recipe.adapters import AnyRecipe, recipe_in
from evomerge.recipe.reading import load_documents, read_text
from evomerge.recipe.writing import dump_yaml

SEPARATOR = "---\n"
# The keys of a recipe that name a model, or an adapter.
MODEL_KEYS = frozenset({"model", "adapter", "base_model", "source", "to", "tokenizer_source"})


@dataclass(frozen=True)
class Step:
    """A recipe among several.

    Attributes:
        name: what later ones call the model or adapter it makes; empty of the last one.
        recipe: what to merge. A model or adapter may have the name of an earlier step.
    """

    name: str
    recipe: AnyRecipe

    def tree(self) -> Mapping[str, object]:
        """The step as a document of its file."""
        return {"name": self.name, **self.recipe.tree()} if self.name else self.recipe.tree()


def read_steps(path: str | PathLike[str]) -> list[Step]:
    """The steps in a YAML file, at least one. A file with one recipe is one step.

    Raises:
        RecipeError: no such file, or a document is no recipe, has no name though others follow,
            or a name that stands twice; the message begins with the path.
    """
    trees = load_documents(read_text(path), str(path))
    if len(trees) < 2:  # noqa: PLR2004
        return [Step("", recipe_in(trees[0] if trees else None, f"{path}: recipe"))]
    steps = [_step(tree, f"{path}: recipe {n}") for n, tree in enumerate(trees, start=1)]
    _check_names([step.name for step in steps], str(path))
    return steps


def write_steps(steps: Sequence[Step]) -> str:
    """The text of their file."""
    return SEPARATOR.join(dump_yaml(step.tree()) for step in steps)


def renamed(recipe: AnyRecipe, names: Mapping[str, str]) -> AnyRecipe:
    """A recipe with other names for some of its models and adapters."""
    return recipe_in(renamed_tree(recipe.tree(), names))


def renamed_tree(tree: object, names: Mapping[str, object]) -> object:
    """A recipe's tree with other names for some of its models."""
    if isinstance(tree, Mapping):
        return {
            key: names.get(value, value)
            if key in MODEL_KEYS and isinstance(value, str)
            else renamed_tree(value, names)
            for key, value in tree.items()
        }
    return [renamed_tree(each, names) for each in tree] if isinstance(tree, list) else tree


def _step(tree: object, where: str) -> Step:
    fields = dict(tree) if isinstance(tree, Mapping) else {}
    name = fields.pop("name", "")
    if not isinstance(name, str):
        raise RecipeError(f"{where}: name: found {name!r}; expected text, in quotes if need be")
    return Step(name, recipe_in(fields if fields or name else tree, where))


def _check_names(names: Sequence[str], path: str) -> None:
    for number, name in enumerate(names[:-1], start=1):
        if not name:
            raise RecipeError(
                f"{path}: recipe {number}: has no name, and others follow; give it one, by which "
                "they call the model that it makes"
            )
        if name in names[: number - 1]:
            raise RecipeError(f"{path}: recipe {number}: the name '{name}' stands twice")
    if names[-1]:
        raise RecipeError(
            f"{path}: recipe {len(names)}: the last one has the name '{names[-1]}'; leave it out, "
            "as this is the model that is asked for"
        )
