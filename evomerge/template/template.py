"""A recipe with holes: its space, and the way from a point to a recipe and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from evomerge.errors import RecipeError
from evomerge.families import Family
from evomerge.recipe import AnyRecipe, ModelReference
from evomerge.recipe.adapters import recipe_in
from evomerge.space import Space
from evomerge.stacks.code import Code
from evomerge.template.corners import corners
from evomerge.template.filters import check_filters
from evomerge.template.nodes import Node
from evomerge.template.paths import paths
from evomerge.template.places import Place
from evomerge.template.ranges import check_ranges
from evomerge.template.reading import TemplateReader
from evomerge.template.scope import Methods, Scope
from evomerge.template.uses import Path, uses
from evomerge.trial import Point

# Above this, optimizers of continuous spaces need far more trials than people run.
MANY = 60


@dataclass(frozen=True)
class Template:
    """A recipe with holes.

    Attributes:
        space: the dimensions of its holes, in reading order.
        tree: what it was read from; holes that were one object have a name in common instead.
        models: the models it may use, by alias.
        methods: the merge methods it may use.
        where: what messages call it.
        filters: parts of tensor names that it asks for, each with where it stands.
        codes: of the stacks of layers in it.
    """

    space: Space
    tree: object = field(repr=False)
    models: Mapping[str, ModelReference]
    methods: Methods = field(repr=False)
    where: str
    filters: tuple[tuple[str, str], ...]
    codes: tuple[Code, ...] = field(repr=False)
    _root: Node = field(repr=False)
    _scope: Scope = field(repr=False)

    @classmethod
    def read(
        cls,
        tree: object,
        models: Mapping[str, ModelReference],
        declarations: Methods,
        where: str = "recipe",
        family: Family | None = None,
        layers: Mapping[ModelReference, int] | None = None,
    ) -> Template:
        """The template in a tree of dicts, lists and scalars.

        Args:
            tree: a recipe, as YAML gives it, with holes.
            models: by alias, the models that it may use.
            declarations: the merge methods by name.
            where: what messages call the template.
            family: of the models; None takes filters as they are written.
            layers: how many each model has, for stacks.

        Raises:
            RecipeError: a hole is not one, or stands where none may; or what remains is no recipe.
        """
        reader = TemplateReader(models, declarations, family, layers or {})
        root = reader.recipe(tree, Place(where))
        template = cls(
            reader.dimensions.space,
            reader.dimensions.named(tree),
            models,
            declarations,
            where,
            tuple(reader.settings.filters),
            tuple(reader.codes),
            root,
            Scope(declarations, reader.dimensions.shared),
        )
        for path in template.paths():
            template.fill(template.at(path))
        return template

    def fill(self, point: Point) -> AnyRecipe:
        """The recipe at ``point``; settings that no method reads are left out.

        Raises:
            RecipeError: the point lacks a dimension, or has a value outside of one; or there is
                no such recipe, as a combination of options makes none.
        """
        for dimension in self.space.dimensions:
            if dimension.name not in point:
                raise RecipeError(f"{self.where}: the point has no value of '{dimension.name}'")
            if not dimension.admits(value := point[dimension.name]):
                raise RecipeError(
                    f"{self.where}: {value!r} lies outside the range of '{dimension.name}'"
                )
        return recipe_in(self._root.fill(point, self._scope), self.where)

    def match(self, recipe: AnyRecipe) -> Point | None:
        """The point that fills to a recipe equal to this one; None if none does.

        Dimensions that the recipe does not depend on stand in the middle. Where several points
        fill to it, always the same one is given.
        """
        found = self._bound(recipe, self._scope)
        return None if found is None else {**self.space.middle(), **found}

    def settle(self, point: Point) -> Point:
        """The point that stands for all that fill to the recipe at ``point``: ``match`` of it."""
        return {**self.space.middle(), **self._read_at(point)}

    def inert(self, point: Point) -> frozenset[str]:
        """The dimensions that the recipe at ``point`` does not depend on.

        Those of options not chosen; those of parameters that the method does not have, or that
        count for nothing where they stand.
        """
        return frozenset(self.space.names) - self._read_at(point).keys()

    def at(self, values: Point) -> Point:
        """The point with these values, and the middle of every other dimension."""
        return {**self.space.middle(), **values}

    def paths(self) -> tuple[Path, ...]:
        """For each option of each choice the choices that lead to it; first, none at all."""
        return paths(self._root)

    def uses(self) -> Mapping[str, Sequence[Path]]:
        """By the name of a dimension, the choices under which a recipe reads it; none, if never."""
        return uses(self._root, self._scope)

    def corners(self) -> Iterator[tuple[str, Point]]:
        """Points whose models are known by name: the base, each model alone, the uniform mean.

        Only those that the template expresses exactly; about as many as there are models and
        methods.
        """
        return corners(self)

    def check(self, check: Callable[[AnyRecipe], None]) -> None:
        """Refuses ranges, and combinations of options, in which there are illegal recipes.

        A recipe that is illegal only on an edge of a range, as one with all weights at zero, is
        let pass: a search that meets it records a failed trial.

        Args:
            check: raises EvomergeError for a recipe that could not be merged.

        Raises:
            RecipeError: which dimensions it is, and what is wrong with the recipe.
        """
        check_ranges(self, check)

    def check_filters(self, tensors: Iterable[str], family: Family) -> None:
        """Refuses filters that no tensor has in its name.

        Args:
            tensors: the names of the tensors of the models, on disk.
            family: of the models.

        Raises:
            RecipeError: which, and what there is.
        """
        check_filters(self.filters, tensors, family)

    def advice(self) -> tuple[str, ...]:
        """What could make the search easier; empty if nothing comes to mind."""
        count = len(self.space.floats)
        if count <= MANY:
            return ()
        return (
            f"{self.where}: {count} continuous dimensions are many; up to {MANY} are searched "
            "well. Before another optimizer, take fewer of them: fewer 'knots', "
            "'by: [attn, mlp]' instead of holes for single layers, or a 'name' that several "
            "holes share",
        )

    def _read_at(self, point: Point) -> Point:
        found = self._bound(self.fill(point), replace(self._scope, filled_at=point))
        if found is None:
            raise ValueError(f"{self.where}: the template does not recognise a recipe of its own")
        return found

    def _bound(self, recipe: AnyRecipe, scope: Scope) -> Point | None:
        """The values of the dimensions that the recipe depends on; None if it is none of ours."""
        return next(self._root.match(recipe.tree(), scope, {}), None)
