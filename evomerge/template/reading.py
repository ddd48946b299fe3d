"""From the tree of a template's YAML to its nodes: where holes may stand in a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from evomerge.dtypes import dtype_name, parse_dtype
from evomerge.errors import RecipeError, unknown
from evomerge.families import Family
from evomerge.recipe import ModelReference
from evomerge.recipe.entry import shown
from evomerge.stacks.code import Code
from evomerge.stacks.slices import METHOD as STACKING
from evomerge.template.aliases import Aliases
from evomerge.template.aligning import read_align
from evomerge.template.bodies import Body, MethodList, Slice
from evomerge.template.choices import Reader, chosen_or
from evomerge.template.dimensions import Dimensions
from evomerge.template.fixed import refuse_hole
from evomerge.template.nodes import Constant, Items, Keys, Node, Settings, Source
from evomerge.template.places import Place
from evomerge.template.scope import Methods
from evomerge.template.settings import SettingsReader
from evomerge.template.stack_hole import is_stack, read_stack
from evomerge.template.stack_node import StackNode
from evomerge.template.tokens import read_tokenizer

# Keys of a recipe that are absent if they have the value of their default.
_DEFAULTS: Mapping[str, object] = {"seed": 0, "models": [], "slices": [], "output": "adapter"}


class TemplateReader:
    """Reads one template.

    Attributes:
        dimensions: of the holes that were read.
        settings: the reader of values.
        codes: of the stacks that were read.
    """

    def __init__(
        self,
        models: Mapping[str, ModelReference],
        methods: Methods,
        family: Family | None,
        layers: Mapping[ModelReference, int],
    ) -> None:
        """``models`` are the names it may use, of so many ``layers``; ``methods`` all there are."""
        self.dimensions = Dimensions()
        self.codes: list[Code] = []
        self._family = family
        self._layers = layers
        self.settings = SettingsReader(self.dimensions, family)
        self._aliases = Aliases(models)
        self._models = models
        self._methods = methods
        self._set: list[tuple[str, str]] = []  # the parameters set in this body, and where
        self._taken: dict[str, None] = {}  # the methods that it may take, in reading order
        self._stacked: list[str] = []  # where in it a stack stands
        self._readers: dict[str, Reader] = {
            "merge_method": self._methods_of,
            "base_model": self._model,
            "models": self._models_list,
            "slices": self._slices,
            "adapters": self._adapters,
            "parameters": self._parameters,
            "dtype": _dtype,
            "out_dtype": _dtype,
            "tokenizer_source": self._vocabulary,
        }

    def recipe(self, tree: object, place: Place) -> Node:
        """The node of a recipe, or of a choice among recipes.

        Raises:
            RecipeError: it is not one; a hole stands where none may.
        """
        return self._read(tree, place, self._body)

    def _read(self, tree: object, place: Place, read: Reader) -> Node:
        return chosen_or(self.dimensions, tree, place, read)

    def _body(self, tree: object, place: Place) -> Node:
        if not isinstance(tree, Mapping):
            raise RecipeError(f"{place.where}: found {shown(tree)}; expected a recipe with holes")
        if tree.get("merge_method") is None:
            raise RecipeError(f"{place.where}.merge_method: missing; a value is needed here")
        outer = self._set, self._taken, self._stacked
        self._set, self._taken, self._stacked = [], {}, []
        children = dict(self._fields(tree, place))
        self._check_parameters()
        self._check_stacks()
        self._set, self._taken, self._stacked = outer
        return Body.of(children)

    def _fields(self, tree: Mapping[str, object], place: Place) -> Iterator[tuple[str, Node]]:
        """The keys of a mapping that have a value other than their default."""
        for key, value in tree.items():
            here = place.key(str(key))
            default = _DEFAULTS.get(key)
            if value is None or (value == default and type(value) is type(default)):
                continue
            if key == "tokenizer":
                yield key, read_tokenizer(self._aliases, value, here)
            elif key in self._readers:
                yield key, self._read(value, here, self._readers[key])
            else:
                yield key, _fixed(value, here)

    def _methods_of(self, tree: object, place: Place) -> Node:
        """A method, or a conditional list of methods."""
        if isinstance(tree, Mapping):
            entries = [(tree, place.where)]
        elif isinstance(tree, list | tuple):
            entries = [(item, f"{place.where}.{i}") for i, item in enumerate(tree)]
        else:
            return self._method(tree, place)
        read = partial(self._read, read=self._method)
        return MethodList.of(tuple(self.settings.conditions(entries, place, read)), place)

    def _method(self, tree: object, place: Place) -> Node:
        if not isinstance(tree, str) or tree not in self._methods:
            raise RecipeError(f"{place.where}: {unknown('merge method', str(tree), self._methods)}")
        self._taken[tree] = None
        return Constant(tree)

    def _model(self, tree: object, place: Place) -> Node:
        return Constant(self._aliases.reference(tree, place).written())

    def _models_list(self, tree: object, place: Place) -> Node:
        return self._list(tree, place, self._source)

    def _adapters(self, tree: object, place: Place) -> Node:
        return self._list(tree, place, self._adapted)

    def _adapted(self, tree: object, place: Place) -> Node:
        return Keys(self._entry(tree, place, {"adapter": self._adapter}))

    def _adapter(self, tree: object, place: Place) -> Node:
        return Constant(self._aliases.adapter(tree, place).written())

    def _slices(self, tree: object, place: Place) -> Node:
        if isinstance(tree, Mapping) and is_stack(tree):
            return self._stack(tree, place)
        return self._list(tree, place, self._slice)

    def _stack(self, tree: Mapping[str, object], place: Place) -> Node:
        if self._family is None:
            raise RecipeError(f"{place.where}: a stack needs models whose family is known")
        code = read_stack(tree, place, self._models, self._layers)
        if code.ground.scale is not None and self._family.residual is None:
            raise RecipeError(
                f"{place.where}.stack.scale: {self._family.name}: a scale cannot be folded into "
                "such layers; leave it out"
            )
        self.dimensions.enter(code.dimensions, place)
        self.codes.append(code)
        self._stacked.append(place.where)
        return StackNode(code, self._family)

    def _list(self, tree: object, place: Place, read: Reader) -> Node:
        if not isinstance(tree, list | tuple):
            raise RecipeError(f"{place.where}: found {shown(tree)}; expected a list")
        places = (place.item(i, self._aliases.label(item)) for i, item in enumerate(tree))
        entries = (self._read(item, p, read) for item, p in zip(tree, places, strict=True))
        return Items(tuple(entries))

    def _source(self, tree: object, place: Place) -> Node:
        align = partial(read_align, self.dimensions, self._model)
        return Source(self._entry(tree, place, {"model": self._model, "align": align}))

    def _slice(self, tree: object, place: Place) -> Node:
        readers = {
            "merge_method": self._methods_of,
            "base_model": self._model,
            "sources": self._models_list,
        }
        return Slice(self._entry(tree, place, readers))

    def _entry(self, tree: object, place: Place, readers: Mapping[str, Reader]) -> dict[str, Node]:
        if not isinstance(tree, Mapping):
            raise RecipeError(f"{place.where}: found {shown(tree)}; expected a mapping")
        children: dict[str, Node] = {}
        for key, value in tree.items():
            here = place.key(str(key))
            if value is None:
                continue
            if key == "parameters":
                children[key] = self._read(value, here, self._parameters)
            elif key in readers:
                children[key] = self._read(value, here, readers[key])
            else:
                children[key] = _fixed(value, here)
        return children

    def _parameters(self, tree: object, place: Place) -> Node:
        if not isinstance(tree, Mapping):
            raise RecipeError(f"{place.where}: found {shown(tree)}; expected a mapping")
        children: dict[str, Node] = {}
        for name, value in tree.items():
            here = place.key(str(name))
            self._set.append((str(name), here.where))
            children[name] = self.settings.read(value, here)
        return Settings(children)

    def _check_parameters(self) -> None:
        """Refuses parameters that no method has which the recipe may take."""
        known = {name for method in self._taken for name in self._methods[method].params}
        for name, where in self._set:
            if name not in known:
                what = f"parameter of {', '.join(self._taken)}"
                raise RecipeError(f"{where}: {unknown(what, name, known)}")

    def _check_stacks(self) -> None:
        """Refuses stacks in a recipe of other methods than theirs."""
        for where in self._stacked:
            if set(self._taken) != {STACKING}:
                raise RecipeError(
                    f"{where}: a stack is made by merge_method: {STACKING}, "
                    f"not by {', '.join(self._taken)}"
                )

    def _vocabulary(self, tree: object, place: Place) -> Node:
        return Constant(tree) if tree in ("union", "base") else self._model(tree, place)


def _dtype(tree: object, place: Place) -> Node:
    try:
        return Constant(dtype_name(parse_dtype(str(tree))))
    except RecipeError as error:
        raise RecipeError(f"{place.where}: {str(error).removeprefix('dtype: ')}") from error


def _fixed(tree: object, place: Place) -> Node:
    """A value that no hole may stand for; what it must be is for the recipe to say."""
    refuse_hole(tree, place)
    if isinstance(tree, list | tuple):
        return Items(tuple(_fixed(item, place.item(i)) for i, item in enumerate(tree)))
    if isinstance(tree, Mapping):
        return Keys({key: _fixed(item, place.key(str(key))) for key, item in tree.items()})
    return Constant(tree)
