"""From the tree of a template's YAML to its nodes: where holes may stand in a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial

from pydantic import ValidationError

from evomerge.dtypes import dtype_name, parse_dtype
from evomerge.errors import RecipeError, unknown
from evomerge.families import Family
from evomerge.recipe import ModelReference
from evomerge.recipe.entry import plain, shown
from evomerge.recipe.reading import complaint
from evomerge.recipe.tokenizer import Tokenizer
from evomerge.template.bodies import Body, MethodList, Slice
from evomerge.template.choices import Reader, chosen_or
from evomerge.template.dimensions import Dimensions
from evomerge.template.holes import is_hole
from evomerge.template.nodes import Constant, Items, Keys, Node, Settings, Source
from evomerge.template.places import Place
from evomerge.template.scope import Methods
from evomerge.template.settings import SettingsReader

PLACES = (
    "the whole recipe, merge_method, base_model, dtype, out_dtype, tokenizer_source, models, "
    "slices and their entries, model, and everything under parameters"
)

# Keys of a recipe that are absent if they have the value of their default.
_DEFAULTS: Mapping[str, object] = {"seed": 0, "models": [], "slices": []}


class TemplateReader:
    """Reads one template.

    Attributes:
        dimensions: of the holes that were read.
        settings: the reader of values.
    """

    def __init__(
        self, models: Mapping[str, ModelReference], methods: Methods, family: Family | None
    ) -> None:
        """``models`` are the names it may use, ``methods`` the merge methods."""
        self.dimensions = Dimensions()
        self.settings = SettingsReader(self.dimensions, family)
        self._aliases = {reference: alias for alias, reference in models.items()}
        self._models = models
        self._methods = methods
        self._set: list[tuple[str, str]] = []  # the parameters set in this body, and where
        self._taken: dict[str, None] = {}  # the methods that it may take, in reading order
        self._readers: dict[str, Reader] = {
            "merge_method": self._methods_of,
            "base_model": self._model,
            "models": self._models_list,
            "slices": self._slices,
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
        outer = self._set, self._taken
        self._set, self._taken = [], {}
        children = dict(self._fields(tree, place))
        self._check_parameters()
        self._set, self._taken = outer
        return Body.of(children)

    def _fields(self, tree: Mapping[str, object], place: Place) -> Iterator[tuple[str, Node]]:
        """The keys of a mapping that have a value other than their default."""
        for key, value in tree.items():
            here = place.key(str(key))
            default = _DEFAULTS.get(key)
            if value is None or (value == default and type(value) is type(default)):
                continue
            if key == "tokenizer":
                yield key, self._tokenizer(value, here)
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
        return Constant(self._reference(tree, place).written())

    def _reference(self, tree: object, place: Place) -> ModelReference:
        """The model of that alias; or of that path, if it has an alias."""
        if isinstance(tree, str) and tree in self._models:
            return self._models[tree]
        try:
            found = ModelReference.of(tree)
        except RecipeError as error:
            raise RecipeError(f"{place.where}: {error}") from error
        if found not in self._aliases:
            raise RecipeError(f"{place.where}: {unknown('model', str(found), self._models)}")
        return found

    def _models_list(self, tree: object, place: Place) -> Node:
        return self._list(tree, place, self._source)

    def _slices(self, tree: object, place: Place) -> Node:
        return self._list(tree, place, self._slice)

    def _list(self, tree: object, place: Place, read: Reader) -> Node:
        if not isinstance(tree, list | tuple):
            raise RecipeError(f"{place.where}: found {shown(tree)}; expected a list")
        places = (place.item(i, self._label(item)) for i, item in enumerate(tree))
        entries = (self._read(item, p, read) for item, p in zip(tree, places, strict=True))
        return Items(tuple(entries))

    def _label(self, entry: object) -> str | None:
        """What the entry of a model is called: by its alias, if that is fixed."""
        model = entry.get("model") if isinstance(entry, Mapping) else None
        if model is None or is_hole(model):
            return None
        if isinstance(model, str) and model in self._models:
            return model
        with suppress(RecipeError):  # which is raised again where the model is read
            return self._aliases.get(ModelReference.of(model))
        return None

    def _source(self, tree: object, place: Place) -> Node:
        return Source(self._entry(tree, place, {"model": self._model}))

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

    def _vocabulary(self, tree: object, place: Place) -> Node:
        return Constant(tree) if tree in ("union", "base") else self._model(tree, place)

    def _tokenizer(self, tree: object, place: Place) -> Node:
        """A tokenizer, with aliases replaced; none of it is searched."""
        for inner, where in _parts(tree, place):
            _refuse_hole(inner, where)
        try:
            return Constant(plain(Tokenizer.model_validate(self._with_models(tree, place))))
        except ValidationError as error:
            raise complaint(error, place.where) from error

    def _with_models(self, tree: object, place: Place) -> object:
        if not isinstance(tree, Mapping):
            return tree
        changed = dict(tree)
        if tree.get("source") not in (None, "union", "base"):
            changed["source"] = self._reference(tree["source"], place.key("source"))
        if isinstance(tokens := tree.get("tokens"), Mapping):
            changed["tokens"] = {
                key: self._token(token, place.key("tokens").key(str(key)))
                for key, token in tokens.items()
            }
        return changed

    def _token(self, tree: object, place: Place) -> object:
        """The source of one token, which is a model or a token of one; the rest as it is."""
        if not isinstance(tree, Mapping) or tree.get("source") is None:
            return tree
        source = tree["source"]
        here = place.key("source")
        if not isinstance(source, Mapping) or "kind" not in source:
            return {**tree, "source": self._reference(source, here)}
        if source.get("model") is None:
            return tree
        model = self._reference(source["model"], here.key("model"))
        return {**tree, "source": {**source, "model": model}}


def _dtype(tree: object, place: Place) -> Node:
    try:
        return Constant(dtype_name(parse_dtype(str(tree))))
    except RecipeError as error:
        raise RecipeError(f"{place.where}: {str(error).removeprefix('dtype: ')}") from error


def _fixed(tree: object, place: Place) -> Node:
    """A value that no hole may stand for; what it must be is for the recipe to say."""
    _refuse_hole(tree, place)
    if isinstance(tree, list | tuple):
        return Items(tuple(_fixed(item, place.item(i)) for i, item in enumerate(tree)))
    if isinstance(tree, Mapping):
        return Keys({key: _fixed(item, place.key(str(key))) for key, item in tree.items()})
    return Constant(tree)


def _refuse_hole(tree: object, place: Place) -> None:
    if is_hole(tree):
        raise RecipeError(f"{place.where}: no hole may stand here; holes stand for {PLACES}")


def _parts(tree: object, place: Place) -> Iterator[tuple[object, Place]]:
    """What could be taken for a hole in a tokenizer, whose tokens have any names."""
    yield tree, place
    if not isinstance(tree, Mapping):
        return
    yield tree.get("source"), place.key("source")
    tokens = tree.get("tokens")
    for key, token in tokens.items() if isinstance(tokens, Mapping) else ():
        inner = place.key("tokens").key(str(key))
        yield token, inner
        if isinstance(token, Mapping):
            yield token.get("source"), inner.key("source")
