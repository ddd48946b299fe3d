"""What stands under ``parameters:`` of a template, with holes in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from functools import partial

from pydantic import TypeAdapter, ValidationError

from evomerge.errors import RecipeError, unknown
from evomerge.families import Family
from evomerge.recipe.entry import plain, shown
from evomerge.recipe.reading import complaint
from evomerge.recipe.settings import Setting
from evomerge.template.choices import Reader, choice
from evomerge.template.dimensions import Dimensions
from evomerge.template.holes import CHOOSE_KEYS, REST, SEARCH_KEYS, Search, is_hole, read_hole
from evomerge.template.nodes import Conditions, Constant, Items, Keys, Node, Slot
from evomerge.template.places import Place

_setting: TypeAdapter[object] = TypeAdapter(Setting)

_CONDITION_KEYS = ("filter", "value")
_HOLE_KEYS = tuple(dict.fromkeys([*SEARCH_KEYS, *CHOOSE_KEYS]))


class Form(IntEnum):
    """What may stand at a place; each form takes those before it too."""

    ANCHOR = 0  # one value
    VALUE = 1  # a gradient over the layers
    SETTING = 2  # a conditional list


class SettingsReader:
    """Reads values under ``parameters:``.

    Attributes:
        filters: all that were read, as tensors will be asked for them, and where they stand.
    """

    def __init__(self, dimensions: Dimensions, family: Family | None) -> None:
        """Holes go into ``dimensions``; ``attn`` and ``mlp`` are what ``family`` calls them."""
        self.filters: list[tuple[str, str]] = []
        self._dimensions = dimensions
        self._family = family

    def read(self, tree: object, place: Place, form: Form = Form.SETTING) -> Node:
        """The node of a value.

        Raises:
            RecipeError: no such value may stand here.
        """
        if isinstance(tree, Mapping):
            if is_hole(tree):
                return self._hole(tree, place, form)
            return self._conditions([(tree, place.where)], place, form)
        if not isinstance(tree, list | tuple):
            return _constant(tree, place)
        if any(isinstance(item, Mapping) and not is_hole(item) for item in tree):
            numbered = [(item, f"{place.where}.{i}") for i, item in enumerate(tree)]
            return self._conditions(numbered, place, form)
        if form == Form.ANCHOR:
            raise RecipeError(f"{place.where}: found {shown(tree)}; expected one value")
        if not any(map(is_hole, tree)):
            return _constant(tree, place)
        anchors = (self.read(t, place.item(i), Form.ANCHOR) for i, t in enumerate(tree))
        return Items(tuple(anchors))

    def _hole(self, tree: Mapping[str, object], place: Place, form: Form) -> Node:
        hole = read_hole(tree, place.where)
        if isinstance(hole, Search):
            _check_form(hole, place.where, form)
            return self._search(tree, hole, place)
        return choice(self._dimensions, tree, hole, place, lambda t, p: self.read(t, p, form))

    def _search(self, tree: Mapping[str, object], hole: Search, place: Place) -> Node:
        slots = iter([Slot(each) for each in self._dimensions.search(tree, hole, place)])
        values: list[tuple[str | None, Node]] = []
        for group, names in hole.parts(""):
            anchors = tuple(next(slots) for _ in names)
            values.append((group, anchors[0] if hole.knots is None else Items(anchors)))
        if not hole.by:
            return values[0][1]
        where = f"{place.where}.by"
        return Conditions(tuple(self._condition(group, value, where) for group, value in values))

    def _conditions(self, entries: Sequence[tuple[object, str]], place: Place, form: Form) -> Node:
        """A conditional list, from its entries and where each stands."""
        if form < Form.SETTING:
            raise RecipeError(
                f"{entries[0][1]}: found {shown(entries[0][0])}; expected a value; "
                "a list of {filter, value} is the whole value of a parameter"
            )
        read = partial(self.read, form=Form.VALUE)
        return Conditions(tuple(self.conditions(entries, place, read)))

    def conditions(
        self, entries: Sequence[tuple[object, str]], place: Place, read: Reader
    ) -> Iterator[Keys]:
        """The entries of a conditional list.

        Args:
            entries: each with where it stands.
            place: of the list.
            read: for their values.

        Raises:
            RecipeError: one is no ``{filter, value}``; or from ``read``.
        """
        for tree, where in entries:
            if not isinstance(tree, Mapping) or is_hole(tree):
                raise RecipeError(
                    f"{where}: found {shown(tree)} in a list of {{filter, value}}; "
                    "write it under 'value'"
                )
            _check_condition(tree, where)
            pattern = tree.get("filter")
            if not isinstance(pattern, str | None):
                raise RecipeError(
                    f"{where}.filter: found {shown(pattern)}; expected a part of tensor names"
                )
            group = None if pattern == "*" else pattern
            inner = Place(f"{where}.value", f"{place.name}[{group or REST}]")
            yield self._condition(group, read(tree["value"], inner), where)

    def _condition(self, group: str | None, value: Node, where: str) -> Keys:
        """A value for some tensors; None is for all."""
        if group is None:
            return Keys({"value": value})
        pattern = self._of_family(group)
        self.filters.append((pattern, where))
        return Keys({"filter": Constant(pattern), "value": value})

    def _of_family(self, pattern: str) -> str:
        if self._family is None:
            return pattern
        return {"attn": self._family.attention, "mlp": self._family.mlp}.get(pattern, pattern)


def _constant(tree: object, place: Place) -> Constant:
    """A value without holes, as a recipe keeps it."""
    try:
        return Constant(plain(_setting.validate_python(tree)))
    except ValidationError as error:
        raise complaint(error, place.where) from error


def _check_form(hole: Search, where: str, form: Form) -> None:
    if hole.by and form < Form.SETTING:
        raise RecipeError(
            f"{where}.by: the hole stands inside a list; give 'by' to one that is the whole "
            "value of a parameter"
        )
    if hole.knots is not None and form < Form.VALUE:
        raise RecipeError(
            f"{where}.knots: the hole stands inside a gradient; give 'knots' to one that is the "
            "whole gradient"
        )


def _check_condition(tree: Mapping[str, object], where: str) -> None:
    known = [key for key in tree if key in _CONDITION_KEYS]
    for key in tree:
        if not known:
            raise RecipeError(f"{where}: {unknown('key of a hole', str(key), _HOLE_KEYS)}")
        if key not in _CONDITION_KEYS:
            raise RecipeError(f"{where}: {unknown('key', str(key), _CONDITION_KEYS)}")
    if "value" not in tree:
        raise RecipeError(f"{where}.value: missing; a value is needed here")
