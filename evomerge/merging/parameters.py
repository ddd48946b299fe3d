"""What every parameter of a method is for one output tensor."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from evomerge.errors import RecipeError, unknown
from evomerge.methods.base import Declaration, Param, Parameters, Value, merge_methods
from evomerge.recipe import Recipe, Settings
from evomerge.recipe.lookup import Reader, as_flag, as_number, as_whole, as_word, look_up_as
from evomerge.recipe.settings import Scalar, conditions, filters, scalars


def check_methods(recipe: Recipe) -> None:
    """Refuses methods that there are not, and what `check_settings` refuses.

    Raises:
        RecipeError: where it stands, and what could stand there.
    """
    for where, name in recipe.method_places():
        merge_methods.find(name, where)
    check_settings(recipe)


def check_settings(recipe: Recipe) -> None:
    """Refuses parameters that no method has where they stand, and values of the wrong type.

    Where tensors have different methods, the value for each must be one to its own method; which
    that is `resolve` will find.

    Raises:
        RecipeError: where it stands, and what could stand there.
    """
    for scope in recipe.scopes():
        methods = [merge_methods[name] for name in scope.methods]
        for name, setting in scope.settings.items():
            where = f"{scope.where}.{name}"
            params = _params(name, methods, where)
            if scope.level == "source" and not any(param.per_model for param in params):
                raise RecipeError(
                    f"{where}: {name} is one value for all models of {_names(methods)}; "
                    "move it to the parameters of the recipe or of the slice"
                )
            for value in scalars(setting):
                _read_by_any(params, value, where)


def _params(name: str, methods: Sequence[Declaration], where: str) -> list[Param]:
    """What each of the methods that have a parameter of this name declares it to be."""
    found = [method.params[name] for method in methods if name in method.params]
    if not found:
        known = dict.fromkeys(each for method in methods for each in method.params)
        raise RecipeError(f"{where}: {unknown(f'parameter of {_names(methods)}', name, known)}")
    return found


def _read_by_any(params: Sequence[Param], value: Scalar, where: str) -> None:
    """Refuses a value that is one to none of the methods, as the first of them does."""
    for param in params[1:]:
        with suppress(RecipeError):
            _read(param, value, where)
            return
    _read(params[0], value, where)


def _names(methods: Sequence[Declaration]) -> str:
    return " or ".join(method.name for method in methods)


@dataclass(frozen=True)
class Distinctions:
    """What tells the parameters of two tensors of one slice, method and set of models apart.

    Attributes:
        gradients: whether it is where they stand in a gradient.
        filters: the parts of names that it is to have or not.
    """

    gradients: bool
    filters: tuple[str, ...]

    @classmethod
    def among(cls, scopes: Iterable[Settings]) -> Distinctions:
        """Those that any of the settings makes."""
        found = [setting for scope in scopes for setting in scope.values()]
        values = [entry.value for setting in found for entry in conditions(setting)]
        parts = dict.fromkeys(part for setting in found for part in filters(setting))
        return cls(any(isinstance(value, tuple) for value in values), tuple(parts))

    def of(self, names: Sequence[str], t: float) -> Hashable:
        """Equal for two tensors if their parameters are.

        Args:
            names: that filters look at: of the output tensor, and of the input from each model.
            t: where the tensor stands in a gradient, in [0, 1].
        """
        admitted = tuple(part in name for part in self.filters for name in names)
        return t if self.gradients else None, admitted


def resolve(
    method: Declaration,
    sources: Sequence[tuple[str, str, Settings]],
    shared: Sequence[Settings],
    tensor: str,
    t: float,
) -> Parameters:
    """The parameters for one output tensor.

    Args:
        method: whose parameters.
        sources: for each model its label, its name of the tensor and its own settings.
        shared: the settings of the slice and of the recipe.
        tensor: the name of the output tensor.
        t: where the tensor stands in a gradient, in [0, 1].

    Raises:
        RecipeError: a required parameter is missing.
    """
    one: dict[str, Value] = {}
    many: dict[str, list[Value]] = {}
    for param in method.params.values():
        if param.per_model:
            many[param.name] = [
                _value(param, [own, *shared], name, t, f"{method.name} needs {{}} for {label}")
                for label, name, own in sources
            ]
        else:
            one[param.name] = _value(param, shared, tensor, t, f"{method.name} needs {{}}")
    return Parameters(one, many)


def _value(param: Param, scopes: Sequence[Settings], tensor: str, t: float, missing: str) -> Value:
    found = look_up_as(partial(_read, param), param.name, scopes, tensor, t)
    if found is None and param.required:
        raise RecipeError(
            f"{tensor}: {missing.format(param.name)}; give it under 'parameters:' of the "
            "model, the slice or the recipe"
        )
    return param.default if found is None else found


def _read(param: Param, value: Scalar, where: str) -> Value:
    """A value as the parameter's type, which its default shows; one of its options if it has any.

    Raises:
        RecipeError: it is not.
    """
    found = _reader(param)(value, where)
    if param.options and found not in param.options:
        options = ", ".join(str(option).lower() for option in param.options)
        raise RecipeError(f"{where}: found {value!r}; available: {options}")
    return found


def _reader(param: Param) -> Reader[Value]:
    if param.options:
        return _as_option if any(isinstance(option, bool) for option in param.options) else as_word
    if isinstance(param.default, bool):
        return as_flag
    return as_whole if isinstance(param.default, int) else as_number


def _as_option(value: Scalar, where: str) -> Value:
    """A yes or no, or whatever else it is."""
    with suppress(RecipeError):
        return as_flag(value, where)
    return value
